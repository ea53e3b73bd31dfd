"""The cells of a study put together: counts, rates and intervals by fold and of all folds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ..errors import DataError
from ..model import Counts
from .intervals import bootstrap
from .results import CellResult

__all__ = ["common_label", "in_order", "result_rows", "result_warnings"]

_Interval = tuple[float, float]
_LINKED = re.compile(r" \(boxes linked within [^)]*\)$")


def result_rows(results: Sequence[CellResult], subjects: pd.DataFrame, rule: str, stage: str) -> pd.DataFrame:
    """Counts, rates and intervals of one stage, one row per fold and one for all folds.

    Returns
    -------
    DataFrame
        resolution, input, repeat, fold, rule, stage; subjects, microbleeds, tp, fn, fp, duplicates; sensitivity,
        precision, f1, fp_per_subject (rates 0..1), each with ``_low`` and ``_high`` (95 %, bootstrap over persons);
        controls, controls_fp, controls_fp_per_subject and, for stage 2, specificity. Controls are scanned in every
        fold, so that the row of all folds counts each of them once per fold. NaN where there is no denominator.
    """
    found = [(cell, cell.find(rule, "test", stage), cell.find(rule, "control", stage)) for cell in results]
    rows = []
    tested = [each for each in found if each[1] or each[2]]
    for cell, test, control in tested:
        own, healthy = (each.counts if each else Counts() for each in (test, control))
        intervals = test.intervals if test else {}
        duplicates = test.duplicates if test else 0
        rows.append(_row(cell, cell.fold, rule, stage) | _numbers(own, healthy, duplicates, intervals, stage))
    if len(tested) > 1:
        own = sum((test.counts for _, test, _ in tested if test), Counts())
        healthy = sum((control.counts for _, _, control in tested if control), Counts())
        duplicates = sum(test.duplicates for _, test, _ in tested if test)
        of = subjects["cell"].isin([cell.cell for cell, _, _ in tested])
        table = subjects[of & (subjects["rule"] == rule) & (subjects["role"] == "test") & (subjects["stage"] == stage)]
        numbers = _numbers(own, healthy, duplicates, bootstrap(table), stage)
        rows.append(_row(tested[0][0], "all", rule, stage) | numbers)
    return pd.DataFrame(rows)


def result_warnings(results: Sequence[CellResult]) -> list[str]:
    """Sentences on what should be known before the numbers of these cells are believed: each once, with its cells."""
    said: dict[str, list[str]] = {}
    for cell in sorted(results, key=in_order):
        unknown = cell.leak_check.unknown if cell.leak_check else ()
        for source in unknown:
            said.setdefault(f"whether persons tested were learned from is unknown ({source})", []).append(cell.cell)
        for warning in cell.warnings:
            said.setdefault(warning, []).append(cell.cell)
    return [f"Warning, {', '.join(cells)}: {warning}." for warning, cells in said.items()]


def in_order(cell: CellResult) -> tuple[str, str, int, int, str]:
    """Key to sort cells by: resolution, input and repeat; numbered folds by their number."""
    return *cell.group, int(cell.fold) if cell.fold.isdigit() else 0, cell.fold


def common_label(results: Sequence[CellResult], rule: str) -> str:
    """A rule in words, the same for all cells.

    Lesions that stage 1 found as such and lesions that the evaluation put together from boxes are both lesions: cells
    with either stand in one table.

    Raises
    ------
    DataError
        If the cells were evaluated with different distances, whose numbers must not be mixed.
    """
    labels = {cell.cell: cell.rules.get(rule, "not evaluated") for cell in results}
    said = set(labels.values())
    plain = {_LINKED.sub("", label) for label in said}
    if len(plain) != 1 or len(said - plain) > 1:
        listed = "; ".join(f"{cell}: {label}" for cell, label in labels.items())
        raise DataError(
            f"the cells were evaluated under different rules ({listed}), whose numbers must not stand in one table. "
            "Run `cmbtk evaluate` on each with the same --distance-mm."
        )
    return next(iter(said if len(said) == 1 else plain))


def _row(cell: CellResult, fold: str, rule: str, stage: str) -> dict[str, Any]:
    return {
        "resolution": cell.resolution,
        "input": cell.input,
        "repeat": cell.repeat,
        "fold": fold,
        "rule": rule,
        "stage": stage,
    }


def _numbers(
    own: Counts, healthy: Counts, duplicates: int, intervals: Mapping[str, _Interval], stage: str
) -> dict[str, Any]:
    nothing = (float("nan"), float("nan"))
    rates = {name: getattr(own, name) for name in ("sensitivity", "precision", "f1", "fp_per_subject")}
    return {
        "subjects": own.subjects,
        "microbleeds": own.tp + own.fn,
        "tp": own.tp,
        "fn": own.fn,
        "fp": own.fp,
        "duplicates": duplicates,
        **rates,
        **{f"{name}_low": intervals.get(name, nothing)[0] for name in rates},
        **{f"{name}_high": intervals.get(name, nothing)[1] for name in rates},
        "controls": healthy.subjects,
        "controls_fp": healthy.fp,
        "controls_fp_per_subject": healthy.fp_per_subject,
        "specificity": healthy.specificity if stage == "stage2" else float("nan"),
    }
