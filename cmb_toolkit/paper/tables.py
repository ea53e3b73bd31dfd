"""The paper's tables 1 to 9 from a study's cells, its printed values beside them.

The paper calls its resolutions HR and LR; a study may call them otherwise. Rows are the paper's; what the study has
not run is said so. Printed values stand as printed, those that the paper's own counts contradict with a footnote.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ..detectors import DETECTORS
from ..evaluation.folds import SCANNER_FOLD
from ..evaluation.intervals import bootstrap
from ..evaluation.results import CellResult
from ..evaluation.summary import common_label, result_rows, result_warnings
from ..model import INPUTS
from ..report.table import Column, Entry, Row, Table
from ..wording import counted
from .measures import FPAVG, PRECISION, SENSITIVITY, STAGE1, STAGE2, Measure
from .published import TABLES, published_table
from .settings import FRST
from .slips import NOTED

__all__ = ["PAPER_FOLDS", "StudyResults", "notes_of", "overview", "paper_tables", "scanner_of", "seconds_entry"]

OURS, PAPER = "This study", "The paper, printed"

PAPER_FOLDS: dict[str, tuple[str, str]] = {"HR": ("1", "2"), "LR": ("5", "5")}
"""Folds whose weights the paper took for its healthy subjects: stage 1, stage 2 (section 3.4)."""

_PAPER_THRESHOLDS = {"HR": "0.01", "LR": "0.05"}
"""Least confidence of a box (section 3.2)."""


_SIMULATED = (
    "The scans of this study are simulated: its numbers show that the software works, and say nothing about its "
    "performance on patients."
)


@dataclass(frozen=True)
class StudyResults:
    """All that the tables are made from.

    Attributes
    ----------
    resolutions : mapping
        The paper's name (``HR``, ``LR``) -> the study's.
    input : str
        Input of the cells of tables 3 to 9.
    rule : str
        Rule that hits are counted by.
    cells : tuple of CellResult
    subjects : DataFrame
        The cells' ``subjects.tsv`` with a column ``cell``.
    cohort : DataFrame
        resolution, fold, subjects, microbleeds of the test sets of the cross-validation.
    best : mapping
        The paper's name of a resolution -> folds whose weights the healthy subjects are looked at with, for stage 1
        and for stage 2.
    best_how : str
        How these folds were chosen, in words.
    seconds : DataFrame
        cell, stage (``stage1``, ``stage2``), seconds, subjects, machine: what looking at the scans took.
    parameters : mapping
        Cell -> how many numbers its networks have learned, both stages together, as far as that was noted.
    """

    resolutions: Mapping[str, str]
    input: str
    rule: str
    cells: tuple[CellResult, ...]
    subjects: pd.DataFrame
    cohort: pd.DataFrame
    best: Mapping[str, tuple[str, str]]
    best_how: str
    seconds: pd.DataFrame
    parameters: Mapping[str, int] = field(default_factory=dict)

    @property
    def simulated(self) -> bool:
        return any(cell.simulated for cell in self.cells)

    @property
    def label(self) -> str:
        """The rule in words, the same for all cells."""
        return common_label(self.cells, self.rule)

    def select(
        self, resolution: str, input_name: str, folds: Iterable[str] | None = None, repeat: int = 1
    ) -> list[CellResult]:
        """The cells of a resolution (the study's name) and an input, by fold: those named, or all that are numbers."""
        wanted = None if folds is None else set(folds)
        mine = [each for each in self.cells if each.group == (resolution, input_name, repeat)]
        if wanted is None:
            return sorted((each for each in mine if each.fold.isdigit()), key=lambda each: int(each.fold))
        return sorted((each for each in mine if each.fold in wanted), key=lambda each: each.fold)

    def lines(self, cells: Sequence[CellResult], stage: str) -> dict[str, dict[str, Any]]:
        """Fold, and ``all`` where there are several -> counts and rates, see :func:`.tables.result_rows`."""
        rows = result_rows(cells, self.subjects, self.rule, stage)
        return {str(line["fold"]): {str(key): value for key, value in line.items()} for line in rows.to_dict("records")}


def paper_tables(study: StudyResults) -> tuple[Table, ...]:
    """The paper's tables 1 to 9, in order.

    Raises
    ------
    DataError
        If the cells were evaluated under different rules.
    """
    return (
        _cohort(study),
        _inputs(study),
        _resolutions(study),
        _stage1(study),
        _stage2(study, "HR", 5),
        _stage2(study, "LR", 6),
        _healthy(study),
        _scanners(study),
        _earlier_work(study),
    )


def overview(study: StudyResults) -> Table:
    """Both stages in one look: what each resolution comes to over its folds."""
    columns = (Column("Data"), *(Column(name, group) for group in (OURS, PAPER) for name in _OVERVIEW))
    rows = []
    for name, ours in study.resolutions.items():
        cells = study.select(ours, study.input)
        values = []
        for stage, measures in (("stage1", (SENSITIVITY, FPAVG)), ("overall", (SENSITIVITY, PRECISION, FPAVG))):
            lines = study.lines(cells, stage)
            values += _ours(lines.get("all", next(iter(lines.values()), None)), measures)
        stage1, stage2 = f"{name} YOLO stage 1", f"{name} YOLO stage 2"
        values += _printed(9, stage1, ("sensitivity_percent", "fp_per_subject"))
        values += _printed(9, stage2, ("overall_sensitivity_percent", "precision_percent", "fp_per_subject"))
        n = len(cells)
        rows.append(Row((Entry(_label(study, name) + f", {counted(n, 'fold')}"), *values)))
    notes = (*notes_of(study), *result_warnings(study.cells))
    return Table("overview", "The method as a whole", columns, tuple(rows), notes)


_OVERVIEW = (
    "Sensitivity, stage 1 (%)",
    "FPavg, stage 1",
    "Sensitivity, both (%)",
    "Precision, both (%)",
    "FPavg, both",
)


def scanner_of(fold: str) -> str | None:
    """The scanner that a fold of the transfer between scanners was trained on, None for any other fold."""
    return fold.removeprefix(SCANNER_FOLD) if fold.startswith(SCANNER_FOLD) and fold != SCANNER_FOLD else None


def _cohort(study: StudyResults) -> Table:
    names = ("Subjects", "Microbleeds")
    columns = (Column("Test set"), *(Column(name, group) for group in (OURS, PAPER) for name in names))
    known = {
        name: study.cohort[study.cohort["resolution"] == ours].set_index("fold")[["subjects", "microbleeds"]]
        for name, ours in study.resolutions.items()
    }
    known["both"] = pd.concat(list(known.values())).groupby(level=0).sum()
    rows = []
    for name, table in known.items():
        heading = "Both" if name == "both" else _label(study, name)
        for fold in _folds(table.index):
            ours = [Entry(f"{n}") for n in table.loc[fold]] if fold in table.index else _not_run(2, "no such fold")
            printed = _printed(1, f"{name} fold {fold}", ("subjects", "microbleeds"))
            rows.append(Row((Entry(f"{heading}, fold {fold}"), *ours, *printed), begins=fold == "1"))
        total = [Entry(f"{n}") for n in table.sum()] if len(table) else _not_run(2, "no folds")
        printed = _printed(1, f"{name} total", ("subjects", "microbleeds"))
        rows.append(Row((Entry(f"{heading}, total"), *total, *printed), total=True))
    return _table(1, columns, rows, notes_of(study, counted=False))


def _inputs(study: StudyResults) -> Table:
    """Five inputs, HR, fold 1."""
    paper = published_table(2)
    columns = (
        *(Column(name) for name in ("Input", "Channels", "Complement", "Averaged")),
        *_both((SENSITIVITY, FPAVG)),
    )
    rows = []
    for input_name in INPUTS:
        line = study.lines(study.select(study.resolutions["HR"], input_name, ["1"]), "stage1").get("1")
        facts = (paper.at[input_name, name] for name in list(paper)[:3])
        words = (input_name.replace("-averaged", " averaged").replace("+", " + "), *facts)
        ours = _ours(line, (SENSITIVITY, FPAVG))
        rows.append(
            Row(
                (
                    *(Entry(str(word)) for word in words),
                    *ours,
                    *_printed_measures(2, input_name, (SENSITIVITY, FPAVG)),
                )
            )
        )
    notes = ("cphase: complement of the phase, 1 - phase. Averaged: each channel over three neighbouring slices.",)
    return _table(2, columns, rows, (*notes, *notes_of(study)), words=4)


def _resolutions(study: StudyResults) -> Table:
    """HR, LR and a detector trained on both, fold 1."""
    measures = (SENSITIVITY, FPAVG)
    rows = []
    for name in ("HR", "LR", "HR+LR"):
        cells = study.select(_in_study(study, name), study.input, ["1"])
        line = study.lines(cells, "stage1").get("1")
        printed = _printed_measures(3, name, measures)
        rows.append(Row((Entry(_label(study, name)), *_ours(line, measures), *printed)))
    notes = ("The paper's values are at a confidence of 0.01; its table 4 has LR at 0.05.",)
    return _table(3, (Column("Trained and tested on"), *_both(measures)), rows, (*notes, *notes_of(study)))


def _stage1(study: StudyResults) -> Table:
    ours = (*(Column(each.name, OURS) for each in STAGE1), Column("Threshold", OURS))
    paper = (*(Column(each.name, PAPER) for each in STAGE1), Column("Threshold", PAPER))
    rows = []
    for name in study.resolutions:
        thresholds = {
            cell.fold: cell.thresholds["stage1"]
            for cell in study.select(study.resolutions[name], study.input)
            if "stage1" in cell.thresholds
        }
        for row in _by_fold(study, name, "stage1", 4, STAGE1):
            fold = row.cells[0].text.rpartition(" ")[2]
            cut = len(row.cells) - len(STAGE1)
            mine = Entry(f"{thresholds[fold].value:.3g}") if fold in thresholds else Entry()
            same = Entry() if row.total or row.cells[cut].text == "\N{EN DASH}" else Entry(_PAPER_THRESHOLDS[name])
            rows.append(Row((*row.cells[:cut], mine, *row.cells[cut:], same), row.total, row.begins))
    origins = sorted({cell.thresholds["stage1"].origin for cell in study.cells if "stage1" in cell.thresholds})
    notes = [f"Threshold: least confidence of a box. This study's were chosen: {', '.join(origins) or 'not known'}."]
    notes.append("The paper chose its thresholds by looking at the test folds, and set up its experiments on fold 1.")
    return _table(4, (Column("Test set"), *ours, *paper), rows, (*notes, *notes_of(study)))


def _stage2(study: StudyResults, name: str, number: int) -> Table:
    notes = ("Of the microbleeds that stage 1 found; those that it missed are not held against stage 2.",)
    rows = _by_fold(study, name, "stage2", number, STAGE2)
    return _table(number, (Column("Test set"), *_both(STAGE2)), rows, (*notes, *notes_of(study)))


def _by_fold(study: StudyResults, name: str, stage: str, number: int, measures: Sequence[Measure]) -> list[Row]:
    lines = study.lines(study.select(study.resolutions[name], study.input), stage)
    done = [fold for fold in lines if fold != "all"]
    folds = _folds(done)
    rows = []
    for fold in folds:
        ours = _ours(lines.get(fold), measures)
        printed = _printed_measures(number, f"{name} fold {fold}", measures)
        rows.append(Row((Entry(f"{_label(study, name)}, fold {fold}"), *ours, *printed), begins=fold == folds[0]))
    of = f" of {len(done)} folds" if 1 < len(done) < len(folds) else ""
    total = (Entry(f"{_label(study, name)}, total{of}"), *_ours(lines.get("all"), measures))
    return [*rows, Row((*total, *_printed_measures(number, f"{name} total", measures)), total=True)]


def _healthy(study: StudyResults) -> Table:
    names = ("Scans", "FPavg, stage 1", "Specificity, stage 2 (%)", "FPavg, both")
    printed = ("subjects", "stage1_fp_per_subject", "specificity_percent", "stage2_fp_per_subject")
    columns = (Column("Data"), *(Column(name, OURS) for name in ("Fold", *names)), *(Column(n, PAPER) for n in names))
    rows = []
    for name, ours in study.resolutions.items():
        folds = study.best.get(name)
        cells = {cell.fold: cell for cell in study.select(ours, study.input, folds or ())}
        values = _not_run(len(names) + 1)
        if folds and set(folds) <= set(cells):
            values = _healthy_cells(study, cells[folds[0]], cells[folds[1]]) or values
        rows.append(Row((Entry(_label(study, name)), *values, *_printed(7, name, printed))))
    notes = (
        f"Weights: of {study.best_how}. The paper took the folds with the highest sensitivity on their own test sets, "
        "for stage 1 and stage 2 apart (HR: 1 and 2, LR: 5 and 5).",
        "Specificity: share of stage 1's candidates that stage 2 throws out.",
    )
    return _table(7, columns, rows, (*notes, *notes_of(study)))


def _healthy_cells(study: StudyResults, first: CellResult, second: CellResult) -> list[Entry]:
    """Fold, scans, false positives of stage 1, specificity and false positives of both; empty where not counted."""
    found = [
        cell.find(study.rule, "control", stage)
        for cell, stage in ((first, "stage1"), (second, "stage2"), (second, "overall"))
    ]
    if found[0] is None:
        return []
    folds = first.fold if first.fold == second.fold else f"{first.fold} and {second.fold}"
    values = [Entry(folds), Entry(f"{found[0].counts.subjects}")]
    for n, result in enumerate(found):
        if result is None:
            values.append(Entry("not run", missing=True))
            continue
        name = "specificity" if n == 1 else "fp_per_subject"
        interval = _specificity_interval(study, second) if n == 1 else result.intervals.get(name, (math.nan,) * 2)
        measure = Measure("", name, "", 100, 2) if n == 1 else Measure("", name, "", 1, 2)
        line = {name: getattr(result.counts, name), f"{name}_low": interval[0], f"{name}_high": interval[1]}
        values.append(measure.cell(line))
    return values


def _specificity_interval(study: StudyResults, cell: CellResult) -> tuple[float, float]:
    table = study.subjects
    mine = table[
        (table["cell"] == cell.cell)
        & (table["rule"] == study.rule)
        & (table["role"] == "control")
        & (table["stage"] == "stage2")
    ]
    # a control's candidate is thrown out or false: TN / (TN + FP) is drawn as TP / (TP + FP) is
    return bootstrap(mine.assign(tp=mine["candidates"] - mine["fp"]))["precision"]


def _scanners(study: StudyResults) -> Table:
    rows = []
    for name, ours in study.resolutions.items():
        folds = [cell.fold for cell in study.cells if cell.resolution == ours and scanner_of(cell.fold)]
        lines = study.lines(study.select(ours, study.input, folds), "stage2")
        lines.pop("all", None)
        # the paper trained on one of its two scanners only; its row stands beside that one, or the first of others
        paper = next((fold for fold in lines if "verio" in fold.lower()), next(iter(lines), None))
        for fold, line in lines.items() or ((None, None),):
            label = _label(study, name) + (f", trained on scanner {scanner_of(fold)}" if fold else "")
            own = fold == paper
            printed = _printed_measures(8, name, STAGE2) if own else [Entry("\N{EN DASH}") for _ in STAGE2]
            rows.append(Row((Entry(label), *_ours(line, STAGE2), *printed)))
    notes = (
        "Tested on the other scanner. Of the microbleeds that stage 1 found. In this study both stages are trained on "
        "the one scanner; the paper trained stage 2 on Verio and tested it on Skyra.",
    )
    return _table(8, (Column("Data"), *_both(STAGE2)), rows, (*notes, *notes_of(study)))


def _earlier_work(study: StudyResults) -> Table:
    paper = published_table(9)
    columns = [Column(name) for name in ("Reference", "Method", "Subjects / microbleeds", "In plane (mm)")]
    names = ("Sensitivity (%)", "FPavg", "Precision (%)", "Seconds a subject", "Overall sensitivity (%)")
    printed = (
        "sensitivity_percent",
        "fp_per_subject",
        "precision_percent",
        "seconds_per_subject",
        "overall_sensitivity_percent",
    )
    columns += [Column(name, group) for group in (OURS, PAPER) for name in names]
    rows: list[Row] = []
    previous = ""
    for row in paper.index:
        line = paper.loc[row]
        name, _, what = row.partition(" ")
        if name in study.resolutions:
            ours = _method_cells(study, name, *what.split(" stage "))
        else:
            ours = _rival_cells(study, name, what.removeprefix("stage ") or "1") or [Entry() for _ in names]
        words = [Entry(line["reference"]), Entry(line["method"]), Entry(f"{line['subjects']} / {line['microbleeds']}")]
        size = str(line["resolution_mm"]).replace(" x ", "\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN}\N{NO-BREAK SPACE}")
        words.append(Entry(size.replace("n/a", "")))
        if name in study.resolutions:
            words[0] = Entry(f"{line['reference']}, {name}")
        begins = row.partition(" stage")[0] != previous
        previous = row.partition(" stage")[0]
        words = words if begins else [Entry(), words[1], Entry(), Entry()]
        rows.append(Row((*words, *ours, *_printed(9, row, printed)), begins=begins))
    notes = [
        "Subjects, microbleeds and voxels are those of the reference named. Rows of Al-masni et al. 2020 hold this "
        "study's results over all of its folds, and those of earlier work what the method of that name finds in this "
        "study's HR scans, where it has run.",
        *_machines(study),
    ]
    return _table(9, tuple(columns), rows, (*notes, *notes_of(study)), words=4)


def _rival_cells(study: StudyResults, method: str, stage: str) -> list[Entry]:
    """What a method of earlier work comes to in the scans of higher resolution; nothing where it has not run."""
    return _rates_of(study, study.select(study.resolutions["HR"], method), stage, alone=DETECTORS[method].alone)


def _method_cells(study: StudyResults, name: str, method: str, stage: str) -> list[Entry]:
    cells = study.select(study.resolutions[name], FRST if method == "FRST" else study.input)
    return _rates_of(study, cells, stage) or _not_run(5)


def _rates_of(study: StudyResults, cells: Sequence[CellResult], stage: str, *, alone: bool = False) -> list[Entry]:
    """Rates of one stage, its time, and the overall sensitivity: that of the stage where it is `alone`."""
    lines = study.lines(cells, f"stage{stage}")
    if not lines:
        return []
    line = lines.get("all", next(iter(lines.values())))
    overall = lines if alone else study.lines(cells, "overall")
    whole = overall.get("all", next(iter(overall.values()), None)) if overall else None
    # stage 1's precision is not given by the paper
    precision = Entry("\N{EN DASH}") if stage == "1" and not alone else PRECISION.cell(line)
    return [
        SENSITIVITY.cell(line),
        FPAVG.cell(line),
        precision,
        seconds_entry(study, [cell.cell for cell in cells], f"stage{stage}"),
        SENSITIVITY.cell(whole) if whole else Entry("\N{EN DASH}"),
    ]


def seconds_entry(study: StudyResults, cells: Sequence[str], stage: str) -> Entry:
    """Seconds a subject of a stage of these cells together."""
    mine = study.seconds[study.seconds["cell"].isin(list(cells)) & (study.seconds["stage"] == stage)]
    scans = float(mine["subjects"].sum())
    return Entry(f"{mine['seconds'].sum() / scans:.3g}") if scans else Entry("\N{EN DASH}")


def _machines(study: StudyResults) -> list[str]:
    machines = "; ".join(sorted(set(study.seconds["machine"].dropna())))
    ours = f"This study's times are those of the networks, or of the transform, on {machines}." if machines else ""
    paper = (
        "The paper's times are of an NVIDIA GeForce GTX 1080 Ti; those of stage 2 are its time for one patch times the "
        "candidates of a subject."
    )
    return [f"{ours} {paper}".strip()]


def _both(measures: Sequence[Measure]) -> tuple[Column, ...]:
    return tuple(Column(each.name, group) for group in (OURS, PAPER) for each in measures)


def _ours(line: Mapping[str, Any] | None, measures: Sequence[Measure]) -> list[Entry]:
    return _not_run(len(measures)) if line is None else [measure.cell(line) for measure in measures]


def _not_run(n: int, why: str = "not run") -> list[Entry]:
    return [Entry(why, missing=True), *(Entry() for _ in range(n - 1))]


def _printed_measures(number: int, row: str, measures: Sequence[Measure]) -> list[Entry]:
    return _printed(number, row, [measure.printed for measure in measures])


def _printed(number: int, row: str, columns: Sequence[str]) -> list[Entry]:
    """Cells as the paper prints them, with a footnote on those that its own counts contradict."""
    paper = published_table(number)
    if row not in paper.index:
        return [Entry("\N{EN DASH}") for _ in columns]
    line, noted = paper.loc[row], NOTED.get((number, row), ())
    return [
        Entry(str(line[name]).replace("n/a", "\N{EN DASH}"), note=str(line["note"]) if name in noted else "")
        for name in columns
    ]


def _folds(names: Iterable[str]) -> list[str]:
    """The paper's folds and what others there are."""
    return sorted({*map(str, range(1, 6)), *(name for name in names if name.isdigit())}, key=int)


def _in_study(study: StudyResults, name: str) -> str:
    return "+".join(study.resolutions[part] for part in name.split("+"))


def _label(study: StudyResults, name: str) -> str:
    """The paper's name of a resolution, and the study's where it is another."""
    ours = _in_study(study, name)
    return name if name == ours else f"{name} ({ours})"


def notes_of(study: StudyResults, *, counted: bool = True) -> tuple[str, ...]:
    """What stands under each table: the rule, where numbers are counted by it, and what the study is."""
    notes = []
    if counted:
        notes.append(
            f"This study: hits by the {study.label}; beside the rates their 95 % intervals, bootstrap over "
            "persons. The paper: its own patients, IoU > 0.8 on the labelled slice."
        )
    other = [name for name, ours in study.resolutions.items() if ours != name]
    if other:
        words = [f"{study.resolutions[name]} stands for {name}" for name in other]
        notes.append(f"In this study {' and '.join(words)}; their protocols are not the paper's.")
    return (*notes, _SIMULATED) if study.simulated else tuple(notes)


def _table(number: int, columns: Sequence[Column], rows: Sequence[Row], notes: Sequence[str], words: int = 1) -> Table:
    return Table(
        f"table-{number}",
        TABLES[number],
        tuple(columns),
        tuple(rows),
        tuple(notes),
        words,
        f"Table {number}",
    )
