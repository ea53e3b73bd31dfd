"""Verdicts in an Excel file: what was handed out, filled in, or what Microbleed-review-viewer exports.

The viewer (https://github.com/subyoung/Microbleed-review-viewer) exports a sheet ``reader_reports``, a row for each
reader's word on each target, beside a sheet ``findings`` with a row for each target: what was handed out is called
``source:ROW`` by its row there, what a reader has added has another name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ...errors import DataError, Problems
from ...io.tables import table_of
from ...io.workbook import Sheet, is_empty, open_workbook
from ...schema import WORLD
from .base import Returned
from .rows import column_of, rows_of

__all__ = ["REPORTS", "SHEET", "read"]

SHEET = "MCH-microhemorrage"
"""The sheet that the viewer reads."""

REPORTS, _TARGETS = "reader_reports", "findings"
_SOURCE = re.compile(r"source:(\d{1,7})")


def read(path: Path) -> Returned:
    """Read the verdicts of an Excel file.

    Raises
    ------
    MissingError, DataError
    """
    sheets = {sheet.title: sheet for sheet in open_workbook(path)}
    if REPORTS in sheets:
        return _of_viewer(path, sheets)
    tables = [(sheet, table) for sheet in sheets.values() if "verdict" in (table := _table(path, sheet))]
    if not tables:
        raise DataError(
            f"{path}: no sheet has a column verdict or verify below a heading in its first row. Fill in the file that "
            "`cmbtk review write` made."
        )
    frame = pd.concat([table for _, table in tables], ignore_index=True)
    return Returned("Excel", rows_of(frame, frame["where"].tolist()))


def _of_viewer(path: Path, sheets: dict[str, Sheet]) -> Returned:
    """The reports, each reader's last on a target, placed where it says or else where the target is."""
    reports = _table(path, sheets[REPORTS])
    _check(path, REPORTS, reports, ("participant_id", "target_id", "reader", "verdict"))
    reports["review_round"] = pd.to_numeric(reports.get("review_round", pd.Series("1", reports.index)), "coerce")
    reports = reports.sort_values("review_round", kind="stable").groupby(["target_id", "reader"], sort=False).tail(1)
    reports = reports[reports["verdict"] != ""].reset_index(drop=True)
    places = _table(path, sheets[_TARGETS]) if _TARGETS in sheets else pd.DataFrame()
    _check(path, _TARGETS, places, ("target_id", *WORLD))
    place = places.drop_duplicates("target_id").set_index("target_id")[[*WORLD]]
    for name in WORLD:
        given = reports[name] if name in reports else pd.Series("", reports.index)
        reports[name] = given.where(given != "", reports["target_id"].map(place[name]).fillna(""))
    reports["id"] = [match[1] if (match := _SOURCE.fullmatch(text)) else "" for text in reports["target_id"]]
    rows = rows_of(reports, reports["where"].tolist())
    return Returned("Microbleed-review-viewer", rows, row_of_sheet=True)


def _check(path: Path, title: str, table: pd.DataFrame, columns: Sequence[str]) -> None:
    lacking = [name for name in columns if name not in table]
    if lacking:
        raise DataError(
            f"{path}: sheet {title} lacks the column of {', '.join(lacking)}. Export from the viewer again, as .xlsx."
        )


def _table(path: Path, sheet: Sheet) -> pd.DataFrame:
    """The cells of a sheet below its headings, as text; empty where it has none, or no verdicts and nothing like them.

    Raises
    ------
    DataError
        If a cell that is taken holds a formula without a value, or is hidden, merged or struck out.
    """
    headings = [column_of(str(value)) if not is_empty(value) else "" for value in sheet.rows[0]] if sheet.rows else []
    columns = [n for n, name in enumerate(headings) if name and headings.index(name) == n]
    problems, lines, where = Problems(), [(1, [headings[n] for n in columns])], []
    for n in range(1, len(sheet.rows)):
        if not sheet.filled(n):
            continue
        where.append(f"{path}: sheet {sheet.title}, row {n + 1}")
        for flaw in (*sheet.flaws(n, columns), *sheet.unseen(n, columns)):
            problems.add(f"{where[-1]} {flaw}")
        lines.append((n + 1, [_text(sheet.value(n, column)) for column in columns]))
    if not columns or sheet.hidden:
        return pd.DataFrame()
    problems.raise_if_any()
    frame = table_of(f"{path}: sheet {sheet.title}", lines, checked=(), called="row")
    texts = pd.DataFrame(
        {name: [cells[m] for _, cells in lines[1:]] for m, name in enumerate(frame.columns)}, dtype=str
    )
    return texts.assign(where=where)


def _text(value: object) -> str:
    if is_empty(value):
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value).strip()
