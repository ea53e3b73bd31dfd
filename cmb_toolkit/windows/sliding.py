"""A network that looks at windows of one slice after the other: its training, and where it sees microbleeds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..lessons import loop, network_file
from ..lessons.brains import Brain
from ..model import OnProgress
from ..stage1.radial_symmetry import local_maxima, radial_symmetry
from .draw import draw, windows_of
from .recipe import SlidingTraining

__all__ = ["Kind", "answers", "channels_of", "load", "look", "sides_of", "train"]

Kind = Literal["densenet", "resnet"]

_MINED = 300
_STEP = 4
"""Of windows looked at densely, at first; in plane [voxel]."""
_SURE = 0.5
_CLOSER = 5000
"""At most so many of the places that look most like microbleeds are looked at voxel by voxel around them."""
_BATCH = 256

Float = NDArray[np.float32]
Run = Callable[[Float], Float]
"""(n, i, j, 3) -> (n,) probabilities."""


def train(
    brains: list[Brain],
    recipe: SlidingTraining,
    kind: Kind,
    side: int,
    *,
    checkpoint: Path | None,
    key: str,
    on_progress: OnProgress,
) -> tuple[Any, pd.DataFrame]:
    """Train a network of a kind on windows of so many voxels, see :func:`cmb_toolkit.lessons.loop.train`."""
    from ..backend import COMPILED, keras
    from .planar import build

    model = build(f"{kind}-{recipe.network}", recipe.seed)
    optimizer = keras.optimizers.Adam(recipe.learning_rate)
    optimizer.build(model.trainable_variables)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, **COMPILED)

    def learn(images: Float, labels: NDArray[np.int32]) -> float:
        return float(model.train_on_batch(images, labels, return_dict=True)["loss"])

    def shown(mined: loop.Places, rng: np.random.Generator) -> tuple[NDArray[Any], ...]:
        images, labels = draw(brains, mined, recipe.batch, sides_of(side, recipe), rng)
        return channels_of(images[..., 0]), labels

    look_at = partial(look, answers(model), recipe, side, separation_mm=loop.SEPARATION_MM, most=_MINED)
    pupil = loop.Pupil(model, optimizer, shown, learn, look_at)
    return model, loop.train(pupil, brains, recipe, checkpoint=checkpoint, key=key, on_progress=on_progress)


def answers(model: Any) -> Run:
    """What gives probabilities; in batches of one size, so that the network is traced once."""

    def run(windows: Float) -> Float:
        filled = np.zeros((_BATCH, *windows.shape[1:]), np.float32)
        filled[: len(windows)] = windows
        logits = np.asarray(model.predict_on_batch(filled), np.float32)[: len(windows)]
        return np.asarray(1 / (1 + np.exp(logits[:, 0] - logits[:, 1])), np.float32)

    return run


def load(path: Path, command: str) -> Run:
    """What gives probabilities with a network from its file."""
    from .planar import BUILDERS

    return answers(network_file.load(path, BUILDERS, command))


def look(run: Run, recipe: SlidingTraining, side: int, brain: Brain, *, separation_mm: float, most: int) -> loop.Found:
    """Places that may be microbleeds [voxel of the brain's arrays], and their probabilities.

    Parameters
    ----------
    run : callable
        Of :func:`answers`.
    recipe : SlidingTraining
        Where is looked, and what is shown.
    side : int
        Of a window [voxel].
    brain : Brain
    separation_mm : float
        Of places nearer than this [mm] only the likeliest is given.
    most : int
        At most so many, the likeliest.
    """
    sides = sides_of(side, recipe)
    if recipe.places == "maxima":
        swi = brain.channels[..., 0].astype(np.float32)
        symmetry = radial_symmetry(swi, brain.mask, brain.spacing)
        places, _ = local_maxima(symmetry, brain.spacing, separation_mm=separation_mm, most=most)
        values = _seen(run, brain, places, sides)
        order = np.argsort(-values, kind="stable")
        return places[order].astype(float), values[order]
    found = np.zeros(brain.mask.shape, np.float32)
    grid = np.zeros(brain.mask.shape, bool)
    grid[_STEP // 2 :: _STEP, _STEP // 2 :: _STEP] = True
    coarse = np.argwhere(grid & brain.mask)
    values = _seen(run, brain, coarse, sides)
    found[tuple(coarse.T)] = values
    sure = coarse[np.argsort(-values, kind="stable")][: min(_CLOSER, int((values > _SURE).sum()))]
    near = np.zeros(brain.mask.shape, bool)
    for i in range(-_STEP // 2, _STEP // 2):
        for j in range(-_STEP // 2, _STEP // 2):
            a, b, k = (sure + np.array([i, j, 0])).T
            inside = (a < brain.mask.shape[0]) & (b < brain.mask.shape[1])
            near[a[inside], b[inside], k[inside]] = True
    fine = np.argwhere(near & brain.mask & ~grid)
    found[tuple(fine.T)] = _seen(run, brain, fine, sides)
    maxima, heights = local_maxima(found, brain.spacing, separation_mm=separation_mm, most=most)
    return maxima.astype(float), heights


def _seen(run: Run, brain: Brain, places: NDArray[np.integer[Any]], sides: tuple[int, int, int]) -> Float:
    values = np.zeros(len(places), np.float32)
    for first in range(0, len(places), _BATCH):
        part = slice(first, first + _BATCH)
        values[part] = run(channels_of(windows_of(brain, places[part], sides)[..., 0]))
    return values


def sides_of(side: int, recipe: SlidingTraining) -> tuple[int, int, int]:
    """Of a window [voxel], with so many voxels on a side in plane."""
    return side, side, 3 if recipe.slices == "three" else 1


def channels_of(windows: Float) -> Float:
    """The three channels of windows of one slice or of three."""
    return np.repeat(windows, 3, axis=-1) if windows.shape[-1] == 1 else windows
