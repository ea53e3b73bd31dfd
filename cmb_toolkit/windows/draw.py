"""Windows to learn from: as many around marks as elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..lessons.brains import Brain, cut_out

__all__ = ["draw", "windows_of"]

_SHIFT = 2.0
"""How far from a mark in plane the middle of its window lies at most [voxel]."""
_CLEAR_MM = 4.0
"""Windows that show none have their middle farther than this from every microbleed."""
_TRIES = 50
_ALIKE = 0.01

Float = NDArray[np.float32]


def draw(
    brains: Sequence[Brain],
    mined: Sequence[NDArray[np.float64]],
    count: int,
    sides: Sequence[int],
    rng: np.random.Generator,
) -> tuple[Float, NDArray[np.int32]]:
    """Windows of one step, in one of the square's eight symmetries each.

    Parameters
    ----------
    brains : sequence of Brain
    mined : sequence of (n, 3) arrays
        What was taken for a microbleed wrongly in each of them [voxel]: half of what is none, where there is any.
    count : int
        Windows; half of them show a microbleed in their middle.
    sides : three ints
        Of a window [voxel].
    rng : Generator

    Returns
    -------
    (count, i, j, k, channels) float32 array
        -0.5..0.5.
    (count,) int32 array
        1: a microbleed.
    """
    marks = [(n, mark) for n, brain in enumerate(brains) for mark in brain.marks]
    false = [(n, place) for n, places in enumerate(mined) for place in places]
    labels = np.arange(count, dtype=np.int32) % 2
    images = []
    for number, label in enumerate(labels):
        if label:
            n, place = marks[rng.integers(len(marks))]
            place = place + rng.uniform(-1, 1, 3) * (_SHIFT, _SHIFT, 0.5)
        elif false and number % 4 == 0:
            n, place = false[rng.integers(len(false))]
            place = place + rng.uniform(-0.5, 0.5, 3)
        else:
            n, place = _nothing(brains, rng)
        image = cut_out(brains[n], place, sides)[0]
        images.append(_turned(image, brains[n].spacing, rng))
    return np.stack(images), labels


def _nothing(brains: Sequence[Brain], rng: np.random.Generator) -> tuple[int, NDArray[np.float64]]:
    """A voxel of a brain without a microbleed; where none was found in some tries, the last one tried."""
    for _ in range(_TRIES):
        n = int(rng.integers(len(brains)))
        place = rng.integers(brains[n].mask.shape)
        if not brains[n].mask[tuple(place)]:
            continue
        away = np.linalg.norm((brains[n].marks - place) * brains[n].spacing, axis=1)
        if (away > _CLEAR_MM).all():
            break
    return n, place.astype(float)


def _turned(image: Float, spacing: Sequence[float], rng: np.random.Generator) -> Float:
    for axis in (0, 1):
        if rng.integers(2):
            image = np.flip(image, axis)
    if rng.integers(2) and abs(spacing[0] - spacing[1]) < _ALIKE * spacing[0]:
        image = image.swapaxes(0, 1)
    return image


def windows_of(brain: Brain, places: NDArray[np.integer], sides: Sequence[int]) -> Float:
    """Windows around voxels; beyond the brain there is nothing.

    Parameters
    ----------
    brain : Brain
    places : (n, 3) int array
        Voxels; each comes to stand at index ``side // 2`` of its window.
    sides : three ints

    Returns
    -------
    (n, i, j, k, channels) float32 array
    """
    filled = np.pad(brain.channels, [*((side // 2, side // 2) for side in sides), (0, 0)])
    views = np.lib.stride_tricks.sliding_window_view(filled, tuple(sides), axis=(0, 1, 2))
    i, j, k = np.asarray(places).T
    return np.asarray(np.moveaxis(views[i, j, k], 1, -1), np.float32)
