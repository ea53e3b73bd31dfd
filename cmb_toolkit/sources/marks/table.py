"""Marks in a table of text, tab-, semicolon- or comma-separated, of one subject or of all; of 3D Slicer as well."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ...io.tables import ANY_SIGN, as_number, read_tsv
from ...schema import WORLD
from .base import CHECK, MarkOptions, Reading
from .rows import KNOWN, column_of, counted_as, points_of, whole_place
from .slicer_json import TO_RAS

__all__ = ["read"]

_SLICER = {"LPS": ("l", "p", "s"), "RAS": ("r", "a", "s")}
"""Columns of the table that 3D Slicer exports control points to, by their coordinates."""

_FLAGS = {"defined": "not placed", "selected": "not selected"}
"""Columns of it with 0 for points that are left out, and why they are."""


def read(path: Path, options: MarkOptions) -> Reading:
    """Read a table of marks, a mark a line.

    Raises
    ------
    MissingError, DataError
    """
    frame = read_tsv(path, heading=column_of, checked=KNOWN, between=ANY_SIGN, cure=CHECK)
    where = pd.Series([f"{path}: line {line}" for line in range(2, len(frame) + 2)], index=frame.index, dtype=object)
    system = next((name for name, columns in _SLICER.items() if set(columns) <= set(frame.columns)), None)
    if system is None or whole_place(list(frame.columns)):
        points = points_of(str(path), frame, where.tolist())
        return Reading(f"table, {counted_as(whole_place(list(frame.columns)), options)}", points)
    left_out = {}
    for flag, why in _FLAGS.items():
        dropped = frame[flag].map(as_number) == 0 if flag in frame else pd.Series(False, index=frame.index)
        if dropped.any():
            left_out[why] = int(dropped.sum())
        frame = frame[~dropped]
    for own, column, sign in zip(_SLICER[system], WORLD, TO_RAS[system], strict=True):
        frame = frame.assign(**{column: frame[own].map(as_number) * sign})
    points = points_of(str(path), frame, where[frame.index].tolist())
    return Reading(f"3D Slicer points, {system}", points, left_out=left_out)
