"""Excel files, read so that nothing which a person does not see, or sees otherwise, is taken for what it says."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError
from ..names import shown
from .files import read_bytes

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

__all__ = ["EXCEL", "Sheet", "is_empty", "is_numeric", "open_workbook", "shown_cells"]

EXCEL = (".xlsx", ".xlsm")
"""Endings of the files that can be read."""

_LARGEST = 1 << 26
_MOST_BYTES = 10_000_000
_MOST_CELLS = 1_000_000
_NUMERIC = re.compile(r"\s*[+-]?\d+([.,]\d*)*\s*", re.ASCII)


@dataclass(frozen=True)
class Sheet:
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
        return [n for n, value in enumerate(values) if (row, n) in self.uncomputed or not is_empty(value)]

    def value(self, row: int, column: int) -> Any:
        """Of a cell; None beyond the end of a row."""
        values = self.rows[row]
        return values[column] if column < len(values) else None

    def flaws(self, row: int, columns: Sequence[int]) -> Iterator[str]:
        """Why the cells of a row in these columns do not hold what they seem to; ends of sentences about the row."""
        for column in columns:
            if (row, column) in self.uncomputed:
                yield (
                    f"holds a formula without a value (column {column + 1}). Open the file in a spreadsheet program "
                    "and save it, or write the number itself."
                )
        used = {(row, column) for column in columns}
        for name, cells in self.merged:
            if used & cells:
                yield f"lies in the merged cells {name}. Write every number in a cell of its own."

    def unseen(self, row: int, columns: Sequence[int]) -> Iterator[str]:
        """Why a person may not take a row for one; ends of sentences about it."""
        if row in self.hidden_rows:
            yield "is hidden. Show it, or remove it."
        if self.hidden_columns.intersection(columns):
            yield "has a number in a hidden column. Show it."
        if row in self.struck:
            yield "is struck out. Remove it, or take the line away."


def open_workbook(path: Path) -> list[Sheet]:
    """The sheets of an Excel file.

    Raises
    ------
    MissingError, DataError
    """
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


def _sheet(values: Worksheet, formulas: Worksheet) -> Sheet:
    cells = list(values.iter_rows())
    return Sheet(
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


def is_empty(value: Any) -> bool:
    """Whether a cell holds nothing, or only spaces."""
    return value is None or (isinstance(value, str) and not value.strip())


def is_numeric(value: Any) -> bool:
    """A number, or a text that is meant as one (a decimal comma makes it no number, and yet no heading)."""
    if isinstance(value, str):
        return _NUMERIC.fullmatch(value) is not None
    return value is not None and not isinstance(value, bool)


def shown_cells(row: Sequence[Any]) -> str:
    """The cells of a row as a message may show them, without the empty ones at its end."""
    cells = list(row)
    while len(cells) > 3 and is_empty(cells[-1]):
        cells.pop()
    said = ["empty" if is_empty(value) else shown(value) for value in cells[:8]]
    return ", ".join(said) + " ..." * (len(cells) > 8)
