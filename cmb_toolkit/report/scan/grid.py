"""Where things lie on the volumes that are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .content import Shown

__all__ = ["Box", "Window", "brain_box", "slice_number", "slice_numbers", "to_voxel", "windows", "zooms"]

Window = tuple[float, float]

_SAMPLES = 500_000  # voxels are enough for a percentile


class Box(NamedTuple):
    """Voxels from `low` to before `high` along i, j and k."""

    low: tuple[int, int, int]
    high: tuple[int, int, int]

    @property
    def size(self) -> tuple[int, int, int]:
        """Voxels along i, j and k."""
        i, j, k = (high - low for low, high in zip(self.low, self.high, strict=True))
        return i, j, k

    @property
    def plane(self) -> tuple[slice, slice]:
        """Index of what lies in the box on a slice."""
        return slice(self.low[0], self.high[0]), slice(self.low[1], self.high[1])


def zooms(shown: Shown) -> tuple[float, float, float]:
    """Voxel size along i, j and k [mm]."""
    i, j, k = (float(size) for size in np.linalg.norm(shown.affine[:3, :3], axis=0))
    return i, j, k


def to_voxel(shown: Shown, world: ArrayLike) -> NDArray[np.float64]:
    """Fractional voxels of the shown grid, from world positions [mm, RAS]; both (..., 3)."""
    away = np.asarray(world, np.float64) - shown.affine[:3, 3]
    return np.asarray(away @ np.linalg.inv(shown.affine[:3, :3]).T, np.float64)


def slice_number(shown: Shown, k: int) -> int:
    """What a viewer of the scan's file calls a slice."""
    return k + 1 if shown.slices is None else shown.slices[k]


def slice_numbers(
    affine: NDArray[np.float64], shape: Sequence[int], file_affine: NDArray[np.float64], slice_axis: int
) -> tuple[int, ...]:
    """What viewers of a file call the slices of a grid that it was turned or resampled to, see :class:`Shown`.

    Parameters
    ----------
    affine : (4, 4) array
        From the grid's voxels to world [mm].
    shape : three ints
        The grid's voxels.
    file_affine : (4, 4) array
        From the file's voxels to world [mm].
    slice_axis : int
        Which of the file's axes counts its slices.

    Returns
    -------
    tuple of int
        For each slice of the grid the nearest of the file's, from 1, by the middle of the slice.
    """
    middles = np.array([[(shape[0] - 1) / 2, (shape[1] - 1) / 2, k, 1] for k in range(shape[2])])
    places = (np.linalg.inv(file_affine) @ affine @ middles.T)[slice_axis]
    return tuple(round(float(place)) + 1 for place in places)


def brain_box(shown: Shown, margin_mm: float = 4.0) -> Box:
    """The brain and some millimetres around it in the plane; everything where there is no brain."""
    shape = shown.mask.shape
    if not shown.mask.any():
        return Box((0, 0, 0), (shape[0], shape[1], shape[2]))
    low, high = [], []
    for axis, zoom in enumerate(zooms(shown)):
        there = np.flatnonzero(shown.mask.any(axis=tuple({0, 1, 2} - {axis})))
        margin = round(margin_mm / zoom) if axis < 2 else 0
        low.append(max(0, int(there[0]) - margin))
        high.append(min(shape[axis], int(there[-1]) + 1 + margin))
    return Box((low[0], low[1], low[2]), (high[0], high[1], high[2]))


def windows(shown: Shown) -> dict[str, Window]:
    """Values that are shown black and white in each volume, from the voxels of the brain."""
    chosen = np.flatnonzero(shown.mask)[:: max(1, int(shown.mask.sum()) // _SAMPLES)]
    if not chosen.size:
        chosen = np.arange(shown.mask.size)[:: max(1, shown.mask.size // _SAMPLES)]
    swi = np.percentile(shown.swi.ravel()[chosen], [0.2, 99.7])
    most = float(np.percentile(np.abs(shown.phase.ravel()[chosen]), 98)) or 1.0
    thick = np.percentile(shown.minip.ravel()[chosen], [0.2, 99.7])
    return {
        "swi": (float(swi[0]), float(swi[1])),
        "phase": (-most, most),  # grey is no phase
        "minip": (float(thick[0]), float(thick[1])),
    }
