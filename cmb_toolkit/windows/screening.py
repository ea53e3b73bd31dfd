"""Dou's screening network: windows of 16 x 16 x 10 voxels to learn from, and whole scans to look at.

All its layers are valid, so that on a larger block it gives at once what it would give on every other window of it. It
pools once, and answers at every other voxel; through plane, where voxels are thick, it looks at the scan a second time,
moved by a slice, and answers between every two slices.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..lessons import loop, network_file
from ..lessons.brains import Brain
from ..lessons.peaks import peaks
from ..model import OnProgress
from .draw import draw
from .recipe import ScreeningTraining

__all__ = ["FIRST", "STEP", "WINDOW", "build", "load", "look", "scores", "train"]

WINDOW = (16, 16, 10)
"""Sides of what the network sees to give one answer [voxel]."""

STEP, FIRST = (2, 2, 1), (-0.5, -0.5, -0.5)
"""Voxel n of :func:`scores` lies at voxel ``n STEP + FIRST`` of the brain's arrays."""

_BEFORE = (8, 8, 5)
"""What is filled up before the arrays, so that the first window's middle lies at :data:`FIRST`."""
_TILE = 48
"""Answers in plane at a time, along either side."""
_MINED = 100
NAME = "dou-fcn"

Float = NDArray[np.float32]


def build(seed: int) -> Any:
    """The untrained network: (n, i, j, k, 1), -0.5..0.5 -> (n, (i - 14) / 2, (j - 14) / 2, (k - 8) / 2, 2) logits."""
    from ..backend import keras, layers

    keras.utils.set_random_seed(seed)
    image = keras.Input((None, None, None, 1))
    x = layers.Rescaling(4.0)(image)
    for number, (filters, kernel) in enumerate(((64, (5, 5, 3)), (64, (3, 3, 3)), (64, (3, 3, 1)), (150, (2, 2, 2)))):
        x = layers.Conv3D(filters, kernel, activation="relu", kernel_initializer="he_normal")(x)
        x = layers.MaxPooling3D(2)(x) if number == 0 else x
    return keras.Model(image, layers.Conv3D(2, 1)(x), name=NAME)


def train(
    brains: list[Brain], recipe: ScreeningTraining, *, checkpoint: Path | None, key: str, on_progress: OnProgress
) -> tuple[Any, pd.DataFrame]:
    """Train it, see :func:`cmb_toolkit.lessons.loop.train`."""
    from ..backend import COMPILED, keras

    model = build(recipe.seed)
    optimizer = keras.optimizers.Adam(recipe.learning_rate)
    optimizer.build(model.trainable_variables)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, **COMPILED)

    def learn(images: Float, labels: NDArray[np.int32]) -> float:
        return float(model.train_on_batch(images, labels[:, None, None, None], return_dict=True)["loss"])

    pupil = loop.Pupil(
        model,
        optimizer,
        lambda mined, rng: draw(brains, mined, recipe.batch, WINDOW, rng),
        learn,
        partial(look, answers(model), separation_mm=loop.SEPARATION_MM, most=_MINED),
    )
    return model, loop.train(pupil, brains, recipe, checkpoint=checkpoint, key=key, on_progress=on_progress)


def answers(model: Any) -> Callable[[Float], Float]:
    """What gives probabilities: (n, i, j, k, 1) -> (n, ..) of a microbleed."""

    def run(image: Float) -> Float:
        logits = np.asarray(model.predict_on_batch(image), np.float32)
        return np.asarray(1 / (1 + np.exp(logits[..., 0] - logits[..., 1])), np.float32)

    return run


def load(path: Path) -> Callable[[Float], Float]:
    """What gives probabilities with a network from its file."""
    return answers(network_file.load(path, {NAME: _built}, "dou"))


def _built(channels: int) -> Any:
    return build(0)


def scores(run: Callable[[Float], Float], brain: Brain) -> Float:
    """The network's answers all over a brain, 0 outside; where they lie say :data:`STEP` and :data:`FIRST`.

    Parameters
    ----------
    run : callable
        Of :func:`answers`.
    brain : Brain
        Its first channel is looked at.
    """
    shape = brain.mask.shape
    counts = (-(-(shape[0] + 1) // 2), -(-(shape[1] + 1) // 2), 2 * -(-(shape[2] + 1) // 2))
    across = -(-counts[0] // _TILE) * _TILE, -(-counts[1] // _TILE) * _TILE
    # as large as the windows of all answers together
    sides = (2 * across[0] + WINDOW[0] - 2, 2 * across[1] + WINDOW[1] - 2, counts[2] + WINDOW[2] - 1)
    filled = np.zeros((*sides, 1), np.float32)
    i, j, k = (slice(first, first + side) for first, side in zip(_BEFORE, shape, strict=True))
    filled[i, j, k, 0] = brain.channels[..., 0]
    found = np.zeros((*across, counts[2]), np.float32)
    reach = 2 * _TILE + WINDOW[0] - 2
    inside = _inside(brain.mask, (*across, counts[2]))
    for a in range(0, across[0], _TILE):
        for b in range(0, across[1], _TILE):
            if not inside[a : a + _TILE, b : b + _TILE].any():
                continue
            for turn in (0, 1):
                tile = filled[2 * a : 2 * a + reach, 2 * b : 2 * b + reach, turn : sides[2] - 1 + turn]
                found[a : a + _TILE, b : b + _TILE, turn::2] = run(tile[None])[0]
    found[~inside] = 0
    return found[: counts[0], : counts[1]]


def _inside(mask: NDArray[np.bool_], counts: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Whether any of the eight voxels around each answer lies in the brain."""
    filled = np.zeros((2 * counts[0], 2 * counts[1], counts[2] + 1), bool)
    filled[1 : mask.shape[0] + 1, 1 : mask.shape[1] + 1, 1 : mask.shape[2] + 1] = mask
    near = np.asarray(filled.reshape(counts[0], 2, counts[1], 2, -1).any(axis=(1, 3)))
    return np.asarray(near[..., :-1] | near[..., 1:])


def look(run: Callable[[Float], Float], brain: Brain, *, separation_mm: float, most: int) -> loop.Found:
    """Places that may be microbleeds [voxel of the brain's arrays], and their probabilities."""
    places, values = peaks(scores(run, brain), brain.spacing, STEP, FIRST, separation_mm=separation_mm, most=most)
    return np.clip(places, 0, np.array(brain.mask.shape) - 1), values
