"""Where a heatmap network sees microbleeds in a scan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..lessons.brains import Brain
from ..lessons.peaks import peaks as peaks_of
from .blocks import factor_of, folded

__all__ = ["HALF_TURN", "ONCE", "Turns", "peaks", "scores"]

Float = NDArray[np.float32]

_PLANE, _SLICES = 32, 4
"""Voxels of the grid to multiples of which a scan is filled up: few shapes, and every network can halve them."""

Turns: TypeAlias = tuple[tuple[int, ...], ...]
"""For each look the axes along which the scan is turned round."""

ONCE: Turns = ((),)
"""The scan as it is."""

HALF_TURN: Turns = ((), (0, 1))
"""As it is, and turned round in plane."""


def scores(run: Callable[[Float], Float], brain: Brain, turns: Turns = ONCE) -> Float:
    """The network's answer at every voxel of its grid, 0 outside the brain: the mean of all looks.

    Parameters
    ----------
    run : callable
        (1, i, j, k, channels) -> (1, i, j, k, 1), 0..1.
    brain : Brain
    turns : Turns
        How the scan is looked at.

    Returns
    -------
    (i/f, j/f, k) float32 array
    """
    factor = factor_of(brain.spacing)
    shape = brain.mask.shape
    multiples = (_PLANE * factor, _PLANE * factor, _SLICES)
    filled = [(0, -side % multiple) for side, multiple in zip(shape, multiples, strict=True)]
    image = np.pad(brain.channels, (*filled, (0, 0))).astype(np.float32)
    inside = folded(np.pad(brain.mask, filled)[..., None].astype(np.float32), factor).max(-1)
    total = np.zeros(inside.shape, np.float32)
    for axes in turns:
        total += np.flip(run(folded(np.flip(image, axes), factor)[None])[0, ..., 0], axes)
    return np.asarray(total * inside / np.float32(len(turns)), np.float32)


def peaks(
    found: Float, spacing: Sequence[float], *, separation_mm: float, most: int
) -> tuple[NDArray[np.float64], Float]:
    """The peaks of an answer, and how high they are, see :func:`cmb_toolkit.lessons.peaks.peaks`.

    Parameters
    ----------
    found : (i, j, k) array
        On the network's grid.
    spacing : three floats
        The scan's voxel size [mm].
    separation_mm, most
    """
    factor = factor_of(spacing)
    middle = (factor - 1) / 2
    return peaks_of(found, spacing, (factor, factor, 1), (middle, middle, 0), separation_mm=separation_mm, most=most)
