"""A scan shrunk to half its size along every axis: what is too large to be known looks like what is."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["SHRUNK", "halved"]

SHRUNK = 2
"""A microbleed of 8 mm looks like one of 4 mm then, which is large among those that networks learn from."""


def halved(
    channels: NDArray[np.floating[Any]], mask: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Means over cubes of two voxels a side, of what lies in the brain; in it is what at least half of lies in it.

    Parameters
    ----------
    channels : (i, j, k, channels) array
        0 outside the brain.
    mask : (i, j, k) bool array

    Returns
    -------
    channels : (i/2, j/2, k/2, channels) float32 array
        Sides are rounded up; 0 outside the brain.
    mask : (i/2, j/2, k/2) bool array
    """
    filled = [(0, -side % SHRUNK) for side in mask.shape]
    share = _means(np.pad(mask, filled)[..., None].astype(np.float32))
    inside = share[..., 0] >= 1 / 2
    means = _means(np.pad(channels, (*filled, (0, 0))).astype(np.float32)) / np.where(inside[..., None], share, 1)
    return np.where(inside[..., None], means, np.float32(0)), inside


def _means(volume: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of cubes: (i, j, k, c) -> (i/2, j/2, k/2, c)."""
    total = np.zeros([side // SHRUNK for side in volume.shape[:3]] + [volume.shape[3]], np.float32)
    for i, j, k in product(range(SHRUNK), repeat=3):
        total += volume[i::SHRUNK, j::SHRUNK, k::SHRUNK]
    return total / np.float32(SHRUNK**3)
