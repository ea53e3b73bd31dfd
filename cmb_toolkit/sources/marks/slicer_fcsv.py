"""Point lists of older 3D Slicers, ``.fcsv``: comma-separated, with what the coordinates are in a line before them."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from ...errors import DataError
from ...io.files import read_text
from ...io.tables import as_number
from ...names import shown
from .base import MarkOptions, Reading
from .slicer_json import LARGEST, Control, in_ras, reading_of

__all__ = ["controls", "read"]

_SAVE = "Save the point list again in 3D Slicer, as .mrk.json."
_SYSTEM = re.compile(r"#\s*CoordinateSystem\s*=\s*(\w+)\s*")
_CALLED = {"0": "RAS", "RAS": "RAS", "1": "LPS", "LPS": "LPS"}
"""By number up to Slicer 4.10."""

_SELECTED, _LABEL, _DESCRIPTION = 9, 11, 12
"""Columns; a point's position stands in those after the first."""


def read(path: Path, _: MarkOptions) -> Reading:
    """Read a list of points; those that are not selected are left out.

    Raises
    ------
    MissingError, DataError
    """
    return reading_of(*controls(path))


def controls(path: Path) -> tuple[list[Control], str]:
    """Every point of a list, and the coordinate system that it was written in.

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
    points = []
    for number, line in enumerate(lines, 1):
        if line.startswith("#") or not line.strip():
            continue
        where = f"{path}: line {number}"
        try:
            cells = next(csv.reader([line]))
        except csv.Error as error:
            raise DataError(f"{where} is no line of such a list ({error}). {_SAVE}") from error
        words = [cells[n].strip() if len(cells) > n else "" for n in (_LABEL, _DESCRIPTION)]
        selected = not (len(cells) > _SELECTED and cells[_SELECTED].strip() == "0")
        place = in_ras(where, [as_number(cell.strip()) for cell in cells[1:4]], system) if selected else None
        points.append(Control(where, place, selected, *words))
    return points, system
