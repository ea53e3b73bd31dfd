"""Excel sheets of labels: slice, x (column) and y (row) of one subject's microbleeds, as people write them.

A sheet says by its headings which column is which; without headings it has three columns of numbers, in that order.
What is not understood is refused, with file, sheet and row: a sheet that cannot be read is not an empty sheet.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..errors import DataError, Problems
from ..names import nfc, shown
from .files import check_file, read_bytes

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

__all__ = ["EXCEL", "read_sheet"]

_LARGEST = 1 << 26
EXCEL = (".xlsx", ".xlsm")
"""Endings of the files that can be read."""

_COLUMNS = ("slice", "x", "y")
_HEADINGS = {
    **dict.fromkeys(("slice", "slices", "z", "slc", "schicht", "coupe"), "slice"),
    **dict.fromkeys(("x", "column", "col", "spalte", "colonne"), "x"),
    **dict.fromkeys(("y", "row", "zeile", "ligne"), "y"),
}
"""What a heading may call them, in capitals or not."""

_BESIDE = {
    *("cmb", "cmbs", "mb", "microbleed", "lesion", "no", "nr", "num", "number", "idx", "index", "center", "centre"),
    *("coordinate", "coordinates", "coord", "coords", "position", "pos", "axis", "voxel", "vox", "pixel", "px"),
}
"""Words that may stand beside them; a heading with any other word is of another column."""

_NEEDED = "the headings slice, x (column) and y (row)"
_MOST_BYTES = 10_000_000
_MOST_CELLS = 1_000_000
_WHOLE = re.compile(r"\s*[+-]?\d{1,9}(\.0*)?\s*", re.ASCII)
_NUMERIC = re.compile(r"\s*[+-]?\d+([.,]\d*)*\s*", re.ASCII)


@dataclass(frozen=True)
class _Sheet:
    """The cells of a sheet and what one does not see of them.

    Attributes
    ----------
    title : str
    rows : list of tuple
        Values of the rows, from 1 in the sheet's count.
    uncomputed : set of (int, int)
        Row and column, from 0, of formulas without a value.
    merged : list of (str, set of (int, int))
        Name and cells of merged ranges.
    hidden_rows, hidden_columns : set of int
        From 0.
    struck : set of int
        Rows, from 0, with a cell that is struck out.
    hidden : bool
    """

    title: str
    rows: list[tuple[Any, ...]]
    uncomputed: set[tuple[int, int]]
    merged: list[tuple[str, set[tuple[int, int]]]]
    hidden_rows: set[int]
    hidden_columns: set[int]
    struck: set[int]
    hidden: bool

    def filled(self, row: int) -> list[int]:
        """Columns of a row that hold something."""
        values = self.rows[row]
        return [n for n, value in enumerate(values) if (row, n) in self.uncomputed or not _is_empty(value)]


@dataclass(frozen=True)
class _Layout:
    """Where the marks of a sheet begin, and in which columns slice, x and y stand."""

    start: int
    columns: tuple[int, int, int]


def read_sheet(path: Path) -> pd.DataFrame:
    """Read one subject's labels from an Excel file, one microbleed a row.

    Columns are found by their headings, in any order (slice or z, x or column, y or row; others are passed over).
    Without headings there must be exactly three columns of numbers: slice, x, y. Titles above them, empty rows and
    empty sheets are passed over, and sheets that hold only notes.

    Parameters
    ----------
    path : Path
        ``.xlsx`` or ``.xlsm``.

    Returns
    -------
    DataFrame
        row (as Excel counts), slice, x, y: whole numbers, counted as the reader counted. Empty where the sheet is.

    Raises
    ------
    MissingError
        If the file is not there, or may not be read.
    DataError
        If it is no Excel file, it is not clear which sheet or columns hold the labels, or a row is not understood.
    """
    check_file(path, "Check the label file's name, and that it may be read.", _LARGEST)
    if path.suffix.lower() not in EXCEL:
        raise DataError(f"{path}: only .xlsx can be read. Open it in a spreadsheet program and save it as .xlsx.")
    sheets = [sheet for sheet in _open(path) if any(sheet.filled(row) for row in range(len(sheet.rows)))]
    labels = [sheet for sheet in sheets if _may_hold_labels(sheet)]
    if not labels and sheets:
        title, said = sheets[0].title, _shown(sheets[0].rows[_first(sheets[0])])
        raise DataError(
            f"{path}: sheet {title} holds {said}, and neither rows of three numbers nor {_NEEDED}. Write one "
            "microbleed a row; leave the sheet empty, or with these headings alone, if there is none."
        )
    headed = [sheet for sheet in labels if _headings(path, sheet) is not None]
    found: dict[str, list[tuple[int, int, int, int]]] = {}
    for sheet in labels:
        try:
            found[sheet.title] = _marks(path, sheet)
        except DataError:
            if not headed or sheet in headed:  # beside a sheet with headings it may hold other numbers
                raise
    full = {title: rows for title, rows in found.items() if rows}
    if len(full) > 1:
        raise DataError(
            f"{path}: sheets {', '.join(full)} all hold rows, and one is expected. Remove the others, or merge them."
        )
    hidden = [sheet.title for sheet in labels if sheet.hidden and sheet.title in full]
    if hidden:
        raise DataError(f"{path}: sheet {hidden[0]} holds rows and is hidden. Show it, or remove it.")
    return pd.DataFrame(next(iter(full.values()), []), columns=["row", *_COLUMNS], dtype=int)


# -- what a file holds ------------------------------------------------------------------------------------------


def _open(path: Path) -> list[_Sheet]:
    import openpyxl

    begin = read_bytes(path, "Check the label file's name, and that it may be read.", _LARGEST)[:8]
    if begin == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        raise DataError(
            f"{path}: an old Excel file (.xls), or one with a password. Open it in a spreadsheet program and save it "
            "as .xlsx without a password."
        )
    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(entry.file_size for entry in packed.infolist() if entry.filename.lower().endswith(".xml"))
            if size <= _MOST_BYTES and not all(_holds_cells(packed, name) for name in packed.namelist()):
                raise DataError(f"{path}: damaged (a sheet in it is none). Save it again as .xlsx.")
        if size > _MOST_BYTES:
            raise DataError(
                f"{path}: unpacks to {size:,} bytes, far more than a list of marks. Save it again as .xlsx."
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what openpyxl does not keep: pictures, lists to choose from
            values = openpyxl.load_workbook(path, data_only=True)
            formulas = openpyxl.load_workbook(path)
        with zipfile.ZipFile(path) as packed:
            declared = packed.read("xl/workbook.xml") if "xl/workbook.xml" in packed.namelist() else b""
        if len(values.sheetnames) < len(re.findall(rb"<(?:\w+:)?sheet\s", declared)):
            raise DataError(f"{path}: damaged (a sheet that it lists is not in it). Save it again as .xlsx.")
        if not values.worksheets:
            raise DataError(f"{path}: damaged (it holds no sheet). Save it again as .xlsx.")
        for page in values.worksheets:
            if page.max_row * page.max_column > _MOST_CELLS:
                raise DataError(
                    f"{path}: sheet {page.title} reaches to row {page.max_row}, column {page.max_column}. Delete what "
                    "lies beyond the marks."
                )
        return [_sheet(page, formulas[page.title]) for page in values.worksheets]
    except DataError:
        raise
    except Exception as error:  # openpyxl lets errors of zipfile, XML and its own pass through
        raise DataError(f"{path}: not a readable Excel file ({str(error)[:200]}). Save it again as .xlsx.") from error


def _holds_cells(packed: zipfile.ZipFile, name: str) -> bool:
    """Whether a member of an Excel file, if it is a sheet, has a place for cells: without one it would look empty."""
    return not re.fullmatch(r"xl/worksheets/[^/]+\.xml", name) or b"sheetData" in packed.read(name)


def _sheet(values: Worksheet, formulas: Worksheet) -> _Sheet:
    cells = list(values.iter_rows())
    return _Sheet(
        values.title,
        [tuple(cell.value for cell in row) for row in cells],
        {
            (n, m)
            for n, row in enumerate(formulas.iter_rows())
            for m, cell in enumerate(row)
            if cell.data_type == "f" and cells[n][m].value is None
        },
        [
            (merged.coord, {(row - 1, column - 1) for row, column in merged.cells})
            for merged in values.merged_cells.ranges
        ],
        {number - 1 for number, row in values.row_dimensions.items() if row.hidden},
        {
            number - 1
            for column in values.column_dimensions.values()
            if column.hidden
            for number in range(column.min or 0, (column.max or -1) + 1)
        },
        {n for n, row in enumerate(cells) if any(cell.value is not None and cell.font.strike for cell in row)},
        values.sheet_state != "visible",
    )


def _may_hold_labels(sheet: _Sheet) -> bool:
    """Whether it has headings, or a row with as many numbers as a mark; else it holds notes."""
    return any(
        len(_named(sheet.rows[n])) > 1
        or sum((n, m) in sheet.uncomputed or _is_numeric(value) for m, value in enumerate(sheet.rows[n])) > 1
        for n in range(len(sheet.rows))
    )


def _first(sheet: _Sheet) -> int:
    return next(row for row in range(len(sheet.rows)) if sheet.filled(row))


# -- its rows ---------------------------------------------------------------------------------------------------


def _marks(path: Path, sheet: _Sheet) -> list[tuple[int, int, int, int]]:
    """Row, slice, x, y of each mark."""
    layout = _layout(path, sheet)
    marks: list[tuple[int, int, int, int]] = []
    problems = Problems()
    for n in range(layout.start, len(sheet.rows)):
        if not sheet.filled(n):
            continue
        wrong = next(_wrong(sheet, n, layout.columns), None)
        if wrong is not None:
            problems.add(f"{path}: sheet {sheet.title}, row {n + 1} {wrong}")
            continue
        marks.append((n + 1, *(int(float(sheet.rows[n][column])) for column in layout.columns)))  # type: ignore[arg-type]
    problems.raise_if_any()
    return marks


def _headings(path: Path, sheet: _Sheet) -> _Layout | None:
    """Find the row of headings.

    Raises
    ------
    DataError
        If it names a column twice, or there are marks above it.
    """
    for n, row in enumerate(sheet.rows):
        named = _named(row)
        if set(named.values()) == set(_COLUMNS):
            if len(named) > len(_COLUMNS):
                twice = ", ".join(repr(str(row[column])) for column in named)
                raise DataError(
                    f"{path}: sheet {sheet.title}, row {n + 1}: of the headings {twice} two call the same column. "
                    "Rename the one that is none of slice, x and y."
                )
            columns = {name: column for column, name in named.items()}
            return _Layout(n + 1, (columns["slice"], columns["x"], columns["y"]))
        if sum(map(_is_numeric, row)) >= len(_COLUMNS):
            return None
    return None


def _layout(path: Path, sheet: _Sheet) -> _Layout:
    """Find the headings, or else three columns of numbers.

    Raises
    ------
    DataError
    """
    layout = _headings(path, sheet)
    if layout is not None:
        return layout
    where = f"{path}: sheet {sheet.title}"
    above = None  # the last row of text that may be headings
    n = 0
    for n, row in enumerate(sheet.rows):
        filled = sheet.filled(n)
        if any((n, column) in sheet.uncomputed or _is_numeric(row[column]) for column in filled):
            break
        if _named(row) or len(filled) > 1:
            above = n
    if above is not None:
        raise DataError(
            f"{where}, row {above + 1} has the headings {_shown(sheet.rows[above])}; expected {_NEEDED}, in any order "
            "and beside others. Rename them, or remove the row if slice, x and y are the only columns, in this order."
        )
    counts: dict[int, int] = {}
    for m in range(n, len(sheet.rows)):
        for column in sheet.filled(m):
            if (
                (m, column) in sheet.uncomputed
                or not isinstance(sheet.rows[m][column], str)
                or _is_numeric(sheet.rows[m][column])
            ):
                counts[column] = counts.get(column, 0) + 1
    if len(counts) != len(_COLUMNS):
        raise DataError(
            f"{where}, row {n + 1} holds {_shown(sheet.rows[n])}: without headings there must be three columns of "
            f"numbers, slice, x and y, and there {'are' if len(counts) > 1 else 'is'} {len(counts)}. Write {_NEEDED} "
            "above them."
        )
    first, second, third = sorted(counts)
    return _Layout(n, (first, second, third))


def _wrong(sheet: _Sheet, n: int, columns: Sequence[int]) -> Iterator[str]:
    """What keeps a row from being a mark; the most telling first."""
    row = sheet.rows[n]
    used = {(n, column) for column in columns}
    for column in columns:
        if (n, column) in sheet.uncomputed:
            yield (
                f"holds a formula without a value (column {column + 1}). Open the file in a spreadsheet program and "
                "save it, or write the number itself."
            )
    for name, cells in sheet.merged:
        if used & cells:
            yield f"lies in the merged cells {name}. Write every number in a cell of its own."
    given = [row[column] if column < len(row) else None for column in columns]
    if not all(_is_whole(value) for value in given):
        yield (
            f"holds {_shown(given)}; expected three whole numbers: slice, x (column), y (row). Correct or remove the "
            "row."
        )
    if n in sheet.hidden_rows:
        yield "is hidden. Show it, or remove it."
    if sheet.hidden_columns.intersection(columns):
        yield "has a number in a hidden column. Show it."
    if n in sheet.struck:
        yield "is struck out. Remove it, or take the line away."


def _named(row: Sequence[Any]) -> dict[int, str]:
    """Columns of a row whose cells are headings of slice, x or y."""
    return {n: name for n, value in enumerate(row) if (name := _heading(value)) is not None}


def _heading(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    words = [word for word in re.split(r"[\s_.:#()\[\]/,-]+", nfc(value).casefold()) if word]
    names = {_HEADINGS[word] for word in words if word in _HEADINGS}
    others = [word for word in words if word not in _HEADINGS]
    return names.pop() if len(names) == 1 and _BESIDE.issuperset(others) else None


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _is_numeric(value: Any) -> bool:
    """A number, or a text that is meant as one (a decimal comma makes it no number, and yet no heading)."""
    if isinstance(value, str):
        return _NUMERIC.fullmatch(value) is not None
    return value is not None and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    """A whole number, also one that was typed as text; dates and truth values are none."""
    if isinstance(value, str):
        return _WHOLE.fullmatch(value) is not None
    return (
        not isinstance(value, bool)
        and isinstance(value, int | float)
        and float(value).is_integer()
        and (abs(value) < 1e9)
    )


def _shown(row: Sequence[Any]) -> str:
    """The cells of a row for a message, without the empty ones at its end."""
    cells = list(row)
    while len(cells) > 3 and _is_empty(cells[-1]):
        cells.pop()
    said = ["empty" if _is_empty(value) else shown(value) for value in cells[:8]]
    return ", ".join(said) + " ..." * (len(cells) > 8)
