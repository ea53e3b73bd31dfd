"""Where a heatmap network sees microbleeds in a scan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..imaging.halved import SHRUNK, halved
from ..lessons.brains import Brain
from ..lessons.peaks import peaks as peaks_of
from .blocks import factor_of, folded

__all__ = ["LOOKS", "NOW", "ONCE", "Looks", "peaks", "scores"]

Float = NDArray[np.float32]

_PLANE, _SLICES = 32, 4
"""Voxels of the grid to multiples of which a scan is filled up: few shapes, and every network can halve them."""


class Looks(NamedTuple):
    """How a scan is looked at.

    Attributes
    ----------
    turns : tuple
        For each look the axes along which the scan is turned round; the mean of all answers is taken.
    shrunk : bool
        Whether these looks are repeated at the scan shrunk to half its size along every axis, and of both answers the
        higher one taken.
    """

    turns: tuple[tuple[int, ...], ...] = ((),)
    shrunk: bool = False


ONCE = Looks()
"""The scan as it is."""

LOOKS = {"": ONCE, "turned": Looks(((), (0, 1))), "turned, shrunk": Looks(((), (0, 1)), shrunk=True)}
"""What the file of a network says that it is to look at: as it is; also turned round in plane; both also shrunk."""

NOW = "turned, shrunk"
"""Of networks that are trained now."""


def scores(run: Callable[[Float], Float], brain: Brain, looks: Looks = ONCE) -> Float:
    """The network's answer at every voxel of its grid, 0 outside the brain.

    Parameters
    ----------
    run : callable
        (1, i, j, k, channels) -> (1, i, j, k, 1), 0..1.
    brain : Brain
    looks : Looks

    Returns
    -------
    (i/f, j/f, k) float32 array
        Its sides are filled up, i and j to multiples of 32, k to one of 4.
    """
    factor = factor_of(brain.spacing)
    found, inside = _mean(run, brain.channels, brain.mask, factor, looks.turns)
    if looks.shrunk:
        small, _ = _mean(run, *halved(brain.channels, brain.mask), factor, looks.turns)
        between = (1 / SHRUNK - 1) / 2  # where the middle of the grid's first voxel lies on the shrunk one
        steps = np.full(3, 1 / SHRUNK)
        there = ndimage.affine_transform(small, steps, between, output_shape=found.shape, order=1, mode="nearest")
        found = np.maximum(found, there * inside)
    return found


def _mean(
    run: Callable[[Float], Float],
    channels: NDArray[np.floating[Any]],
    mask: NDArray[np.bool_],
    factor: int,
    turns: tuple[tuple[int, ...], ...],
) -> tuple[Float, Float]:
    """The mean answer to all turns, 0 outside the brain, and where that is."""
    multiples = (_PLANE * factor, _PLANE * factor, _SLICES)
    filled = [(0, -side % multiple) for side, multiple in zip(mask.shape, multiples, strict=True)]
    image = np.pad(channels, (*filled, (0, 0))).astype(np.float32)
    inside = folded(np.pad(mask, filled)[..., None].astype(np.float32), factor).max(-1)
    total = np.zeros(inside.shape, np.float32)
    for axes in turns:
        total += np.flip(run(folded(np.flip(image, axes), factor)[None])[0, ..., 0], axes)
    return np.asarray(total * inside / np.float32(len(turns)), np.float32), inside


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
