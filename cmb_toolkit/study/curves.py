"""Sensitivity against false positives of cells that belong together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ..evaluation.intervals import bootstrap
from ..evaluation.metrics import pool_froc
from ..evaluation.results import CellResult
from ..evaluation.summary import common_label
from ..io.tables import read_tsv
from ..model import Counts
from ..report.figures import OperatingPoint, draw_froc
from .layout import Cell

__all__ = ["draw_group_froc", "whole_curve"]


def draw_group_froc(members: Sequence[tuple[CellResult, Cell]], rule: str, title: str, out: Path) -> bool:
    """Draw the curves of cells that belong together, by fold and all of them; False where there is no curve."""
    curves, points = [], {}
    for stage in ("stage1", "overall"):
        own = [(result, _curve(cell, rule, stage)) for result, cell in members]
        own = [(result, curve) for result, curve in own if len(curve)]
        if not own:
            continue
        curves += [curve.assign(fold=result.fold, stage=stage) for result, curve in own]
        counts = sum((_counts(result, rule, stage) for result, _ in own), Counts())
        if len(own) > 1:
            pooled = pool_froc([curve for _, curve in own], counts.tp + counts.fn, counts.subjects)
            curves.append(pooled.assign(fold="all", stage=stage))
        table = pd.concat([_subjects(cell, rule, stage) for _, cell in members], ignore_index=True)
        points[stage] = [_point([result for result, _ in own], stage, counts, table)]
    if curves:
        label = common_label([result for result, _ in members], rule)
        draw_froc(pd.concat(curves), points, label, title, out)
    return bool(curves)


def whole_curve(members: Sequence[tuple[CellResult, Cell]], rule: str, stage: str) -> pd.DataFrame:
    """The curve of one stage on the test subjects of cells that differ in the fold, put together.

    Returns
    -------
    DataFrame
        threshold, sensitivity, fp_per_subject, ...; empty where there is none.
    """
    curves = [(result, curve) for result, cell in members if len(curve := _curve(cell, rule, stage))]
    if len(curves) < 2:
        return curves[0][1] if curves else pd.DataFrame(columns=["sensitivity", "fp_per_subject"])
    counts = sum((_counts(result, rule, stage) for result, _ in curves), Counts())
    return pool_froc([curve for _, curve in curves], counts.tp + counts.fn, counts.subjects)


def _curve(cell: Cell, rule: str, stage: str) -> pd.DataFrame:
    columns = ["rule", "role", "stage", "threshold", "sensitivity", "fp_per_subject", "tp", "fp", "duplicates"]
    table = read_tsv(cell.evaluation / "froc.tsv", columns)
    return table[(table["rule"] == rule) & (table["role"] == "test") & (table["stage"] == stage)]


def _subjects(cell: Cell, rule: str, stage: str) -> pd.DataFrame:
    table = read_tsv(cell.evaluation / "subjects.tsv", ["rule", "role", "stage", "tp", "fn", "fp"])
    return table[(table["rule"] == rule) & (table["role"] == "test") & (table["stage"] == stage)]


def _counts(result: CellResult, rule: str, stage: str) -> Counts:
    found = result.find(rule, "test", stage)
    return found.counts if found else Counts()


def _point(results: list[CellResult], stage: str, counts: Counts, table: pd.DataFrame) -> OperatingPoint:
    intervals = bootstrap(table)
    name, score = {"stage1": ("stage1", "confidence"), "overall": ("stage2", "probability")}[stage]
    values = {result.thresholds[name].value for result in results if name in result.thresholds}
    label = f"{score} >= {values.pop():.3g}" if len(values) == 1 else "as chosen in each fold"
    return OperatingPoint(
        label, counts.sensitivity, counts.fp_per_subject, intervals["sensitivity"], intervals["fp_per_subject"]
    )
