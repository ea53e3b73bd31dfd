"""Verdicts in a list of points of 3D Slicer: what is left is a microbleed, what was taken out or unticked is none.

A description that begins with a verdict, ``no: vein``, says more than that.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...schema import WORLD
from ...sources.marks import slicer_fcsv, slicer_json
from ...sources.marks.slicer_json import Control
from ..words import mimic_of, verdict_of
from .base import Returned
from .rows import in_columns

__all__ = ["read", "read_old"]

_MOST_DIGITS = 6


def read(path: Path) -> Returned:
    """Read a file of point lists, ``.mrk.json``.

    Raises
    ------
    MissingError, DataError
    """
    return _returned(*slicer_json.controls(path))


def read_old(path: Path) -> Returned:
    """Read a list of points, ``.fcsv``.

    Raises
    ------
    MissingError, DataError
    """
    return _returned(*slicer_fcsv.controls(path))


def _returned(points: Sequence[Control], system: str) -> Returned:
    rows, unplaced = [], []
    for point in points:
        number = _id(point.label)
        if point.selected and point.place is None:
            unplaced += [number] if number is not None else []
            continue
        if not point.selected and number is None:
            continue  # of a point of his own a reader says that it is none
        word, mimic = _said(point.description)
        row: dict[str, object] = {"where": point.where, "id": number, "mimic": mimic}
        row["verdict"] = (word or "yes") if point.selected else "no"
        rows.append(row | (dict(zip(WORLD, point.place, strict=True)) if point.place else {}))
    return Returned(f"3D Slicer points, {system}", in_columns(rows), whole=True, unplaced=tuple(unplaced))


def _id(label: str) -> int | None:
    text = label.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None


def _said(description: str) -> tuple[str, str]:
    """Verdict and mimic that a description begins with."""
    word, sign, rest = description.partition(":")
    verdict = verdict_of(word)
    return (verdict, mimic_of(rest) if sign else "") if verdict else ("", "")
