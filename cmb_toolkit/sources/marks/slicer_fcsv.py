"""Point lists of older 3D Slicers, ``.fcsv``: comma-separated, with what the coordinates are in a line before them."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from ...errors import DataError
from ...io.files import read_text
from ...io.tables import as_number
from ...names import shown
from ...schema import WORLD
from .base import MarkOptions, Reading
from .slicer_json import LARGEST, TO_RAS, check_place

__all__ = ["read"]

_SAVE = "Save the point list again in 3D Slicer, as .mrk.json."
_SYSTEM = re.compile(r"#\s*CoordinateSystem\s*=\s*(\w+)\s*")
_CALLED = {"0": "RAS", "RAS": "RAS", "1": "LPS", "LPS": "LPS"}
"""By number up to Slicer 4.10."""

_SELECTED = 9
"""The column that says whether a point is selected; its position stands in those after the first."""


def read(path: Path, _: MarkOptions) -> Reading:
    """Read a list of points; those that are not selected are left out.

    Raises
    ------
    MissingError, DataError
    """
    lines = read_text(path, _SAVE, LARGEST).removeprefix("\ufeff").splitlines()
    said = [match[1].upper() for line in lines if (match := _SYSTEM.fullmatch(line.strip()))]
    if len(set(said)) != 1 or said[0] not in _CALLED:
        found = f"gives the CoordinateSystem {shown(', '.join(said))}" if said else "does not say its CoordinateSystem"
        raise DataError(f"{path}: {found}; expected a line # CoordinateSystem = LPS (or RAS, or 0 or 1). {_SAVE}")
    system = _CALLED[said[0]]
    rows: list[dict[str, Any]] = []
    left_out: Counter[str] = Counter()
    for number, line in enumerate(lines, 1):
        if line.startswith("#") or not line.strip():
            continue
        where = f"{path}: line {number}"
        try:
            cells = next(csv.reader([line]))
        except csv.Error as error:
            raise DataError(f"{where} is no line of such a list ({error}). {_SAVE}") from error
        if len(cells) > _SELECTED and cells[_SELECTED].strip() == "0":
            left_out["not selected"] += 1
            continue
        place = check_place(where, [as_number(cell.strip()) for cell in cells[1:4]])
        turned = [sign * x for sign, x in zip(TO_RAS[system], place, strict=True)]
        rows.append({"where": where, **dict(zip(WORLD, turned, strict=True))})
    return Reading(f"3D Slicer points, {system}", pd.DataFrame(rows, columns=["where", *WORLD]), left_out=left_out)
