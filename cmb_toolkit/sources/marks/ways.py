"""How marks that were read count on the scan."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...errors import DataError
from ...io.marks import labels_to_canonical, voxels_to_canonical, world_to_canonical
from ...io.nifti import Grid
from ...model import LabelAxes
from ...schema import MARKS_ON, VOXEL, WORLD
from ...study.place_marks import grid_problem
from ..base import Marks, Scan, Way
from .base import LABEL, MarkOptions, Reading

__all__ = ["marks_of"]


def marks_of(
    scan: Scan, path: Path, reading: Reading, points: pd.DataFrame, options: MarkOptions, on: str | None
) -> Marks:
    """The marks of a scan.

    Parameters
    ----------
    scan : Scan
    path : Path
        Their file.
    reading : Reading
        All that it holds.
    points : DataFrame
        Those of the scan.
    options : MarkOptions
    on : str or None
        The volume whose voxels they count, where that was said of this scan.
    """
    world = points[[*WORLD]].to_numpy(float) if WORLD[0] in points else None
    way: Way
    if reading.grid is not None:
        way = partial(_on_own_grid, points[[*VOXEL]].to_numpy(int), reading.grid)
    elif VOXEL[0] in points:
        way = partial(_counted, points[[*VOXEL]].to_numpy(int) - options.label_base)
    elif LABEL[0] in points:
        way = partial(_labelled, points[[*LABEL]].to_numpy(int), options.label_base, options.label_axes)
    else:
        assert world is not None
        way = partial(_nearest, world)
    counted = reading.grid is None and (VOXEL[0] in points or LABEL[0] in points)
    return Marks(
        f"{path}: {scan.subject}",
        points["where"].tolist(),
        {"": way},
        # a place in the world, or on a grid of its own, is the same in every file
        (on or options.marks_on) if counted else next(kind for kind in scan.volumes if kind in MARKS_ON),
        world if counted else None,
    )


def _counted(voxels: NDArray[np.int_], grid: Grid) -> NDArray[np.int_]:
    return voxels_to_canonical(voxels, grid.shape, grid.affine)


def _labelled(labels: NDArray[np.int_], base: int, axes: LabelAxes, grid: Grid) -> NDArray[np.int_]:
    return labels_to_canonical(labels, grid.shape, grid.affine, base=base, axes=axes)


def _nearest(world_mm: NDArray[np.float64], grid: Grid) -> NDArray[np.int_]:
    return world_to_canonical(world_mm, grid.shape, grid.affine)


def _on_own_grid(voxels: NDArray[np.int_], own: Grid, grid: Grid) -> NDArray[np.int_]:
    """Voxels of a label map, if it lies on the scan's grid.

    Raises
    ------
    DataError
    """
    problem = grid_problem(own, grid)
    if problem:
        raise DataError(f"label map and scan: {problem}")
    return voxels_to_canonical(voxels, own.shape, own.affine)
