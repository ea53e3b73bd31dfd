"""Marks in the rows of a table: which column is which, whoever wrote the headings, and what cannot be a mark."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ...errors import DataError, Problems
from ...io.sheets import label_heading
from ...io.tables import as_number
from ...schema import VOXEL, WORLD
from .base import LABEL, MarkOptions

__all__ = ["EXPECTED", "KNOWN", "column_of", "counted_as", "points_of", "whole_place"]

EXPECTED = "i, j, k (voxel), x_mm, y_mm, z_mm (world) or slice, x, y"
"""What columns may say where a mark is."""

KNOWN = ("participant_id", "session_id", *VOXEL, *WORLD, *LABEL)
"""Columns that are taken; others may stand beside them."""

_SAME = {
    **dict.fromkeys(
        ("participantid", "participant", "subject", "subjectid", "subj", "patient", "patientid", "case", "caseid"),
        "participant_id",
    ),
    **dict.fromkeys(("sessionid", "session", "ses"), "session_id"),
    **{name: name for name in VOXEL},
    **{name.replace("_", ""): name for name in WORLD},
}
"""What headings are called in the tables of a study, by their letters and digits."""

_NOUN: dict[tuple[str, ...], str] = {
    VOXEL: "whole voxel indices",
    LABEL: "whole numbers",
    WORLD: "positions in millimetres",
}


def column_of(heading: str) -> str:
    """What a column is called in the tables of a study; the heading itself where nobody knows.

    >>> column_of("Subject ID"), column_of("x [mm]"), column_of("Slice no."), column_of("reader")
    ('participant_id', 'x_mm', 'slice', 'reader')
    """
    known = _SAME.get("".join(re.split(r"[\W_]+", heading.casefold())))
    return known or (label_heading(heading) if heading.strip().casefold() != "z" else None) or heading


def whole_place(columns: Sequence[str]) -> list[tuple[str, ...]]:
    """Which of i, j, k, of slice, x, y, and of x_mm, y_mm, z_mm columns hold whole; empty where it is not clear."""
    kinds: list[tuple[str, ...]] = [VOXEL, LABEL, WORLD]
    found = [names for names in kinds if set(names) <= set(columns)]
    some = {*VOXEL, *LABEL, *WORLD} & set(columns)
    clear = some == {name for names in found for name in names} and not {VOXEL, LABEL} <= set(found)
    return found if clear else []


def counted_as(found: Sequence[tuple[str, ...]], options: MarkOptions) -> str:
    """How such columns count, in words."""
    if found == [WORLD]:
        return "world positions x_mm, y_mm, z_mm (RAS)"
    axes = f", {options.label_axes} axes" if LABEL in found and options.label_axes != "voxel" else ""
    return f"voxels {', '.join(found[0])} counted from {options.label_base}{axes}"


def points_of(name: str, frame: pd.DataFrame, where: Sequence[str]) -> pd.DataFrame:
    """The marks of a table, a row each, in the columns of :class:`cmb_toolkit.sources.marks.base.Reading`.

    Parameters
    ----------
    name : str
        What messages about all of it begin with.
    frame : DataFrame
        With columns that :func:`whole_place` finds.
    where : sequence of str
        Where each row stands.

    Raises
    ------
    DataError
        Naming every row that holds no mark.
    """
    found = whole_place(list(frame.columns))
    if not found:
        raise DataError(
            f"{name}: found the columns {', '.join(frame.columns)[:200]}; expected participant_id and either "
            f"{EXPECTED}. Rename the headings."
        )
    who = [column for column in ("participant_id", "session_id") if column in frame]
    points = frame[who].assign(where=list(where))
    problems = Problems()
    for names in found:
        numbers = frame[[*names]].map(as_number).to_numpy(float).reshape(-1, 3)
        wrong = ~np.isfinite(numbers).all(axis=1)
        if "participant_id" in who:
            wrong |= frame["participant_id"].isna().to_numpy()
        if names != WORLD:
            wrong |= (numbers != np.floor(numbers)).any(axis=1)
        for row in np.flatnonzero(wrong).tolist():
            cells = frame.iloc[row][[*who[:1], *names]]
            content = ", ".join("n/a" if pd.isna(v) else f"{v:g}" if isinstance(v, float) else str(v) for v in cells)
            problems.add(
                f"{where[row]} holds {content[:200]}; expected {'a participant_id and ' * bool(who)}three "
                f"{_NOUN[names]} ({', '.join(names)}). Correct it, or remove it."
            )
        if not wrong.any():
            points[[*names]] = numbers if names == WORLD else numbers.astype(int)
    problems.raise_if_any()
    return points
