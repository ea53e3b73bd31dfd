"""What the paper's tables do not show: sensitivity at fixed false positives, which microbleeds, which mimics, and how
much depends on the seed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from ..evaluation.comparison import pool_seeds
from ..evaluation.cpm import RATES
from ..evaluation.results import CellResult
from ..model import Counts
from ..report.rates import RATES as REPORTED
from ..report.table import Column, Entry, Row, Table
from ..wording import counted
from .tables import StudyResults

__all__ = ["further_tables"]


_STAGES = {"stage1": "stage 1", "overall": "both stages"}

_PROPERTIES = {"diameter_mm": "Diameter (mm)", "contrast": "Contrast", "region": "Region"}

_DASH = Entry("\N{EN DASH}")


def further_tables(study: StudyResults) -> tuple[Table, ...]:
    """Average sensitivity, sensitivity by stratum, false positives by kind, and several trainings of the same; those
    that there is something for."""
    cells = {name: study.select(ours, study.input) for name, ours in study.resolutions.items()}
    tables = (_average_sensitivity(study, cells), _strata(study, cells), _natures(study, cells), _repeats(study))
    return tuple(table for table in tables if table.rows)


def _average_sensitivity(study: StudyResults, cells: Mapping[str, Sequence[CellResult]]) -> Table:
    names = ["1/8", "1/4", "1/2", *(f"{rate:g}" for rate in RATES[3:])]
    columns = [
        Column("Data"),
        *(Column(name, "Sensitivity (%) at so many false positives a subject") for name in names),
    ]
    columns += [Column("Mean of folds", "Average (%)"), Column("Lowest to highest fold", "Average (%)")]
    rows = []
    for name, mine in cells.items():
        for stage, words in _STAGES.items():
            found = [cell.find(study.rule, "test", stage) for cell in mine]
            known = [each.cpm for each in found if each and each.cpm]
            if not known:
                continue
            at = [fmean(each.sensitivity[n] for each in known) for n in range(len(RATES))]
            values = [each.value for each in known]
            between = f"{100 * min(values):.1f}\N{EN DASH}{100 * max(values):.1f}"
            heading = f"{name}, {words}, {counted(len(known), 'fold')}"
            cells_of = [Entry(f"{100 * value:.1f}") for value in (*at, fmean(values))]
            rows.append(Row((Entry(heading), *cells_of, Entry(between)), begins=stage == "stage1"))
    notes = (
        f"Hits by the {study.label}. Each value is the mean of the folds; the average is the CPM of the LUNA16 "
        "challenge. A curve that ends before a rate, at the threshold in use, keeps its last sensitivity there.",
    )
    title = "Average sensitivity on the test subjects"
    return Table("average-sensitivity", title, tuple(columns), tuple(rows), notes)


def _strata(study: StudyResults, cells: Mapping[str, Sequence[CellResult]]) -> Table:
    have = {name: mine for name, mine in cells.items() if any(cell.strata for cell in mine)}
    columns = [Column("Microbleeds")]
    for name in have:
        columns += [Column(heading, name) for heading in ("Number", "Found by stage 1 (%)", "Kept by stage 2 (%)")]
    keys = {(by, str(line["stratum"])) for mine in have.values() for by, line in _lines(study, mine, "test")}
    rows = []
    for by, heading in _PROPERTIES.items():
        for n, stratum in enumerate(sorted((stratum for each, stratum in keys if each == by), key=_order)):
            values: list[Entry] = []
            for mine in have.values():
                sums = _sums(study, mine, "test", by, stratum)
                total = sums["stage1", "microbleeds"]
                values.append(Entry(f"{total}") if total else _DASH)
                for stage in _STAGES:
                    known = sums[stage, "microbleeds"]
                    values.append(Entry(f"{100 * sums[stage, 'found'] / known:.1f}") if known else _DASH)
            label = f"{heading} {stratum}" if by != "region" else f"{heading}: {stratum}"
            rows.append(Row((Entry(label), *values), begins=n == 0))
    notes = (
        f"Test subjects of all folds; hits by the {study.label}. Apparent diameter and contrast as the truth has them.",
    )
    return Table("strata", "Sensitivity by what is known of the microbleeds", tuple(columns), tuple(rows), notes)


def _natures(study: StudyResults, cells: Mapping[str, Sequence[CellResult]]) -> Table:
    """False positives a subject, by what lies there; patients and healthy controls apart."""
    groups = [
        (name, role, mine)
        for name, mine in cells.items()
        for role in ("test", "control")
        if any(by == "nature" for by, _ in _lines(study, mine, role))
    ]
    words = {"test": "patients", "control": "controls"}
    columns = [Column("What lies there")]
    columns += [Column(_STAGES[stage], f"{name}, {words[role]}") for name, role, _ in groups for stage in _STAGES]
    kinds = {
        str(line["stratum"]) for _, role, mine in groups for by, line in _lines(study, mine, role) if by == "nature"
    }
    rows = []
    for kind in [*sorted(kinds - {"edge", "other"}), *sorted(kinds & {"edge", "other"})]:
        values = []
        for _, role, mine in groups:
            sums = _sums(study, mine, role, "nature", kind)
            values += [_per_subject(sums[stage, "false_positives"], study, mine, role, stage) for stage in _STAGES]
        rows.append(Row((Entry(kind.replace("_", " ")), *values)))
    if rows:
        totals = []
        for _, role, mine in groups:
            for stage in _STAGES:
                found = [cell.find(study.rule, role, stage) for cell in mine]
                totals.append(_per_subject(sum(each.counts.fp for each in found if each), study, mine, role, stage))
        rows.append(Row((Entry("all"), *totals), total=True))
    notes = (
        f"False positives a scan, all folds, by the {study.label}. What a simulated scan's truth lists within 3 mm: a "
        "microbleed where the rule is stricter than that, mimics by their kinds; else the edge of the brain mask "
        "within 2 mm; else something other, such as noise.",
    )
    return Table("false-positives", "What false positives are", tuple(columns), tuple(rows), notes)


def _repeats(study: StudyResults) -> Table:
    """Rates over the folds of each training, for cells that were trained more than once."""
    columns = (Column("Data"), Column("Trainings"), *(Column(rate.heading) for rate in REPORTED.values()))
    rows = []
    for resolution, input_name in dict.fromkeys(cell.group[:2] for cell in study.cells):
        trainings: dict[int, dict[str, CellResult]] = {}
        for cell in study.cells:
            if cell.group[:2] == (resolution, input_name) and cell.fold.isdigit():
                trainings.setdefault(cell.repeat, {})[cell.fold] = cell
        if len(trainings) < 2:
            continue
        folds = set.intersection(*(set(mine) for mine in trainings.values()))
        for stage, words in _STAGES.items():
            found = [[mine[fold].find(study.rule, "test", stage) for fold in folds] for mine in trainings.values()]
            if not folds or not all(all(each) for each in found):
                continue
            pooled = pool_seeds([sum((one.counts for one in each if one), Counts()) for each in found])
            lines = {line["rate"]: line for line in pooled.to_dict("records")}
            values = [_range(lines[rate]) for rate in REPORTED]
            heading = f"{resolution}, {input_name}, {words}, {counted(len(folds), 'fold')}"
            rows.append(Row((Entry(heading), Entry(f"{len(trainings)}"), *values), begins=stage == "stage1"))
    notes = (
        f"Mean of the trainings, in parentheses the lowest and the highest; hits by the {study.label}. Each training "
        "has a seed of its own: first weights, order and augmentation. Folds that not all of them have are left out.",
    )
    return Table("repeats", "The same trained several times", columns, tuple(rows), notes)


def _range(line: Mapping[Any, Any]) -> Entry:
    if math.isnan(line["mean"]):
        return _DASH
    rate = REPORTED[line["rate"]]
    mean, low, high = (f"{rate.scale * line[name]:.{rate.digits}f}" for name in ("mean", "low", "high"))
    return Entry(f"{mean} ({low}\N{EN DASH}{high})")


def _per_subject(number: int, study: StudyResults, cells: Sequence[CellResult], role: str, stage: str) -> Entry:
    found = [cell.find(study.rule, role, stage) for cell in cells]
    scans = sum(each.counts.subjects for each in found if each)
    return Entry(f"{number / scans:.2f}") if scans else _DASH


def _lines(study: StudyResults, cells: Sequence[CellResult], role: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for cell in cells:
        for line in cell.strata:
            if (line["rule"], line["role"]) == (study.rule, role):
                yield str(line["by"]), line


def _sums(
    study: StudyResults, cells: Sequence[CellResult], role: str, by: str, stratum: str
) -> dict[tuple[str, str], int]:
    """Numbers of one stratum by stage and column, over all cells."""
    columns = ("microbleeds", "found", "false_positives")
    sums = {(stage, column): 0 for stage in _STAGES for column in columns}
    for each, line in _lines(study, cells, role):
        if (each, str(line["stratum"])) == (by, stratum):
            for column in columns:
                sums[str(line["stage"]), column] += int(line[column] or 0)
    return sums


def _order(stratum: str) -> tuple[float, str]:
    """By the limit where a stratum begins; names without numbers in their own order."""
    number = re.search(r"\d+(\.\d+)?", stratum)
    return (float(number[0]) if number and not stratum.startswith("<") else -1.0, stratum)
