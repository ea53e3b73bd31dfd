"""Two detectors side by side, as text."""

from __future__ import annotations

import math

import pandas as pd

from ..evaluation.comparison import Comparison
from ..wording import plural
from .rates import RATES, STAGE_TITLES
from .screen import Page
from .table import plain_table

__all__ = ["comparison_page"]


def comparison_page(comparison: Comparison) -> Page:
    """The tables of a comparison."""
    tables = [plain_table(stage, STAGE_TITLES[stage], _text(table)) for stage, table in comparison.stages.items()]
    folds = f"{plural(len(comparison.folds), 'fold')} {', '.join(comparison.folds)}"
    return Page(
        f"{comparison.names[1]} against {comparison.names[0]}",
        tuple(tables),
        (
            f"{comparison.subjects} test subjects with {comparison.microbleeds} microbleeds, {folds}; "
            f"{comparison.label}. Difference: second less first. 95 %: bootstrap over persons, the same for both.",
        ),
    )


def _text(table: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for line in table.to_dict("records"):
        rate = RATES[line["rate"]]
        values = [_number(rate.scale * line[side], rate.digits) for side in ("first", "second")]
        difference, low, high = (
            _number(rate.scale * line[column], rate.digits, "+") for column in ("difference", "low", "high")
        )
        rows.append((rate.heading, *values, difference, "-" if low == "-" else f"{low} to {high}"))
    return pd.DataFrame(rows, columns=["", "first", "second", "difference", "95 %"])


def _number(value: float, digits: int, sign: str = "") -> str:
    return "-" if math.isnan(value) else f"{value:{sign}.{digits}f}"
