"""Verdicts in the rows of a table: which column is which, and what cannot be one."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ...errors import Problems
from ...io.tables import as_number
from ...names import READER, shown
from ...schema import WORLD
from ...sources.marks.rows import column_of as mark_column
from ..words import VERDICTS, mimic_of, verdict_of
from .base import COLUMNS

__all__ = ["column_of", "in_columns", "rows_of"]

_SAME = {
    **dict.fromkeys(("verify", "verifyyes1"), "verdict"),
    **dict.fromkeys(("readerid", "reader"), "reader"),
    **dict.fromkeys(("comment", "comments"), "comment"),
    **dict.fromkeys(("raslrl", "rasl"), "x_mm"),
    **dict.fromkeys(("raspaa", "rasp"), "y_mm"),
    **dict.fromkeys(("rasiss", "rass"), "z_mm"),
}
"""What headings are called, by their letters and digits; beside what marks' tables may call theirs."""

_LONGEST = 500


def column_of(heading: str) -> str:
    """What a column is called here; the heading itself where nobody knows.

    >>> column_of("verify (yes=1)"), column_of("RAS L-R L"), column_of("Subject"), column_of("ID")
    ('verdict', 'x_mm', 'participant_id', 'id')
    """
    plain = "".join(re.split(r"[\W_]+", heading.casefold()))
    return plain if plain in COLUMNS else _SAME.get(plain) or mark_column(heading)


def in_columns(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Rows with all columns, empty or NaN where they say nothing."""
    frame = pd.DataFrame(rows, columns=[*COLUMNS], dtype=object)
    numbers = ["id", *WORLD]
    words = [name for name in COLUMNS if name not in numbers]
    return frame.assign(
        **{name: frame[name].astype(float) for name in numbers},
        **{name: frame[name].where(frame[name].notna(), "") for name in words},
    )


def rows_of(table: pd.DataFrame, where: Sequence[str]) -> pd.DataFrame:
    """The rows of a table of text, as :class:`cmb_toolkit.review.forms.base.Returned` has them.

    Parameters
    ----------
    table : DataFrame
        With some of its columns.
    where : sequence of str
        Where each row stands.

    Raises
    ------
    DataError
        Naming every row that cannot be understood.
    """
    problems, rows = Problems(), []
    for here, line in zip(where, table.to_dict("records"), strict=True):
        text = {str(name): "" if pd.isna(value) else str(value).strip() for name, value in line.items()}
        row: dict[str, object] = {"where": here}
        wrong = _numbers(text, row)
        row["participant_id"] = text.get("participant_id", "")
        row["verdict"] = verdict = verdict_of(text.get("verdict", ""))
        if verdict is None:
            wrong.append(f"the verdict {shown(text['verdict'])}; expected {', '.join(VERDICTS)}, or nothing")
        row["mimic"] = mimic_of(text.get("mimic", ""))
        row["reader"] = reader = text.get("reader", "")
        if reader and not READER.fits(reader):
            wrong.append(f"the reader {shown(reader)}; expected {READER.expected}")
        row["comment"] = " ".join(text.get("comment", "").split())[:_LONGEST]
        for one in wrong:
            problems.add(f"{here} has {one}. Correct it.")
        rows.append(row)
    problems.raise_if_any()
    return in_columns(rows)


def _numbers(text: dict[str, str], row: dict[str, object]) -> list[str]:
    """Take id and place into the row; what is wrong with them."""
    wrong = []
    given = {name: text.get(name, "") for name in ("id", *WORLD)}
    number = {name: as_number(value) if value else np.nan for name, value in given.items()}
    for name, value in given.items():
        if value and np.isnan(number[name]):
            wrong.append(f"{name} {shown(value)}; expected a number with a decimal point")
    if number["id"] != np.floor(number["id"]) or number["id"] < 1:
        wrong += [] if np.isnan(number["id"]) else [f"the id {shown(given['id'])}; expected a whole number from 1"]
    if 0 < sum(map(bool, (given[name] for name in WORLD))) < len(WORLD):
        wrong.append(f"a place with a number missing; expected all of {', '.join(WORLD)}, or none")
    row.update(number)
    return wrong
