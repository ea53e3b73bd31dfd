"""Tables are tab-separated text with ``n/a`` for nothing (BIDS); their columns are checked when they are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ..errors import DataError, MissingError

__all__ = ["read_tsv", "write_tsv"]


def read_tsv(path: Path, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table and check that it has the columns asked for.

    Parameters
    ----------
    path : Path
    columns : sequence of str
        Columns that must be there; others are kept.

    Returns
    -------
    DataFrame
        Columns whose name ends in ``_id`` are text; ``n/a`` becomes NaN.

    Raises
    ------
    MissingError, DataError
    """
    if not path.is_file():
        raise MissingError(f"{path}: table not found. Run the step that makes it, or check the folder's name.")
    try:
        head = pd.read_csv(path, sep="\t", nrows=0).columns
        text = {name: str for name in head if name.endswith("_id")}
        frame = pd.read_csv(path, sep="\t", na_values=["n/a"], dtype=text)
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: not a tab-separated table ({error}). Write it again as TSV with one header line."
        ) from error
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise DataError(
            f"{path}: column{'s' * (len(missing) > 1)} {', '.join(missing)} missing; found {', '.join(frame.columns)}. "
            "The file must be tab-separated with these names in its first line."
        )
    return frame


def write_tsv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table; floats with six significant digits so that equal results are equal files."""
    frame.to_csv(path, sep="\t", index=False, na_rep="n/a", float_format="%.6g", lineterminator="\n")
