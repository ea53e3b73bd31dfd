"""Patches for the second stage: 16 x 16 x 16 voxels of SWI beside as many of phase (paper, section 2.1.2).

Both are cut from the volumes at their own resolution, around the centre of a candidate's box. A side of 16 has no
middle voxel: **the voxel nearest to the centre stands at index 8 of 0..15**, so the patch reaches 8 voxels to the
lower side of it and 7 to the upper. Where a patch reaches beyond the volume it is filled with 0, the value that both
channels have outside the brain.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, UsageError

__all__ = ["PATCH_SIZE", "beside", "cut"]

PATCH_SIZE = 16
"""Side of a patch [voxel] (section 2.1.2)."""


def cut(volume: NDArray[np.float32], centres: ArrayLike, size: int = PATCH_SIZE) -> NDArray[np.float32]:
    """Cut cubes out of a volume.

    Parameters
    ----------
    volume : (i, j, k) float32 array
    centres : (n, 3) array-like
        Voxel coordinates, 0-based, may be fractional; whole numbers are voxel centres. The nearest voxel (halves go
        up) comes to stand at index ``size // 2``.
    size : int
        Side of the cube [voxel], even.

    Returns
    -------
    (n, size, size, size) float32 array
        0 where the cube reaches beyond the volume.

    Raises
    ------
    UsageError
        If the size is not positive and even.
    DataError
        If a centre is no voxel of the volume.
    """
    if size < 2 or size % 2:
        raise UsageError(f"patch size {size}: expected an even number of voxels, 2 or more; the paper's is 16.")
    points = np.asarray(centres, float).reshape(-1, 3)
    shape = np.array(volume.shape)
    nearest = np.floor(points + 0.5)
    outside = ~(np.isfinite(points) & (nearest >= 0) & (nearest < shape)).all(axis=1)
    if outside.any():
        raise DataError(
            f"patch centre ({', '.join(f'{x:g}' for x in points[outside][0])}) lies outside the volume of "
            f"{' x '.join(map(str, volume.shape))} voxels (0-based). Candidates and volumes do not belong together: "
            "find candidates again in the present volumes."
        )
    first = nearest.astype(np.intp) - size // 2
    low = np.maximum(first, 0)
    high = np.minimum(first + size, shape)
    patches = np.zeros((len(points), size, size, size), np.float32)
    for patch, start, (i, j, k), (p, q, r) in zip(patches, first, low, high, strict=True):
        a, b, c = start
        patch[i - a : p - a, j - b : q - b, k - c : r - c] = volume[i:p, j:q, k:r]
    return patches


def beside(swi: NDArray[np.float32], phase: NDArray[np.float32]) -> NDArray[np.float32]:
    """SWI beside phase along the second axis: two (n, s, s, s) arrays -> (n, s, 2 s, s), the network's input."""
    return np.concatenate([swi, phase], axis=2)
