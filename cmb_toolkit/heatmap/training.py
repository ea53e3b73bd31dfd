"""Training of a heatmap network on blocks of scans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import DataError
from ..lessons import loop
from ..lessons.brains import Brain
from ..lessons.skill import MOST
from ..model import OnProgress
from .blocks import draw, factor_of
from .peaks import peaks, scores
from .recipe import HeatmapTraining

__all__ = ["found_of", "train"]


def train(
    brains: Sequence[Brain],
    recipe: HeatmapTraining,
    *,
    checkpoint: Path | None = None,
    key: str = "",
    on_progress: OnProgress = lambda done, total, what: None,
) -> tuple[Any, pd.DataFrame]:
    """Train a network.

    Parameters
    ----------
    brains : sequence of Brain
        Of the training subjects.
    recipe : HeatmapTraining
    checkpoint, key, on_progress
        As of :func:`cmb_toolkit.lessons.loop.train`.

    Returns
    -------
    keras.Model
    DataFrame
        As :func:`cmb_toolkit.lessons.loop.train` gives it.

    Raises
    ------
    DataError
        If there is no microbleed to learn from, the scans' voxels do not belong together, or the loss is not finite.
    """
    from ..backend import keras
    from .network import build
    from .running import stepper

    factors = {factor_of(brain.spacing) for brain in brains}
    if len(factors) > 1:
        raise DataError("the training scans have voxels of very different sizes. Train on one resolution at a time.")
    model = build(recipe.network, brains[0].channels.shape[3] * factors.pop() ** 2, recipe.seed)
    optimizer = keras.optimizers.Adam(recipe.learning_rate)
    optimizer.build(model.trainable_variables)
    learn, run = stepper(model, optimizer)

    def shown(mined: loop.Places, rng: np.random.Generator) -> tuple[NDArray[Any], ...]:
        block = draw(brains, mined, recipe.batch, rng)
        return block.image, block.target[..., None], block.weight[..., None]

    pupil = loop.Pupil(model, optimizer, shown, learn, partial(found_of, run))
    return model, loop.train(pupil, brains, recipe, checkpoint=checkpoint, key=key, on_progress=on_progress)


def found_of(run: Callable[[NDArray[np.float32]], NDArray[np.float32]], brain: Brain) -> loop.Found:
    """Peaks in a brain [voxel of its arrays], and their heights."""
    return peaks(scores(run, brain), brain.spacing, separation_mm=loop.SEPARATION_MM, most=MOST)
