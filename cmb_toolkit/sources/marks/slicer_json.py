"""Point lists of 3D Slicer, ``.mrk.json``; https://slicer.readthedocs.io describes the format."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ...errors import DataError
from ...io.files import load_json
from ...names import shown
from ...schema import WORLD
from .base import MarkOptions, Reading

__all__ = ["LARGEST", "TO_RAS", "Control", "check_place", "controls", "in_ras", "read", "reading_of"]

LARGEST = 16 << 20
"""Of a file of points [byte]."""

TO_RAS = {"RAS": (1, 1, 1), "LPS": (-1, -1, 1)}
"""What turns positions into RAS."""

_FARTHEST_MM = 10_000
_SAVE = "Save the point list again in 3D Slicer as .mrk.json."


@dataclass(frozen=True)
class Control:
    """A point of a list.

    Attributes
    ----------
    where : str
        Where it stands, for messages.
    place : three floats or None
        World position, RAS [mm]; None where it was never placed.
    selected : bool
    label, description : str
    """

    where: str
    place: tuple[float, float, float] | None
    selected: bool = True
    label: str = ""
    description: str = ""


def read(path: Path, _: MarkOptions) -> Reading:
    """Read a file of point lists; of several lists in it all points.

    Points without a place are left out, and those that are not selected.

    Raises
    ------
    MissingError, DataError
    """
    return reading_of(*controls(path))


def controls(path: Path) -> tuple[list[Control], str]:
    """Every point of a file, and the coordinate system that it was written in.

    Raises
    ------
    MissingError, DataError
    """
    content = load_json(path, _SAVE, LARGEST)
    lists = content.get("markups") if isinstance(content, dict) else None
    if not isinstance(lists, list) or not lists or not all(isinstance(one, dict) for one in lists):
        raise DataError(f"{path}: holds no markups of 3D Slicer. {_SAVE}")
    found: list[Control] = []
    systems = []
    for number, one in enumerate(lists, 1):
        where = f"{path}: " + f"list {number}, " * (len(lists) > 1)
        system = _system(where, one)
        systems.append(system)
        points = one.get("controlPoints", [])
        if not isinstance(points, list) or not all(isinstance(point, dict) for point in points):
            raise DataError(f"{where}its controlPoints are none. {_SAVE}")
        for n, point in enumerate(points, 1):
            here, selected = f"{where}point {n}", point.get("selected", True) is not False
            words = tuple(str(point.get(name, "")) for name in ("label", "description"))
            placed = point.get("positionStatus", "defined") == "defined"
            # where a point stands that nobody selected need not make sense
            place = in_ras(here, point.get("position"), system) if placed and selected else None
            found.append(Control(here, place, selected or not placed, *words))
    return found, " and ".join(dict.fromkeys(systems))


def reading_of(points: Sequence[Control], system: str) -> Reading:
    """The marks among points."""
    left_out = Counter("not selected" if not each.selected else "not placed" for each in points if each.place is None)
    rows = [{"where": each.where, **dict(zip(WORLD, each.place, strict=True))} for each in points if each.place]
    return Reading(f"3D Slicer points, {system}", pd.DataFrame(rows, columns=["where", *WORLD]), left_out=left_out)


def in_ras(where: str, place: object, system: str) -> tuple[float, float, float]:
    """A position as it stands in a file, in RAS.

    Raises
    ------
    DataError
    """
    x, y, z = (sign * number for sign, number in zip(TO_RAS[system], check_place(where, place), strict=True))
    return x, y, z


def check_place(where: str, place: object) -> list[float]:
    """Three positions in millimetres.

    Raises
    ------
    DataError
        If they are none, or lie nowhere near a head.
    """
    numbers = place if isinstance(place, list) and len(place) == 3 else []
    if not numbers or not all(
        isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x) and abs(x) <= _FARTHEST_MM
        for x in numbers
    ):
        raise DataError(
            f"{where} has the position {shown(place)}; expected three numbers in millimetres, {_FARTHEST_MM} at most. "
            "Correct or remove the point."
        )
    return [float(x) for x in numbers]


def _system(where: str, one: Mapping[str, Any]) -> str:
    """The coordinate system of a list; LPS where it does not say, as the format has it.

    Raises
    ------
    DataError
        If it is no list of points, or its positions are no millimetres in LPS or RAS.
    """
    kind = one.get("type", "Fiducial")
    if kind != "Fiducial":
        raise DataError(
            f"{where}holds a markup of the kind {shown(kind)}; expected points (Fiducial). Mark with points."
        )
    unit = one.get("coordinateUnits", "mm")
    unit = unit[0] if isinstance(unit, list) and unit else unit
    if unit != "mm":
        raise DataError(f"{where}its coordinateUnits are {shown(unit)}; expected mm. {_SAVE}")
    system = one.get("coordinateSystem", "LPS")
    if not isinstance(system, str) or system not in TO_RAS:
        raise DataError(f"{where}its coordinateSystem is {shown(system)}; expected LPS or RAS. {_SAVE}")
    return system
