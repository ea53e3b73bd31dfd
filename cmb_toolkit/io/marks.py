"""Marks of readers on the canonical voxel grid.

Foreign conventions end here: 1-based counting, slice first, columns and rows of a displayed image. What leaves this
module is 0-based (i, j, k) on the closest canonical (RAS+) axes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..model import LabelAxes
from .orient import canonical_grid, orientation

__all__ = [
    "NEAR_VOXEL",
    "labels_to_canonical",
    "voxels_to_canonical",
    "world_to_canonical",
]

NEAR_VOXEL = 0.75
"""How far [voxel] a mark's world position may be from its voxel's centre."""


def labels_to_canonical(
    labels: ArrayLike, shape: Sequence[int], affine: ArrayLike, *, base: int, axes: LabelAxes
) -> NDArray[np.int_]:
    """Put labels (slice, x, y) on the canonical voxel grid. They are not checked against the grid's bounds.

    Parameters
    ----------
    labels : (n, 3) array-like of int
        slice, x, y as the reader counted. The slice counts along the file's slice axis, in the file's order.
    shape : (int, int, int)
        Voxels along the file's own axes.
    affine : (4, 4) array-like
        The file's.
    base : {0, 1}
        What the first slice, column and row are called.
    axes : {"voxel", "array", "image"}
        ``voxel``: x counts along the file's first axis and y along its second, as voxel viewers show them.
        ``array``: x counts along the second and y along the first, as MATLAB or numpy show ``volume(:, :, slice)``.
        ``image``: x counts columns from the left and y rows from the top of a radiological view (the patient's
        right on the image's left, anterior on top), whatever the order of the axes in the file.

    Returns
    -------
    (n, 3) integer array
        i, j, k from 0 on the closest canonical axes.
    """
    slices, x, y = (np.asarray(labels, dtype=int).reshape(-1, 3) - base).T
    if axes == "image":
        (ni, nj, nk), _ = canonical_grid(shape, affine)
        direction = next(direction for canonical, direction in orientation(affine) if canonical == 2)
        k = slices if direction > 0 else nk - 1 - slices
        return np.stack([ni - 1 - x, nj - 1 - y, k], axis=1)
    first, second = (x, y) if axes == "voxel" else (y, x)
    return voxels_to_canonical(np.stack([first, second, slices], axis=1), shape, affine)


def voxels_to_canonical(voxels: ArrayLike, shape: Sequence[int], affine: ArrayLike) -> NDArray[np.int_]:
    """Turn (n, 3) voxel indices along a file's own axes, from 0, into indices on the closest canonical axes."""
    points = np.asarray(voxels, dtype=int).reshape(-1, 3)
    turned = np.empty_like(points)
    for axis, (canonical, direction) in enumerate(orientation(affine)):
        turned[:, canonical] = points[:, axis] if direction > 0 else shape[axis] - 1 - points[:, axis]
    return turned


def world_to_canonical(points_mm: ArrayLike, shape: Sequence[int], affine: ArrayLike) -> NDArray[np.int_]:
    """Find the voxels, on the closest canonical axes of a file's grid, nearest to (n, 3) world positions [mm]."""
    _, canonical = canonical_grid(shape, affine)
    points = np.asarray(points_mm, dtype=float).reshape(-1, 3)
    voxels = points @ np.linalg.inv(canonical)[:3, :3].T + np.linalg.inv(canonical)[:3, 3]
    nearest: NDArray[np.int_] = np.floor(voxels + 0.5).astype(int)
    return nearest
