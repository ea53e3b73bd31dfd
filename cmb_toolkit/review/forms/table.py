"""Verdicts in a table of text, tab-, semicolon- or comma-separated: the one that was handed out, filled in."""

from __future__ import annotations

from pathlib import Path

from ...errors import DataError
from ...io.tables import ANY_SIGN, read_tsv
from .base import Returned
from .rows import column_of, rows_of

__all__ = ["read"]


def read(path: Path) -> Returned:
    """Read a table with a column verdict.

    Raises
    ------
    MissingError, DataError
    """
    frame = read_tsv(path, heading=column_of, checked=(), between=ANY_SIGN, cure="Check the path of the table.")
    if "verdict" not in frame:
        raise DataError(
            f"{path}: has no column verdict; found {', '.join(frame.columns)[:200]}. Fill in the table that `cmbtk "
            "review write` made."
        )
    return Returned("table", rows_of(frame, [f"{path}: line {line}" for line in range(2, len(frame) + 2)]))
