"""Blocks of scans for a training: around marks, around what was taken for a microbleed, and anywhere in the brain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..lessons.brains import Brain, anywhere, cut_out

__all__ = [
    "BLOCK_MM",
    "SIGMA_MM",
    "SLICES",
    "Block",
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
            n, place = anywhere(brains, rng)
        spacing = brains[n].spacing
        shift = rng.uniform(-_SHIFT_MM, _SHIFT_MM, 3) / spacing
        part = cut_out(brains[n], np.asarray(place, float) + shift, sides)
        blocks.append(_turned(*part, spacing, factor_of(brains[0].spacing), rng))
    images, targets, weights = zip(*blocks, strict=True)
    return Block(np.stack(images), np.stack(targets), np.stack(weights))


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
