"""Blocks of scans for a training: around marks, around what was taken for a microbleed, and anywhere in the brain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..imaging.normalise import phase_channel, swi_channel

__all__ = [
    "BLOCK_MM",
    "SIGMA_MM",
    "SLICES",
    "Block",
    "Brain",
    "brain_of",
    "draw",
    "factor_of",
    "folded",
    "heat",
    "sides_of",
]

BLOCK_MM = 32.0
"""Side of a block in plane; through plane it has 14 slices."""

SLICES = 14
SIGMA_MM = 1.2
"""Of the peak that stands for a microbleed."""

_SHIFT_MM = 12.0
_GRID_MM = 1.0
_ALIKE = 0.01
_MARKED, _MINED = 4, 3
"""Of eight blocks, so many around marks, and around what was mined."""

Float = NDArray[np.float32]


@dataclass(frozen=True)
class Brain:
    """A scan to learn from, cut to its brain.

    Attributes
    ----------
    channels : (i, j, k, 2) float16 array
        SWI and phase, -0.5..0.5 in the brain and 0 outside.
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


@dataclass(frozen=True)
class Block:
    """What a network is shown, and what it should say.

    Attributes
    ----------
    image : (n, i, j, k, channels) float32 array
    target : (n, i, j, k) float32 array
        0..1; 1 at the voxels nearest to microbleeds.
    weight : (n, i, j, k) float32 array
        1 in the brain, 0 outside.
    """

    image: Float
    target: Float
    weight: Float


def brain_of(
    swi: Float, phase: Float, mask: NDArray[np.bool_], spacing: Sequence[float], marks: NDArray[np.float64]
) -> Brain:
    """Make grey values alike and cut away what lies outside the brain.

    Parameters
    ----------
    swi, phase : (i, j, k) arrays
    mask : (i, j, k) bool array
    spacing : three floats
        Voxel size [mm].
    marks : (n, 3) array
        Microbleeds [voxel of the scan].
    """
    sides = [np.flatnonzero(mask.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    box = tuple(slice(int(side[0]), int(side[-1]) + 1) for side in sides)
    inside = mask[box]
    scaled = [swi_channel(swi, mask, "fixed")[box], phase_channel(phase, mask, "fixed")[box]]
    channels = np.stack([np.where(inside, channel - np.float32(0.5), 0) for channel in scaled], -1)
    corner = tuple(part.start for part in box)
    return Brain(
        channels.astype(np.float16),
        inside,
        np.asarray(marks, float).reshape(-1, 3) - corner,
        (float(spacing[0]), float(spacing[1]), float(spacing[2])),
        (corner[0], corner[1], corner[2]),
    )


def factor_of(spacing: Sequence[float]) -> int:
    """Voxels along a side that become channels of one voxel of the network's grid, about 1 mm in plane.

    >>> factor_of((0.5, 0.5, 2)), factor_of((0.8, 0.8, 2))
    (2, 1)
    """
    return max(1, round(_GRID_MM / float(np.mean(spacing[:2]))))


def sides_of(spacing: Sequence[float]) -> tuple[int, int, int]:
    """Sides of a block [voxel]: even on the network's grid."""
    factor = factor_of(spacing)
    side = max(8, 4 * round(BLOCK_MM / float(np.mean(spacing[:2])) / factor / 4)) * factor
    return side, side, SLICES


def folded(image: Float, factor: int) -> Float:
    """Squares of factor x factor voxels of a plane become channels: (..., i, j, k, c) -> (..., i/f, j/f, k, c f f)."""
    *lead, i, j, k, c = image.shape
    parts = image.reshape(*lead, i // factor, factor, j // factor, factor, k, c)
    n = len(lead)
    order = (*range(n), n, n + 2, n + 4, n + 1, n + 3, n + 5)
    return np.ascontiguousarray(parts.transpose(order).reshape(*lead, i // factor, j // factor, k, c * factor**2))


def heat(marks: NDArray[np.float64], shape: Sequence[int], spacing: Sequence[float], factor: int) -> Float:
    """The peaks that stand for microbleeds, on the network's grid.

    Parameters
    ----------
    marks : (n, 3) array
        [voxel of the block].
    shape : three ints
        The block's [voxel].
    spacing : three floats
        Voxel size [mm].
    factor : int

    Returns
    -------
    (i/f, j/f, k) float32 array
        A Gaussian around each mark; 1 at the voxel nearest to one inside the block.
    """
    steps = (factor, factor, 1)
    sides = [length // step for length, step in zip(shape, steps, strict=True)]
    target = np.zeros(sides, np.float32)
    for mark in marks:
        away = [
            (np.arange(side) * step + (step - 1) / 2 - place) * size
            for side, step, place, size in zip(sides, steps, mark, spacing, strict=True)
        ]
        near = [int(np.abs(distance).argmin()) for distance in away]
        squares = [(distance**2).astype(np.float32) for distance in away]
        distance = squares[0][:, None, None] + squares[1][None, :, None] + squares[2][None, None, :]
        np.maximum(target, np.exp(-distance / np.float32(2 * SIGMA_MM**2)), out=target)
        if all(0 <= (place + 0.5) < length for place, length in zip(mark, shape, strict=True)):
            target[tuple(near)] = 1
    return target


def draw(brains: Sequence[Brain], mined: Sequence[NDArray[np.float64]], count: int, rng: np.random.Generator) -> Block:
    """Blocks of one step, mirrored and turned: half around marks, three eighths around what was mined, others anywhere.

    Parameters
    ----------
    brains : sequence of Brain
        The first one's voxels decide how large blocks are.
    mined : sequence of (n, 3) arrays
        What was taken for a microbleed wrongly in each of them [voxel]; where there is nothing, anywhere stands for it.
    count : int
        Blocks.
    rng : Generator
    """
    sides = sides_of(brains[0].spacing)
    marks = [(n, mark) for n, brain in enumerate(brains) for mark in brain.marks]
    false = [(n, place) for n, places in enumerate(mined) for place in places]
    blocks = []
    for turn in range(count):
        share = (turn + 0.5) * 8 / count
        if share < _MARKED and marks:
            n, place = marks[rng.integers(len(marks))]
        elif _MARKED <= share < _MARKED + _MINED and false:
            n, place = false[rng.integers(len(false))]
        else:
            n = int(rng.integers(len(brains)))
            inside = np.flatnonzero(brains[n].mask)
            place = np.array(np.unravel_index(inside[rng.integers(len(inside))], brains[n].mask.shape), float)
        spacing = brains[n].spacing
        shift = rng.uniform(-_SHIFT_MM, _SHIFT_MM, 3) / spacing
        part = _cut(brains[n], np.asarray(place, float) + shift, sides)
        blocks.append(_turned(*part, spacing, factor_of(brains[0].spacing), rng))
    images, targets, weights = zip(*blocks, strict=True)
    return Block(np.stack(images), np.stack(targets), np.stack(weights))


def _cut(
    brain: Brain, middle: NDArray[np.float64], sides: Sequence[int]
) -> tuple[Float, NDArray[np.bool_], NDArray[np.float64]]:
    """Channels, mask and marks of a block around a place; beyond the brain there is nothing."""
    start = np.rint(middle - (np.array(sides) - 1) / 2).astype(int)
    image, mask = np.zeros((*sides, brain.channels.shape[3]), np.float32), np.zeros(sides, bool)
    low, high = np.maximum(start, 0), np.minimum(start + sides, brain.mask.shape)
    if (high > low).all():
        source = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        into = tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))
        image[into], mask[into] = brain.channels[source], brain.mask[source]
    return image, mask, brain.marks - start


def _turned(
    image: Float,
    mask: NDArray[np.bool_],
    marks: NDArray[np.float64],
    spacing: Sequence[float],
    factor: int,
    rng: np.random.Generator,
) -> tuple[Float, Float, Float]:
    """One of the sixteen mirrored and turned forms, on the network's grid."""
    marks = marks.copy()
    for axis in range(3):
        if rng.integers(2):
            image, mask = np.flip(image, axis), np.flip(mask, axis)
            marks[:, axis] = mask.shape[axis] - 1 - marks[:, axis]
    if rng.integers(2) and abs(spacing[0] - spacing[1]) < _ALIKE * spacing[0]:
        image, mask, marks = image.swapaxes(0, 1), mask.swapaxes(0, 1), marks[:, [1, 0, 2]]
    weight = folded(mask[..., None].astype(np.float32), factor).max(-1)
    return folded(image, factor), heat(marks, mask.shape, spacing, factor), weight
