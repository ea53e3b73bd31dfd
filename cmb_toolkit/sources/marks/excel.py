"""Marks in an Excel file with headings: one sheet of all subjects, or a sheet a subject."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from ...errors import DataError, Problems
from ...io.tables import Line, table_of
from ...io.workbook import Sheet, is_empty, is_numeric, open_workbook, shown_cells
from ...schema import VOXEL
from .base import MarkOptions, Reading
from .rows import EXPECTED, KNOWN, column_of, counted_as, points_of, whole_place

__all__ = ["read"]


def read(path: Path, options: MarkOptions) -> Reading:
    """Read the marks of all sheets, one a row below headings.

    A sheet without a column of subjects is of the subject that it is called after, if there are several such. Sheets
    that hold no numbers are notes.

    Raises
    ------
    MissingError, DataError
        If it is not clear what a sheet or a row says: formulas without a value, merged, hidden or struck-out cells,
        numbers without headings.
    """
    sheets = open_workbook(path)
    filled = [sheet for sheet in sheets if any(sheet.filled(row) for row in range(len(sheet.rows)))]
    tables = {sheet.title: table for sheet in filled if (table := _table(path, sheet)) is not None}
    if filled and not tables:
        raise DataError(
            f"{path}: sheet {filled[0].title} has no headings; found {shown_cells(filled[0].rows[0])}. Expected "
            f"participant_id and either {EXPECTED}. Write them above the marks."
        )
    alone = [title for title, table in tables.items() if "participant_id" not in table]
    notes = [sheet.title for sheet in filled if sheet.title not in tables]
    for title in alone:
        tables[title] = tables[title].assign(sheet=title)
    points = pd.concat(tables.values(), ignore_index=True) if tables else pd.DataFrame({"where": []})
    kinds = {tuple(whole_place(list(table.columns))) for table in tables.values() if len(table)}
    if len(kinds) > 1:
        raise DataError(
            f"{path}: its sheets say in different ways where marks are. Use the same headings in all of them."
        )
    counted = f", {counted_as(list(*kinds), options)}" if kinds else ""
    empty = [sheet.title for sheet in sheets if sheet not in filled]
    layout = ", sheets of all subjects" if len(tables) > 1 else ", one sheet of all subjects"
    if len(alone) == len(tables):
        layout = ", a sheet a subject" if len(alone) + len(empty) > 1 else ", one sheet"
    return Reading(f"Excel{layout}{counted}", points, seen=(*alone, *empty), unread=tuple(notes))


def _table(path: Path, sheet: Sheet) -> pd.DataFrame | None:
    """The marks of a sheet; None where it holds only notes.

    Raises
    ------
    DataError
    """
    name = f"{path}: sheet {sheet.title}"
    start = next((n for n in range(len(sheet.rows)) if whole_place(_named(sheet, n))), None)
    numbers = [n for n, row in enumerate(sheet.rows) if sum(map(is_numeric, row)) >= len(VOXEL)]
    if start is None or (numbers and numbers[0] < start):
        if not numbers:
            return None
        raise DataError(
            f"{name}, row {numbers[0] + 1} holds numbers without headings above them: "
            f"{shown_cells(sheet.rows[numbers[0]])}. Expected participant_id and either {EXPECTED}."
        )
    if sheet.hidden:
        raise DataError(f"{name} holds marks and is hidden. Show it, or remove it.")
    columns = [n for n, heading in enumerate(_named(sheet, start)) if heading in KNOWN]
    problems = Problems()
    lines: list[Line] = [(start + 1, [str(sheet.rows[start][n]) for n in columns])]
    for n in range(start + 1, len(sheet.rows)):
        if not any((n, column) in sheet.uncomputed or not is_empty(sheet.value(n, column)) for column in columns):
            continue
        flaw = next(chain(sheet.flaws(n, columns), sheet.unseen(n, columns)), None)
        if flaw is not None:
            problems.add(f"{name}, row {n + 1} {flaw}")
        lines.append((n + 1, [_text(sheet.value(n, column)) for column in columns]))
    problems.raise_if_any()
    frame = table_of(name, lines, heading=column_of, called="row")
    return points_of(name, frame, [f"{name}, row {number}" for number, _ in lines[1:]])


def _named(sheet: Sheet, row: int) -> list[str]:
    """What the cells of a row call columns."""
    return [column_of(value) if isinstance(value, str) else "" for value in sheet.rows[row]]


def _text(value: Any) -> str:
    """A cell as a table of text would have it."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value).strip()
