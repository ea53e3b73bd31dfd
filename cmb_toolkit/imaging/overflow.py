"""Bright voxels that overflowed: where int16 ends at 32767, what is brighter comes out strongly negative."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["overflowed"]

_STRONGLY = 0.5  # of the largest value
_DEEPEST = 1.1  # of the largest value, which is near 32767 where there is an overflow: below -32768 nothing can be
_MOST = 0.25  # of as many as are positive: of a phase, as many are negative
_BRIGHT_BESIDE = 0.5  # share of the groups of negative voxels that must lie beside a bright one


def overflowed(values: NDArray[np.floating]) -> int:
    """Count the voxels of a magnitude or SWI that overflowed.

    They are strongly negative, below minus half of the largest value, and their groups lie beside voxels above half of
    it: the signal grows past the end of the range and begins again at the other end, at minus the largest value.
    Negative values of interpolation are small, those of a phase as many as the positive ones.

    Parameters
    ----------
    values : (i, j, k) array

    Returns
    -------
    int
        All negative voxels, where the strongly negative ones show an overflow; else 0.
    """
    most, least = float(values.max()), float(values.min())
    if not -_DEEPEST * most < least < -_STRONGLY * most:
        return 0
    negative = values < 0
    count = int(negative.sum())
    if count > _MOST * int((values > 0).sum()):
        return 0
    labels, groups = ndimage.label(negative, np.ones((3, 3, 3), bool))
    largest_beside = ndimage.maximum_filter(values, size=3)
    number = np.arange(1, groups + 1)
    deepest = ndimage.minimum(values, labels, number)
    beside = ndimage.maximum(largest_beside, labels, number)
    strong = np.asarray(deepest) < -_STRONGLY * most
    bright = np.asarray(beside)[strong] > _STRONGLY * most
    return count if bright.size and bright.mean() >= _BRIGHT_BESIDE else 0
