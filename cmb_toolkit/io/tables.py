"""Tables are tab-separated text with ``n/a`` for nothing (BIDS); their columns are checked when they are read."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..aloud import aloud
from ..errors import DataError, MissingError, Problems
from ..names import nfc, shown
from ..schema import FLAGS, VOLUMES, Range, is_text, kind_of
from ..wording import counted, plural
from .files import check_file

__all__ = ["ANY_SIGN", "Line", "as_number", "read_tsv", "table_of", "tsv_text", "write_tsv"]

ANY_SIGN = "\t;,"
"""What may stand between cells of a table that somebody brings; of several in its first line the first of these."""

Line: TypeAlias = tuple[int, list[str]]
"""The number of a line, from 1, and its cells."""

_MOST_NAMES = 40

_NOTHING = {"n/a", ""}
_LARGEST = 1 << 28
_LONGEST_LINE = 1 << 16
_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""How the files of Excel and LibreOffice begin."""
_DIGITS = set("0123456789+-")
_IN_NUMBERS = _DIGITS | set(".eEinf")
_INFINITE = re.compile("[+-]?inf")
_MOST_DIGITS = 18


def read_tsv(
    path: Path,
    columns: Sequence[str] = (),
    *,
    may_lack: Collection[str] = (),
    heading: Callable[[str], str] = str,
    checked: Collection[str] | None = None,
    between: str = "\t",
    cure: str = "Run the step that makes this table, or check the folder's name.",
) -> pd.DataFrame:
    """Read a table and check that it has the columns asked for.

    Parameters
    ----------
    path : Path
    columns : sequence of str
        Columns that must be there; others are kept. Identifiers and numbers among them must be given in every row.
    may_lack : collection of str
        But of these some or all may be n/a.
    heading : callable
        The name of a column from its heading; for tables that somebody brings.
    checked : collection of str, optional
        Columns whose cells are held to what the column holds in every table; by default all. In tables that somebody
        brings others may be called alike.
    between : str
        Signs that may stand between cells; see `ANY_SIGN`.
    cure : str
        What to do where there is no such file, as a sentence.

    Returns
    -------
    DataFrame
        Identifiers, names and paths are text; another column is numbers if it holds nothing else. ``n/a`` and empty
        cells become NaN, and nothing else does: NA, null and None are names. Text other than paths is
        in composed form (:func:`cmb_toolkit.names.nfc`).

    Raises
    ------
    MissingError
        If there is no such file or it may not be read.
    DataError
        If it is not a table, a column is missing or stands twice, or a cell does not hold what its column does in
        every table: a number in its range, one of some words.
    """
    table = table_of(path, _lines(path, between, cure), columns, may_lack=may_lack, heading=heading, checked=checked)
    aloud(f"{path}: read, {counted(len(table), 'row')}")
    return table


def table_of(
    path: Path | str,
    lines: Sequence[Line],
    columns: Sequence[str] = (),
    *,
    may_lack: Collection[str] = (),
    heading: Callable[[str], str] = str,
    checked: Collection[str] | None = None,
    called: str = "line",
) -> pd.DataFrame:
    """A table from its lines, the first of which are its headings; see :func:`read_tsv`.

    Parameters
    ----------
    path : Path or str
        What messages begin with.
    lines : sequence of Line
        At least one.
    called : str
        What messages call a line.
    """
    names = [nfc(name.strip()) for name in lines[0][1]]
    names = [heading(name) for name in names]
    for line, cells in lines[1:]:
        if len(cells) != len(names):
            raise _no_table(path, f"{called} {line} has {len(cells)} cells, the header {len(names)}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path}: column {', '.join(map(shown, twice))} stands twice. Name every column differently.")
    missing = [name for name in columns if name not in names]
    if missing:
        raise DataError(
            f"{path}: {plural(len(missing), 'column')} {', '.join(missing)} missing; found {_listed(names)}. "
            "The file must be tab-separated with these names in its first line."
        )
    columns_of = zip(*(cells for _, cells in lines[1:]), strict=True) if lines[1:] else [()] * len(names)
    problems = Problems()
    frame: dict[str, pd.Series[Any]] = {}
    for name, given in zip(names, columns_of, strict=True):
        texts = list(given) if name in VOLUMES else list(map(str.strip, given))
        frame[name] = _column(name, texts)
        kind = kind_of(name)
        if kind is None or (checked is not None and name not in checked):
            continue
        needed = name in columns and name not in may_lack and name not in VOLUMES
        if not kind.fit(frame[name]) or (needed and frame[name].isna().any()):
            for (line, _), text in zip(lines[1:], texts, strict=True):
                if needed if text in _NOTHING else not kind.fit(_column(name, [text])):
                    problems.add(
                        f"{path}: {called} {line}: {name} is {shown(text)}; expected {kind}"
                        f"{', or n/a' * (not needed)}. Correct it."
                    )
    problems.raise_if_any()
    return pd.DataFrame(frame)


def _lines(path: Path, between: str, cure: str) -> list[Line]:
    """Number and cells of each line, without empty ones at the end; there is at least one.

    Raises
    ------
    MissingError, DataError
    """
    check_file(path, cure, _LARGEST)
    try:
        # utf-8-sig: spreadsheets put a byte order mark before the first column's name
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline(_LONGEST_LINE)
            file.seek(0)
            sign = next((sign for sign in between if sign in first), between[0])
            reader = csv.reader(file, delimiter=sign, strict=True)
            lines = [(reader.line_num, cells) for cells in reader]
    except OSError as error:
        raise MissingError(f"{path}: cannot be read ({error.strerror}). Check the file's permissions.") from error
    except (ValueError, csv.Error) as error:
        with path.open("rb") as stream:
            spreadsheet = stream.read(4) in _SPREADSHEETS
        why = "it is a spreadsheet program's own file; export it as tab-separated text" if spreadsheet else str(error)
        raise _no_table(path, why) from error
    while lines and not any(cell.strip() for cell in lines[-1][1]):  # spreadsheets leave rows of tabs at the end
        lines.pop()
    if not lines:
        raise _no_table(path, "it is empty")
    return lines


def _listed(names: Sequence[str]) -> str:
    """Names of columns as a message may show them."""
    return shown(", ".join(names)) if len(names) > _MOST_NAMES or max(map(len, names)) > 40 else ", ".join(names)


def _column(name: str, texts: list[str]) -> pd.Series[Any]:
    given = [text for text in texts if text not in _NOTHING]
    if is_text(name):
        pass
    elif name in FLAGS and given and set(given) <= {"True", "False"} and len(given) == len(texts):
        return pd.Series([text == "True" for text in texts], dtype=bool)
    elif (texts or isinstance(kind_of(name), Range)) and (numbers := _numbers(given)) is not None:
        if len(given) == len(texts):
            return pd.Series(numbers)
        column = np.full(len(texts), np.nan)
        column[[n for n, text in enumerate(texts) if text not in _NOTHING]] = numbers
        return pd.Series(column)
    return pd.Series([np.nan if text in _NOTHING else _composed(name, text) for text in texts], dtype="str")


def _numbers(texts: list[str]) -> NDArray[np.int64] | NDArray[np.float64] | None:
    """All texts as numbers, whole ones where all of them are; None where one is no number.

    What Python and numpy take for numbers besides is none: nan, 1_000, digits of other scripts.
    """
    letters = set("".join(texts))
    if texts and letters <= _DIGITS and max(map(len, texts)) <= _MOST_DIGITS:
        with suppress(ValueError):
            return np.array(texts, dtype=object).astype(np.int64)
    if not letters <= _IN_NUMBERS or not all(_INFINITE.fullmatch(text) for text in texts if "f" in text):
        return None
    with suppress(ValueError):
        return np.array(texts, dtype=object).astype(np.float64)
    return None


def _composed(name: str, text: str) -> str:
    return text if name in VOLUMES or text.isascii() else nfc(text)


def _no_table(path: Path | str, why: str) -> DataError:
    return DataError(
        f"{path}: not a tab-separated table ({why}). Write it again as TSV in UTF-8, with one header line that names "
        "every column and as many cells in each line."
    )


def as_number(cell: object) -> float:
    """The finite number that a cell of :func:`read_tsv` holds; NaN where it holds none."""
    numbers = _numbers([str(cell)])
    return float(numbers[0]) if numbers is not None and np.isfinite(numbers[0]) else np.nan


def tsv_text(frame: pd.DataFrame) -> str:
    """A table as text; floats with six significant digits so that equal results are equal files."""
    text: str = frame.to_csv(None, sep="\t", index=False, na_rep="n/a", float_format="%.6g", lineterminator="\n")
    return text


def write_tsv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as :func:`tsv_text` has it."""
    path.write_text(tsv_text(frame), "utf-8", newline="\n")
