"""What has changed since an earlier scan, as the page says it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from .content import Changes, Shown
from .grid import slice_number, to_voxel
from .words import number, probability

__all__ = ["Gone", "change_words", "gone", "numbers_said"]


@dataclass(frozen=True)
class Gone:
    """A line on a finding of the earlier scan that is none in this one."""

    id: int
    change: str
    slice: str
    place: str
    diameter: str
    probability: str
    now: str


def numbers_said(changes: Changes) -> str:
    """How many findings are new, unchanged and gone, and where there are such, how many could not be seen."""
    numbers = changes.numbers
    unseen = {"unseen": "outside the earlier scan", "unseen now": "of the earlier scan outside this one"}
    said = [f"{numbers[word]} {word}" for word in ("new", "unchanged", "gone")]
    return ", ".join(said + [f"{numbers[word]} {words}" for word, words in unseen.items() if numbers[word]])


def change_words(row: Mapping[Any, Any]) -> str:
    """What a finding was in the earlier scan; empty where that is not known."""
    change = row.get("change")
    if change == "unchanged":
        return f"unchanged (then {int(row['earlier_id'])})"
    if change == "unseen":
        return "outside the earlier scan"
    if change != "new":
        return ""
    then = float(row["earlier_probability"])
    return "new" if math.isnan(then) else f"new (then a near miss, {probability(then)})"


def gone(table: pd.DataFrame, shown: Shown) -> list[Gone]:
    """Lines on what is gone, with the slice of this scan where it would lie."""
    lines = []
    for row in table.to_dict("records"):
        world = [float(row[axis]) for axis in ("x_mm", "y_mm", "z_mm")]
        k = round(float(to_voxel(shown, world)[2]))
        lines.append(
            Gone(
                int(row["id"]),
                str(row["change"]),
                str(slice_number(shown, k)) if 0 <= k < shown.mask.shape[2] else "–",
                ", ".join(f"{axis:.1f}" for axis in world),
                number(float(row["diameter_mm"]), 1, "mm"),
                probability(float(row["probability"])),
                probability(float(row["probability_now"])),
            )
        )
    return lines
