"""Tables are tab-separated text with ``n/a`` for nothing (BIDS); their columns are checked when they are read."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ..errors import DataError, MissingError

__all__ = ["read_tsv", "tsv_text", "write_tsv"]

_TEXT = {"resolution", "scanner", "group", "role", "magnitude", "phase", "swi", "mask"}
"""Columns that stay text even where every value looks like a number or all are missing."""

_TEXT_ENDINGS = ("_id", "_stage1", "_stage2", "_overall")
"""Endings of more of them: identifiers, and what became of microbleeds and candidates."""


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
        Identifiers, names and paths are text; ``n/a`` and empty cells become NaN.

    Raises
    ------
    MissingError
        If there is no such file or it may not be read.
    DataError
        If it is not a table, or a column is missing.
    """
    if not path.is_file():
        raise MissingError(f"{path}: table not found. Run the step that makes it, or check the folder's name.")
    try:
        # utf-8-sig: spreadsheets put a byte order mark before the first column's name
        head = pd.read_csv(path, sep="\t", nrows=0, encoding="utf-8-sig").columns
        text = {name: str for name in head if name.endswith(_TEXT_ENDINGS) or name in _TEXT}
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # cells beyond the header's would be dropped
            frame = pd.read_csv(path, sep="\t", na_values=["n/a"], dtype=text, index_col=False, encoding="utf-8-sig")
    except OSError as error:
        raise MissingError(f"{path}: cannot be read ({error.strerror}). Check the file's permissions.") from error
    except pd.errors.ParserWarning as error:
        raise DataError(
            f"{path}: rows have more cells than the header's {len(head)}. "
            "Name every column in the first line, or remove what follows the last one (a trailing tab, for instance)."
        ) from error
    except ValueError as error:
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


def tsv_text(frame: pd.DataFrame) -> str:
    """A table as text; floats with six significant digits so that equal results are equal files."""
    text: str = frame.to_csv(None, sep="\t", index=False, na_rep="n/a", float_format="%.6g", lineterminator="\n")
    return text


def write_tsv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as :func:`tsv_text` has it."""
    path.write_text(tsv_text(frame), "utf-8", newline="\n")
