"""Patches for the second stage: 16 x 16 x 16 voxels of SWI beside as many of phase (paper, section 2.1.2).

Both are cut from the volumes, at their own resolution, around the centre of a candidate's box. A side of 16 has no
middle voxel: **the voxel nearest to the centre stands at index 8 of 0..15**, so the patch reaches 8 voxels to the
lower side of it and 7 to the upper. Where a patch reaches beyond the volume it is filled with 0, the value that both
channels have outside the brain.

What looks large (:mod:`cmb_toolkit.imaging.extent`) is cut from the scan shrunk to half, so that it fits into its patch
and looks like the many small ones that a network has learned: of large microbleeds it sees too few. This is not the
paper's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, UsageError
from ..imaging.extent import extent
from ..imaging.halved import SHRUNK, halved
from ..imaging.normalise import phase_channel, swi_channel

__all__ = ["PATCH_SIZE", "beside", "cut", "patches_of"]

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


def patches_of(
    swi: NDArray[np.float32],
    phase: NDArray[np.float32],
    mask: NDArray[np.bool_],
    spacing: Sequence[float],
    centres: NDArray[np.float64],
    *,
    scale: str,
    size: int,
    shrink_from: float,
) -> NDArray[np.float32]:
    """The patches of one scan, as networks take them.

    Parameters
    ----------
    swi, phase : (i, j, k) float32 arrays
    mask : (i, j, k) bool array
        The brain.
    spacing : three floats
        Voxel size [mm].
    centres : (n, 3) array
        As :func:`cut` takes them.
    scale : str
        How grey values become 0..1, see :mod:`cmb_toolkit.imaging.normalise`.
    size : int
    shrink_from : float
        Of a place in the middle of what is dark over so much or more [mm] the patch is cut from the scan shrunk to
        half; 0: never.

    Returns
    -------
    (n, size, 2 size, size) float32 array

    Raises
    ------
    UsageError, DataError
        As :func:`cut` raises them.
    """
    channels = swi_channel(swi, mask, scale), phase_channel(phase, mask, scale)
    patches = beside(*(cut(each, centres, size) for each in channels))
    if not shrink_from:
        return patches
    large = np.array([_looks_large(swi, mask, place, spacing, shrink_from) for place in centres], bool)
    if large.any():
        # what halving the whole scan would give, of what the patches show alone
        middles = np.floor((centres[large] + 0.5) / SHRUNK) * SHRUNK
        wide = [cut(each, middles, SHRUNK * size) for each in (*channels, mask.astype(np.float32))]
        small = [halved(np.stack(both, axis=-1), brain > 0)[0] for *both, brain in zip(*wide, strict=True)]
        patches[large] = beside(*np.moveaxis(np.stack(small), -1, 0))
    return patches


def _looks_large(
    swi: NDArray[np.float32],
    mask: NDArray[np.bool_],
    place: NDArray[np.float64],
    spacing: Sequence[float],
    least: float,
) -> bool:
    """Whether a place is in the middle of something large. What is small and touches something large is not: the middle
    of both is elsewhere."""
    region = extent(swi, mask, place, spacing)
    off = np.linalg.norm((region.centre - place) * spacing)
    return bool(region.diameter_mm >= least and off <= least / 2)


def beside(swi: NDArray[np.float32], phase: NDArray[np.float32]) -> NDArray[np.float32]:
    """SWI beside phase along the second axis: two (n, s, s, s) arrays -> (n, s, 2 s, s), the network's input."""
    return np.concatenate([swi, phase], axis=2)
