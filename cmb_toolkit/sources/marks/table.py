"""Marks in a table of text, tab-, semicolon- or comma-separated, of one subject or of all."""

from __future__ import annotations

from pathlib import Path

from ...io.tables import ANY_SIGN, read_tsv
from .base import MarkOptions, Reading
from .rows import column_of, counted_as, points_of, whole_place

__all__ = ["read"]


def read(path: Path, options: MarkOptions) -> Reading:
    """Read a table of marks, a mark a line.

    Raises
    ------
    MissingError, DataError
    """
    frame = read_tsv(path, heading=column_of, between=ANY_SIGN)
    points = points_of(str(path), frame, [f"{path}: line {line}" for line in range(2, len(frame) + 2)])
    return Reading(f"table, {counted_as(whole_place(list(frame.columns)), options)}", points)
