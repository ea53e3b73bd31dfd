"""Scans to learn from, cut to their brains, and blocks of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..imaging.normalise import phase_channel, swi_channel

__all__ = ["Brain", "anywhere", "brain_of", "cut_out"]

Float = NDArray[np.float32]


@dataclass(frozen=True)
class Brain:
    """A scan to learn from, cut to its brain.

    Attributes
    ----------
    channels : (i, j, k, channels) float16 array
        SWI and, where it is looked at, phase; -0.5..0.5 in the brain and 0 outside.
    mask : (i, j, k) bool array
    marks : (n, 3) float array
        Microbleeds [voxel of these arrays].
    spacing : three floats
        Voxel size [mm].
    corner : three ints
        Voxel of the scan at which the arrays begin.
    """

    channels: NDArray[np.float16]
    mask: NDArray[np.bool_]
    marks: NDArray[np.float64]
    spacing: tuple[float, float, float]
    corner: tuple[int, int, int]


def brain_of(
    swi: Float, phase: Float | None, mask: NDArray[np.bool_], spacing: Sequence[float], marks: NDArray[np.float64]
) -> Brain:
    """Make grey values alike and cut away what lies outside the brain.

    Parameters
    ----------
    swi, phase : (i, j, k) arrays
        The phase may be None.
    mask : (i, j, k) bool array
    spacing : three floats
        Voxel size [mm].
    marks : (n, 3) array
        Microbleeds [voxel of the scan].
    """
    sides = [np.flatnonzero(mask.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    box = tuple(slice(int(side[0]), int(side[-1]) + 1) for side in sides)
    inside = mask[box]
    scaled = [swi_channel(swi, mask, "fixed")[box]]
    if phase is not None:
        scaled.append(phase_channel(phase, mask, "fixed")[box])
    channels = np.stack([np.where(inside, channel - np.float32(0.5), 0) for channel in scaled], -1)
    corner = tuple(part.start for part in box)
    return Brain(
        channels.astype(np.float16),
        inside,
        np.asarray(marks, float).reshape(-1, 3) - corner,
        (float(spacing[0]), float(spacing[1]), float(spacing[2])),
        (corner[0], corner[1], corner[2]),
    )


def anywhere(brains: Sequence[Brain], rng: np.random.Generator) -> tuple[int, NDArray[np.float64]]:
    """A brain, and a voxel of it."""
    n = int(rng.integers(len(brains)))
    inside = np.flatnonzero(brains[n].mask)
    return n, np.array(np.unravel_index(inside[rng.integers(len(inside))], brains[n].mask.shape), float)


def cut_out(
    brain: Brain, middle: NDArray[np.float64], sides: Sequence[int]
) -> tuple[Float, NDArray[np.bool_], NDArray[np.float64]]:
    """Channels, mask and marks of a block around a place; beyond the brain there is nothing.

    Parameters
    ----------
    brain : Brain
    middle : (3,) array
        Voxel, may be fractional: the block begins at the voxel nearest to half its sides less one before it.
    sides : three ints
        Of the block [voxel].
    """
    start = np.rint(middle - (np.array(sides) - 1) / 2).astype(int)
    image, mask = np.zeros((*sides, brain.channels.shape[3]), np.float32), np.zeros(sides, bool)
    low, high = np.maximum(start, 0), np.minimum(start + sides, brain.mask.shape)
    if (high > low).all():
        source = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        into = tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))
        image[into], mask[into] = brain.channels[source], brain.mask[source]
    return image, mask, brain.marks - start
