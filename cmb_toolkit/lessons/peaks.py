"""Peaks of what a network answers on a grid of its own, as places in the scan."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..stage1.radial_symmetry import local_maxima

__all__ = ["peaks"]

_LEAST = 1e-4


def peaks(
    found: NDArray[np.float32],
    spacing: Sequence[float],
    step: Sequence[int],
    first: Sequence[float],
    *,
    separation_mm: float,
    most: int,
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """The peaks of an answer, and how high they are.

    Parameters
    ----------
    found : (i, j, k) array
        0..1; voxel n of it lies at voxel ``n step + first`` of the scan.
    spacing : three floats
        The scan's voxel size [mm].
    step : three ints
    first : three floats
    separation_mm : float
        Of peaks nearer than this [mm] only the highest is given.
    most : int
        At most so many, the highest.

    Returns
    -------
    (n, 3) array
        Voxels of the scan [voxel centre]: in plane between voxels, as a parabola through the neighbours' logarithms
        says; whole slices, of an answer between two slices the one that the parabola is nearer to.
    (n,) float32 array
    """
    grid = tuple(size * each for size, each in zip(spacing, step, strict=True))
    places, values = local_maxima(
        np.where(found >= _LEAST, found, 0).astype(np.float32), grid, separation_mm=separation_mm, most=most
    )
    exact = places.astype(float)
    logs = np.log(np.maximum(found, np.float32(_LEAST * _LEAST)))
    for axis in (0, 1, 2) if first[2] % 1 else (0, 1):
        one = np.eye(3, dtype=int)[axis]
        inner = (places[:, axis] > 0) & (places[:, axis] < found.shape[axis] - 1)
        here = places[inner]
        before, middle, after = (logs[tuple((here + n * one).T)] for n in (-1, 0, 1))
        bend = np.minimum(before - 2 * middle + after, -1e-6)
        exact[inner, axis] += np.clip((before - after) / (2 * bend), -0.5, 0.5)
    exact = exact * np.asarray(step) + np.asarray(first)
    exact[:, 2] = np.rint(exact[:, 2])
    return exact, values
