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
from ..imaging.normalise import minmax

__all__ = ["PATCH_SIZE", "SCALES", "beside", "cut", "phase_channel", "swi_channel"]

PATCH_SIZE = 16
"""Side of a patch [voxel] (section 2.1.2)."""

SCALES: tuple[str, ...] = ("fixed", "paper")
"""How grey values become 0..1, see :func:`swi_channel` and :func:`phase_channel`."""

_BRIGHT_PERCENTILE = 99.9


def swi_channel(swi: NDArray[np.float32], mask: NDArray[np.bool_], scale: str = "fixed") -> NDArray[np.float32]:
    """SWI in 0..1 inside the brain, 0 outside.

    Parameters
    ----------
    swi, mask : (i, j, k) arrays
    scale : str
        ``paper``: equation 2, minimum to maximum inside the mask. ``fixed``: from 0, which is black in every SWI, to
        the 99.9th percentile inside the mask, brighter voxels at 1: a few bright voxels do not darken the subject.
    """
    if _known(scale) == "paper" or not mask.any():
        return minmax(swi, mask)
    bright = float(np.percentile(swi[mask], _BRIGHT_PERCENTILE))
    if bright <= 0:
        return np.zeros(swi.shape, np.float32)
    return np.where(mask, np.clip(swi / bright, 0, 1), 0).astype(np.float32)


def phase_channel(phase: NDArray[np.float32], mask: NDArray[np.bool_], scale: str = "fixed") -> NDArray[np.float32]:
    """High-passed phase in 0..1 inside the brain, 0 outside.

    Parameters
    ----------
    phase : (i, j, k) array
        Radians, paramagnetic positive.
    mask : (i, j, k) bool array
    scale : str
        ``paper``: equation 2, minimum to maximum inside the mask. ``fixed``: -pi to pi, so that 0 rad is 0.5 in every
        subject and the sign that tells iron from calcium keeps its meaning. On HR volumes both are nearly the same,
        because voxels at the rim reach pi.
    """
    if _known(scale) == "paper":
        return minmax(phase, mask)
    return np.where(mask, np.clip(phase / (2 * np.pi) + 0.5, 0, 1), 0).astype(np.float32)


def _known(scale: str) -> str:
    if scale not in SCALES:
        raise UsageError(f"scale {scale!r} is not known; choose one of {', '.join(SCALES)}.")
    return scale


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
            "run `cmbtk stage1-detect` again on the present volumes."
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
