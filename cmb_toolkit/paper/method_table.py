"""All methods on the same scans: what Table 9 of the paper would have to hold."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..detectors import DETECTORS
from ..errors import DataError
from ..evaluation.comparison import compare
from ..evaluation.results import CellResult
from ..report.table import Column, Entry, Row, Table
from .measures import FPAVG, PRECISION, SENSITIVITY
from .tables import StudyResults, notes_of, seconds_entry

__all__ = ["decided_by", "method_table", "methods_of"]

_DASH = Entry("\N{EN DASH}")


def methods_of(study: StudyResults, resolution: str) -> Iterator[tuple[str, list[CellResult]]]:
    """Each method that was evaluated on a resolution (the study's name), YOLO first: its name and its cells."""
    for name, detector in DETECTORS.items():
        cells = study.select(resolution, name if detector.finder else study.input)
        if cells:
            yield name, cells


def decided_by(cells: Sequence[CellResult]) -> str:
    """The stage whose findings are the method's answer: both together where there is a second."""
    return "overall" if any(each.stage == "overall" for cell in cells for each in cell.stages) else "stage1"


def method_table(study: StudyResults) -> Table | None:
    """Every method beside YOLO with its 3D-CNN, on the test subjects of the folds that it has; None where there is one
    alone."""
    rows: list[Row] = []
    for name, ours in study.resolutions.items():
        every = dict(methods_of(study, ours))
        if len(every) > 1:
            first = every.get("yolo")
            rows += [
                Row((Entry(f"{name}, {method}"), *_entries(study, method, cells, first)), begins=n == 0)
                for n, (method, cells) in enumerate(every.items())
            ]
    if not rows:
        return None
    columns = (
        Column("Method"),
        Column("Folds"),
        *(Column(measure.name, "Candidates") for measure in (SENSITIVITY, FPAVG)),
        *(Column(measure.name, "What is called") for measure in (SENSITIVITY, FPAVG, PRECISION)),
        Column("FPavg, controls", "What is called"),
        Column("Seconds a subject"),
        Column("Parameters"),
        Column("Sensitivity (points)", "More than YOLO and 3D-CNN"),
        Column("FPavg", "More than YOLO and 3D-CNN"),
    )
    notes = (
        "The same scans, folds and rule for all; thresholds chosen on validation subjects. yolo is the paper's method. "
        "The last columns are of the folds that both have, with 95 % intervals: the same persons drawn for both.",
        *notes_of(study),
    )
    return Table("methods", "Every method on the same scans", columns, tuple(rows), notes)


def _entries(
    study: StudyResults, method: str, cells: Sequence[CellResult], first: Sequence[CellResult] | None
) -> list[Entry]:
    stage = decided_by(cells)
    seen, called = (_whole(study.lines(cells, each)) for each in ("stage1", stage))
    names = [cell.cell for cell in cells]
    seconds = [seconds_entry(study, names, each).text for each in ("stage1", "stage2")]
    known = [float(text) for text in seconds if text != _DASH.text]
    parameters = {study.parameters[name] for name in names if name in study.parameters}
    candidates = [_DASH, _DASH] if DETECTORS[method].alone else _measured(seen, SENSITIVITY, FPAVG)
    controls = float(called["controls_fp_per_subject"]) if called else math.nan
    return [
        Entry(f"{len(cells)}"),
        *candidates,
        *_measured(called, SENSITIVITY, FPAVG, PRECISION),
        _DASH if math.isnan(controls) else Entry(f"{controls:.2f}"),
        Entry(f"{sum(known):.3g}") if known else _DASH,
        Entry(f"{parameters.pop():,}") if len(parameters) == 1 else _DASH,
        *(_more(study, cells, first) if first is not None and method != "yolo" else (_DASH, _DASH)),
    ]


def _whole(lines: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Of all folds together, or of the only one."""
    return lines.get("all", next(iter(lines.values()), None))


def _measured(line: Mapping[str, Any] | None, *measures: Any) -> list[Entry]:
    return [_DASH if line is None else measure.cell(line) for measure in measures]


def _more(study: StudyResults, cells: Sequence[CellResult], first: Sequence[CellResult]) -> tuple[Entry, Entry]:
    """Differences of sensitivity and of false positives a subject, on the folds that both have."""
    folds = {cell.fold for cell in cells} & {cell.fold for cell in first}
    tables = []
    for side in (first, cells):
        mine = [cell.cell for cell in side if cell.fold in folds]
        of = study.subjects["cell"].isin(mine) & (study.subjects["rule"] == study.rule)
        stage = (study.subjects["role"] == "test") & (study.subjects["stage"] == decided_by(side))
        tables.append(study.subjects[of & stage])
    try:
        lines = compare(*tables).set_index("rate")
    except DataError:  # not the same subjects, or none
        return _DASH, _DASH
    return _difference(lines.loc["sensitivity"], 100, 1), _difference(lines.loc["fp_per_subject"], 1, 2)


def _difference(line: Any, scale: float, digits: int) -> Entry:
    value, low, high = (f"{scale * line[name]:+.{digits}f}" for name in ("difference", "low", "high"))
    return Entry(value, (low, high))
