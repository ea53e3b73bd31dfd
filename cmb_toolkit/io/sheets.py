"""Excel sheets of labels: slice, x (column) and y (row) of one subject's microbleeds, as people write them.

A sheet says by its headings which column is which; without headings it has three columns of numbers, in that order.
What is not understood is refused, with file, sheet and row: a sheet that cannot be read is not an empty sheet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import DataError, Problems
from ..names import nfc
from .files import check_file
from .workbook import EXCEL, Sheet, is_numeric, open_workbook, shown_cells

__all__ = ["label_heading", "read_sheet"]

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
_WHOLE = re.compile(r"\s*[+-]?\d{1,9}(\.0*)?\s*", re.ASCII)


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
    check_file(path, "Check the label file's name, and that it may be read.")
    if path.suffix.lower() not in EXCEL:
        raise DataError(f"{path}: only .xlsx can be read. Open it in a spreadsheet program and save it as .xlsx.")
    sheets = [sheet for sheet in open_workbook(path) if any(sheet.filled(row) for row in range(len(sheet.rows)))]
    labels = [sheet for sheet in sheets if _may_hold_labels(sheet)]
    if not labels and sheets:
        title, said = sheets[0].title, shown_cells(sheets[0].rows[_first(sheets[0])])
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


def _may_hold_labels(sheet: Sheet) -> bool:
    """Whether it has headings, or a row with as many numbers as a mark; else it holds notes."""
    return any(
        len(_named(sheet.rows[n])) > 1
        or sum((n, m) in sheet.uncomputed or is_numeric(value) for m, value in enumerate(sheet.rows[n])) > 1
        for n in range(len(sheet.rows))
    )


def _first(sheet: Sheet) -> int:
    return next(row for row in range(len(sheet.rows)) if sheet.filled(row))


# -- its rows ---------------------------------------------------------------------------------------------------


def _marks(path: Path, sheet: Sheet) -> list[tuple[int, int, int, int]]:
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


def _headings(path: Path, sheet: Sheet) -> _Layout | None:
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
        if sum(map(is_numeric, row)) >= len(_COLUMNS):
            return None
    return None


def _layout(path: Path, sheet: Sheet) -> _Layout:
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
        if any((n, column) in sheet.uncomputed or is_numeric(row[column]) for column in filled):
            break
        if _named(row) or len(filled) > 1:
            above = n
    if above is not None:
        raise DataError(
            f"{where}, row {above + 1} has the headings {shown_cells(sheet.rows[above])}; expected {_NEEDED}, in any "
            "order and beside others. Rename them, or remove the row if slice, x and y are the only columns, in this "
            "order."
        )
    counts: dict[int, int] = {}
    for m in range(n, len(sheet.rows)):
        for column in sheet.filled(m):
            if (
                (m, column) in sheet.uncomputed
                or not isinstance(sheet.rows[m][column], str)
                or is_numeric(sheet.rows[m][column])
            ):
                counts[column] = counts.get(column, 0) + 1
    if len(counts) != len(_COLUMNS):
        raise DataError(
            f"{where}, row {n + 1} holds {shown_cells(sheet.rows[n])}: without headings there must be three columns of "
            f"numbers, slice, x and y, and there {'are' if len(counts) > 1 else 'is'} {len(counts)}. Write {_NEEDED} "
            "above them."
        )
    first, second, third = sorted(counts)
    return _Layout(n, (first, second, third))


def _wrong(sheet: Sheet, n: int, columns: Sequence[int]) -> Iterator[str]:
    """What keeps a row from being a mark; the most telling first."""
    yield from sheet.flaws(n, columns)
    given = [sheet.value(n, column) for column in columns]
    if not all(_is_whole(value) for value in given):
        yield (
            f"holds {shown_cells(given)}; expected three whole numbers: slice, x (column), y (row). Correct or remove "
            "the row."
        )
    yield from sheet.unseen(n, columns)


def _named(row: Sequence[Any]) -> dict[int, str]:
    """Columns of a row whose cells are headings of slice, x or y."""
    return {n: name for n, value in enumerate(row) if (name := label_heading(value)) is not None}


def label_heading(value: Any) -> str | None:
    """slice, x or y, if a heading calls a column so; else None."""
    if not isinstance(value, str):
        return None
    words = [word for word in re.split(r"[\s_.:#()\[\]/,-]+", nfc(value).casefold()) if word]
    names = {_HEADINGS[word] for word in words if word in _HEADINGS}
    others = [word for word in words if word not in _HEADINGS]
    return names.pop() if len(names) == 1 and _BESIDE.issuperset(others) else None


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
