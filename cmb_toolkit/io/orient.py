"""The axes of a file and the closest canonical (RAS+) ones."""

from __future__ import annotations

from collections.abc import Sequence

import nibabel as nib
import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["canonical_grid", "inside", "orientation"]


def canonical_grid(shape: Sequence[int], affine: ArrayLike) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """Shape and affine that a file's first three axes have after reorientation to the closest canonical axes."""
    canonical_affine = np.asarray(affine, dtype=float).copy()
    turned = [0, 0, 0]
    for axis, (canonical, direction) in enumerate(orientation(affine)):
        column = np.asarray(affine, dtype=float)[:, axis]
        turned[canonical] = int(shape[axis])
        canonical_affine[:, canonical] = direction * column
        if direction < 0:
            canonical_affine[:, 3] += (shape[axis] - 1) * column
    return (turned[0], turned[1], turned[2]), canonical_affine


def inside(voxels: ArrayLike, shape: Sequence[int]) -> NDArray[np.bool_]:
    """Which of (n, 3) voxel indices lie in a volume of this shape."""
    points = np.asarray(voxels).reshape(-1, 3)
    return np.asarray(((points >= 0) & (points < np.asarray(shape[:3]))).all(axis=1))


def orientation(affine: ArrayLike) -> list[tuple[int, int]]:
    """For each of the file's axes the canonical axis closest to it, and 1 or -1 for its direction."""
    turned = nib.io_orientation(np.asarray(affine, dtype=float))
    return [(int(canonical), int(direction)) for canonical, direction in turned]
