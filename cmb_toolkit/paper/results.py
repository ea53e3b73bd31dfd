"""What a study has to put beside the paper's tables: its evaluated cells, folds, best folds and times."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from ..darknet.cfg import read_cfg
from ..darknet.project import CFG
from ..detectors import DETECTORS, method_of
from ..errors import DataError, UsageError
from ..evaluation.results import CellResult
from ..evaluation.results import evaluate as count
from ..evaluation.rules import rule_named
from ..io.publish import read_record
from ..io.tables import read_tsv
from ..schema import CANDIDATES
from ..study.boxes import as_boxes, is_merged
from ..study.cell import hit_distance_mm, looked_at, read_setup, work_on
from ..study.cohort import read_folds, read_microbleeds, read_participants
from ..study.layout import Cell, Study
from ..study.results import read_result
from ..study.truth import truth_table
from .tables import PAPER_FOLDS, StudyResults

__all__ = ["default_resolutions", "study_results"]


def default_resolutions(study: Study) -> dict[str, str]:
    """The study's names of the paper's HR and LR: the same ones, else that with ``-lr`` at its end and the other."""
    names = list(dict.fromkeys(read_participants(study)["resolution"]))
    high = [name for name in names if not name.lower().endswith("lr")]
    low = [name for name in names if name.lower().endswith("lr")]
    hr = "HR" if "HR" in names or not high else high[0]
    lr = f"{hr}-lr" if f"{hr}-lr" in names else low[0] if low else "LR"
    return {"HR": hr, "LR": lr}


def study_results(
    study: Study,
    cells: Sequence[Cell],
    *,
    resolutions: Mapping[str, str],
    input_name: str,
    rule: str,
    best_fold: str,
) -> StudyResults:
    """Read what the tables are made from.

    Parameters
    ----------
    study : Study
    cells : sequence of Cell
        Evaluated cells.
    resolutions : mapping
        ``HR`` and ``LR`` -> the study's names.
    input_name : str
        Input of tables 3 to 9.
    rule : str
    best_fold : {"validation", "paper"}
        Which fold's weights the healthy subjects are looked at with: the one with the greatest F1 of both stages on
        its validation subjects, or the paper's folds.

    Raises
    ------
    UsageError
        If there are no such choices, or the study has none of the resolutions.
    DataError
        If a file does not hold what it should.
    """
    known = set(read_participants(study)["resolution"])
    if set(resolutions) != {"HR", "LR"} or not known & set(resolutions.values()):
        raise UsageError(
            f"resolutions {dict(resolutions)}: HR and LR must each name one of the study's resolutions, "
            f"{', '.join(sorted(known))}."
        )
    wanted = {*resolutions.values(), "+".join(resolutions[name] for name in ("HR", "LR"))}
    results = [(cell, read_result(cell)) for cell in cells]
    results = [(cell, result) for cell, result in results if result.resolution in wanted]
    if not results:
        raise DataError(f"{study.root}: no cell of {' or '.join(sorted(wanted))} is evaluated. Run `cmbtk evaluate`.")
    if not any(result.find(rule, role, "stage1") for _, result in results for role in ("test", "control")):
        rules = sorted({name for _, result in results for name in result.rules})
        raise UsageError(f"rule {rule!r}: not evaluated in this study; choose from {', '.join(rules)}.")
    best, how = _best_folds(study, results, resolutions, input_name, rule, best_fold)
    subjects = [_subjects(cell) for cell, _ in results]
    return StudyResults(
        resolutions=dict(resolutions),
        input=input_name,
        rule=rule,
        cells=tuple(result for _, result in results),
        subjects=pd.concat(subjects, ignore_index=True),
        cohort=_cohort(study),
        best=best,
        best_how=how,
        seconds=_seconds(study, results),
        parameters={cell.name: count for cell, result in results if (count := _parameters(cell, result))},
    )


def _subjects(cell: Cell) -> pd.DataFrame:
    columns = ["rule", "role", "stage", "participant_id", "microbleeds", "candidates", "tp", "fn", "fp"]
    return read_tsv(cell.evaluation / "subjects.tsv", columns).assign(cell=cell.name)


def _cohort(study: Study) -> pd.DataFrame:
    columns = ["resolution", "fold", "subjects", "microbleeds"]
    if not study.folds.is_file():
        return pd.DataFrame(columns=columns)
    folds = read_folds(study)
    tested = folds[(folds["role"] == "test") & folds["fold"].str.fullmatch(r"\d+")]
    marks = read_microbleeds(study)["participant_id"].value_counts()
    table = tested.assign(
        resolution=tested["participant_id"].map(read_participants(study)["resolution"]),
        microbleeds=tested["participant_id"].map(marks).fillna(0).astype(int),
    )
    sums = table.groupby(["resolution", "fold"]).agg(
        subjects=("participant_id", "size"), microbleeds=("microbleeds", "sum")
    )
    return sums.reset_index()[columns]


def _best_folds(
    study: Study,
    results: Sequence[tuple[Cell, CellResult]],
    resolutions: Mapping[str, str],
    input_name: str,
    rule: str,
    choice: str,
) -> tuple[dict[str, tuple[str, str]], str]:
    if choice == "paper":
        return dict(PAPER_FOLDS), "the folds that the paper took"
    if choice != "validation":
        raise UsageError(f"best fold {choice!r}: must be validation or paper.")
    best = {}
    for name, ours in resolutions.items():
        mine = [
            (cell, result)
            for cell, result in results
            if result.group == (ours, input_name, 1) and result.fold.isdigit()
        ]
        mine.sort(key=lambda each: int(each[1].fold))
        scores = [_validation_f1(study, cell, result, rule) for cell, result in mine]
        if mine:
            # the first of equals; a fold without validation subjects is the last choice
            at = max(range(len(mine)), key=lambda n: -math.inf if math.isnan(scores[n]) else scores[n])
            best[name] = (mine[at][1].fold, mine[at][1].fold)
    return best, "the fold with the greatest F1 of both stages on its validation subjects"


def _validation_f1(study: Study, cell: Cell, result: CellResult, rule: str) -> float:
    """F1 on the validation subjects, of both stages where both have run; counted here where the evaluation did not."""
    stage = "overall" if cell.findings.is_file() else "stage1"
    counted = result.find(rule, "validation", stage)
    if counted is not None:
        return counted.counts.f1
    setup = read_setup(cell)
    names = setup.roles["validation"]
    known = looked_at(cell)
    if not names or "validation" not in (known or ["validation"]):
        return math.nan
    more = ["probability", "kept"] if stage == "overall" else []
    table = cell.findings if more else cell.candidates
    candidates = read_tsv(table, [*CANDIDATES.needed, "confidence", *more])
    truth = truth_table(study, names, size=setup.size, mode=setup.mode)
    if result.count == "per-box" and is_merged(cell):
        candidates = as_boxes(cell, candidates)
    slices = 1 if result.count == "per-lesion" else 0
    judged = rule_named(rule, distance_mm=hit_distance_mm(cell), slices=slices)
    found = count(candidates, truth, {"validation": names}, [judged], link_mm=result.link_mm).stages
    return next(each.counts.f1 for each in found if each.stage == stage)


def _parameters(cell: Cell, result: CellResult) -> int | None:
    """How many numbers its networks have learned; None where one of them does not say."""
    detector = DETECTORS[method_of(result.input)]
    known: list[int | None] = []
    if detector.finder and detector.learns:
        known.append(_noted(cell.network))
    elif not detector.finder:
        known.append(read_cfg(cell.project / CFG).parameters if (cell.project / CFG).is_file() else None)
    if cell.findings.is_file():
        known.append(_noted(cell.cnn))
    return None if None in known else sum(each for each in known if each)


def _noted(network: Path) -> int | None:
    return (read_record(network) or {}).get("parameters_trained")


def _seconds(study: Study, results: Sequence[tuple[Cell, CellResult]]) -> pd.DataFrame:
    """What looking at the scans took, as the steps noted it."""
    rows = []
    for cell, result in results:
        looked_at = [cell.candidates]
        if DETECTORS[method_of(result.input)].finder:  # found subject by subject
            names = [name for names in read_setup(cell).roles.values() for name in names]
            detector = DETECTORS[method_of(result.input)]
            seen_by = detector.found_by or result.input
            looked_at = [cell.found(name) if detector.learns else study.found(seen_by, name) for name in names]
        for stage, tables in (("stage1", looked_at), ("stage2", [cell.findings])):
            works = filter(None, map(work_on, tables))
            rows += [(cell.name, stage, each["seconds"], each["subjects"], each["machine"]) for each in works]
    return pd.DataFrame(rows, columns=["cell", "stage", "seconds", "subjects", "machine"])
