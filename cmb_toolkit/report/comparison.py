"""Two detectors side by side, as text."""

from __future__ import annotations

import math

import pandas as pd

from ..evaluation.comparison import Comparison
from .screen import Block, Page

__all__ = ["comparison_page"]

_TITLES = {"stage1": "Stage 1, candidates", "overall": "Both stages together"}

_RATES = {
    "sensitivity": ("sensitivity %", 100, 1),
    "precision": ("precision %", 100, 1),
    "f1": ("F1 %", 100, 1),
    "fp_per_subject": ("FPavg", 1, 2),
}
"""Heading of a rate, what it is multiplied by, and digits."""


def comparison_page(comparison: Comparison) -> Page:
    """The tables of a comparison."""
    blocks = [Block(_TITLES[stage], _text(table)) for stage, table in comparison.stages.items()]
    folds = f"fold{'s' * (len(comparison.folds) != 1)} {', '.join(comparison.folds)}"
    return Page(
        f"{comparison.names[1]} against {comparison.names[0]}",
        tuple(blocks),
        (
            f"{comparison.subjects} test subjects with {comparison.microbleeds} microbleeds, {folds}; "
            f"{comparison.label}. Difference: second less first. 95 %: bootstrap over persons, the same for both.",
        ),
    )


def _text(table: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for line in table.to_dict("records"):
        name, scale, digits = _RATES[line["rate"]]
        values = [_number(scale * line[side], digits) for side in ("first", "second")]
        difference = _number(scale * line["difference"], digits, "+")
        low, high = (_number(scale * line[end], digits, "+") for end in ("low", "high"))
        rows.append((name, *values, difference, "-" if low == "-" else f"{low} to {high}"))
    return pd.DataFrame(rows, columns=["", "first", "second", "difference", "95 %"])


def _number(value: float, digits: int, sign: str = "") -> str:
    return "-" if math.isnan(value) else f"{value:{sign}.{digits}f}"
