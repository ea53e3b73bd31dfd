"""Where a heatmap network sees microbleeds in a scan."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..stage1.radial_symmetry import local_maxima
from .blocks import Brain, factor_of, folded

__all__ = ["peaks", "scores"]

Float = NDArray[np.float32]

_PLANE, _SLICES = 32, 4
"""Voxels of the grid to multiples of which a scan is filled up: few shapes, and every network can halve them."""

_LEAST = 1e-4


def scores(run: Callable[[Float], Float], brain: Brain) -> Float:
    """The network's answer at every voxel of its grid, 0 outside the brain.

    Parameters
    ----------
    run : callable
        (1, i, j, k, channels) -> (1, i, j, k, 1), 0..1.
    brain : Brain

    Returns
    -------
    (i/f, j/f, k) float32 array
    """
    factor = factor_of(brain.spacing)
    shape = brain.mask.shape
    multiples = (_PLANE * factor, _PLANE * factor, _SLICES)
    filled = [(0, -side % multiple) for side, multiple in zip(shape, multiples, strict=True)]
    image = folded(np.pad(brain.channels, (*filled, (0, 0))).astype(np.float32), factor)
    inside = folded(np.pad(brain.mask, filled)[..., None].astype(np.float32), factor).max(-1)
    return np.asarray(run(image[None])[0, ..., 0] * inside, np.float32)


def peaks(
    found: Float, spacing: Sequence[float], *, separation_mm: float, most: int
) -> tuple[NDArray[np.float64], Float]:
    """The peaks of an answer, and how high they are.

    Parameters
    ----------
    found : (i, j, k) array
        On the network's grid.
    spacing : three floats
        The scan's voxel size [mm].
    separation_mm : float
        Of peaks nearer than this [mm] only the highest is given.
    most : int
        At most so many, the highest.

    Returns
    -------
    (n, 3) array
        Voxels of the scan [voxel centre]: in plane between voxels, as a parabola through the neighbours' logarithms
        says; whole slices.
    (n,) float32 array
    """
    factor = factor_of(spacing)
    grid = (spacing[0] * factor, spacing[1] * factor, spacing[2])
    places, values = local_maxima(
        np.where(found >= _LEAST, found, 0).astype(np.float32), grid, separation_mm=separation_mm, most=most
    )
    exact = places.astype(float)
    logs = np.log(np.maximum(found, np.float32(_LEAST * _LEAST)))
    for axis in (0, 1):
        step = np.eye(3, dtype=int)[axis]
        inner = (places[:, axis] > 0) & (places[:, axis] < found.shape[axis] - 1)
        here = places[inner]
        before, middle, after = (logs[tuple((here + n * step).T)] for n in (-1, 0, 1))
        bend = np.minimum(before - 2 * middle + after, -1e-6)
        exact[inner, axis] += np.clip((before - after) / (2 * bend), -0.5, 0.5)
    exact[:, :2] = exact[:, :2] * factor + (factor - 1) / 2
    return exact, values
