"""Marks that were found, put on the canonical voxels of their scans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, Problems
from ..io.nifti import Grid
from ..io.orient import inside
from ..study.place_marks import common_grid, far_from_world, mark_problems, place_marks
from .base import Found, Marks

__all__ = ["Placed", "placed"]

Placed: TypeAlias = tuple[NDArray[np.int_], NDArray[np.float64]]
"""Canonical voxels of a subject's marks, and the affine of their grid."""


def placed(found: Found, grids: Mapping[str, Mapping[str, Grid]], unreadable: Problems) -> dict[str, Placed]:
    """Where the marks are, of each subject that has some.

    Parameters
    ----------
    found : Found
    grids : mapping
        Of the volumes of each subject that could be read.
    unreadable : Problems
        Those of the others, to be told in the same message.

    Raises
    ------
    UsageError, MissingError, DataError
        If marks were not understood, or cannot be where they are said to be.
    """
    wrong = Problems()
    wrong.extend(found.wrong)
    marks: dict[str, Placed] = {}
    marked = [(x.subject, x.marks) for x in found.scans if x.marks is not None and x.subject in grids]
    for subject, mine in marked:
        shape, affine = common_grid(grids[subject])
        try:
            voxels = place_marks(grids[subject], mine.on, next(iter(mine.ways.values())))
        except DataError as error:
            wrong.add(f"{mine.named}: {error}")
            continue
        for problem in mark_problems(mine.where, voxels, shape):
            wrong.add(problem)
        if mine.world_mm is not None:
            for problem in far_from_world(mine.where, voxels, mine.world_mm, affine):
                wrong.add(problem)
        marks[subject] = (voxels, affine)
    if wrong.found:
        wrong.extend(unreadable)
        # of some it may not even be known which file they count on
        wrong.raise_if_any(_fitting([(grids[s], mine) for s, mine in marked]) if len(marks) == len(marked) else "")
    return marks


def _fitting(marked: list[tuple[Mapping[str, Grid], Marks]]) -> str:
    """Under which ways of counting every mark of every subject would be inside its volume, if it is not as was said."""
    said, *others = marked[0][1].ways if marked else [""]
    ways = [way for way in (said, *others) if all(_all_inside(grids, mine, way) for grids, mine in marked)]
    if not ways or said in ways:
        return ""
    return f"All labels would lie inside their volumes with {' or '.join(ways)}."


def _all_inside(grids: Mapping[str, Grid], mine: Marks, way: str) -> bool:
    return bool(inside(place_marks(grids, mine.on, mine.ways[way]), common_grid(grids)[0]).all())
