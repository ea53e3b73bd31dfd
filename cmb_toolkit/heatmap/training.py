"""Training of a heatmap network: blocks drawn anew at every step, and what it wrongly takes for microbleeds mined.

What a step shows depends on the seed and its number only, so that a training that was killed ends in the same weights
as one that was not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import DataError
from ..evaluation.learning import found_by_chance, told_from_chance
from ..io.publish import replacing
from ..model import OnProgress
from .blocks import Brain, draw, factor_of
from .peaks import peaks, scores
from .recipe import HeatmapTraining

__all__ = ["check_skill", "found_of", "train"]

_FALSE_MM = 4.0
"""What is farther than this from every microbleed is none."""
_LEAST, _MOST = 0.05, 200
"""Mined are peaks of at least this height, at most so many a scan."""
_SEPARATION_MM = 3.0
_CHECKPOINT = 200
"""Steps between two checkpoints."""
_END = 0.02
_LOOKED_AT, _ALLOWED, _HIT_MM = 6, 20, 3.0

Places = list[NDArray[np.float64]]


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
    checkpoint : Path, optional
        File to go on from and to write.
    key : str
        Says what is learned from: a checkpoint with another key, or of another recipe, is not used.
    on_progress : callable
        Called after every step.

    Returns
    -------
    keras.Model
    DataFrame
        step (1, 2, ...), loss (mean of the steps since the row before), mined (false peaks known).

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
    if not any(len(brain.marks) for brain in brains):
        raise DataError("the training subjects have no microbleed: there is nothing to learn.")
    model = build(recipe.network, brains[0].channels.shape[3] * factors.pop() ** 2, recipe.seed)
    optimizer = keras.optimizers.Adam(recipe.learning_rate)
    optimizer.build(model.trainable_variables)
    state = _State(model, optimizer, json.dumps([key, _said(recipe), [len(brain.marks) for brain in brains]]))
    if checkpoint is not None:
        state.restore(checkpoint, len(brains))
    learn, run = stepper(model, optimizer)
    mining = {max(1, round(share * recipe.steps)) for share in recipe.mined}
    losses: list[float] = []
    while state.step < recipe.steps:
        step = state.step
        if step in mining and step not in state.mined_at:
            state.mined = [_false(found_of(run, brain), brain) for brain in brains]
            state.mined_at.append(step)
        block = draw(brains, state.mined, recipe.batch, np.random.default_rng([recipe.seed, step]))
        optimizer.learning_rate = _rate(recipe, step)
        losses.append(float(learn(block.image, block.target[..., None], block.weight[..., None])))
        state.step += 1
        if not math.isfinite(losses[-1]):
            raise DataError(f"the loss of step {state.step} is not finite. Train with another --seed.")
        if state.step % _CHECKPOINT == 0 or state.step == recipe.steps:
            state.history.append((state.step, float(np.mean(losses)), sum(map(len, state.mined))))
            losses.clear()
            if checkpoint is not None:
                state.write(checkpoint)
        recent = losses[-20:] or [state.history[-1][1]]
        on_progress(state.step, recipe.steps, f"loss {np.mean(recent):.3f}")
    return model, pd.DataFrame(state.history, columns=["step", "loss", "mined"])


def found_of(
    run: Callable[[NDArray[np.float32]], NDArray[np.float32]], brain: Brain
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Peaks in a brain [voxel of its arrays], and their heights."""
    return peaks(scores(run, brain), brain.spacing, separation_mm=_SEPARATION_MM, most=_MOST)


def check_skill(model: Any, brains: Sequence[Brain]) -> dict[str, Any]:
    """What a network finds of the first scans that it learned from.

    Returns
    -------
    dict
        ``microbleeds`` and ``found`` of them at :data:`_ALLOWED` false peaks a scan.

    Raises
    ------
    DataError
        If that is no more than peaks placed anywhere would find.
    """
    from .running import answers

    run = answers(model)
    looked = [brain for brain in brains if len(brain.marks)][:_LOOKED_AT]
    hits: list[float] = []
    false: list[float] = []
    chances: list[float] = []
    for brain in looked:
        places, heights = found_of(run, brain)
        away = np.linalg.norm((places[:, None] - brain.marks[None]) * brain.spacing, axis=2)
        hits += [float(heights[near].max()) for near in (away <= _HIT_MM).T if near.any()]
        false += [float(height) for height in heights[(away > _HIT_MM).all(1)]]
        volume = float(brain.mask.sum() * np.prod(brain.spacing))
        chances += [found_by_chance(volume, brain.spacing[2], _ALLOWED)] * len(brain.marks)
    ranked = sorted(false, reverse=True)
    most = _ALLOWED * len(looked)
    least = ranked[most] if len(ranked) > most else 0.0
    found = sum(height > least for height in hits)
    if not told_from_chance(found, chances):
        raise DataError(
            f"the network found {found} of {len(chances)} microbleeds of its own training subjects at {_ALLOWED} false "
            "positives a subject, no more than peaks placed anywhere would find: it has learned nothing, and is not "
            "kept. Train with more --steps or another --seed."
        )
    return {"microbleeds": len(chances), "found": found}


def _false(found: tuple[NDArray[np.float64], NDArray[np.float32]], brain: Brain) -> NDArray[np.float64]:
    places, heights = found
    places = places[heights >= _LEAST]
    if not len(places) or not len(brain.marks):
        return places
    away = np.linalg.norm((places[:, None] - brain.marks[None]) * brain.spacing, axis=2).min(1)
    return np.asarray(places[away > _FALSE_MM])


def _rate(recipe: HeatmapTraining, step: int) -> float:
    if step < recipe.warm_up:
        return recipe.learning_rate * (step + 1) / recipe.warm_up
    done = (step - recipe.warm_up) / max(1, recipe.steps - recipe.warm_up)
    return recipe.learning_rate * (_END + (1 - _END) * (1 + math.cos(math.pi * done)) / 2)


def _said(recipe: HeatmapTraining) -> list[Any]:
    return [recipe.network, recipe.steps, recipe.seed, recipe.batch, recipe.learning_rate, recipe.warm_up, recipe.mined]


class _State:
    """Everything that a training in progress consists of, and its file."""

    def __init__(self, model: Any, optimizer: Any, key: str) -> None:
        self._variables = [*model.variables, *optimizer.variables]
        self._key = key
        self.step = 0
        self.mined: Places = []
        self.mined_at: list[int] = []
        self.history: list[tuple[int, float, int]] = []

    def write(self, path: Path) -> None:
        """Replace the checkpoint."""
        note = json.dumps({"key": self._key, "step": self.step, "mined_at": self.mined_at, "history": self.history})
        arrays = {f"variable_{n}": np.asarray(variable) for n, variable in enumerate(self._variables)}
        arrays |= {f"mined_{n}": places for n, places in enumerate(self.mined)}
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, allow_pickle=False, note=np.array(note), **arrays)

    def restore(self, path: Path, scans: int) -> None:
        """Go on from a checkpoint of the same training; leave everything as it is where there is none."""
        try:
            with np.load(path) as file:
                note = json.loads(str(file["note"]))
                arrays = [file[f"variable_{n}"] for n in range(len(self._variables))]
                mined = [file[f"mined_{n}"] for n in range(scans)] if note["mined_at"] else []
        except Exception:  # none there, or damaged: scratch may be lost
            return
        if note["key"] != self._key or any(
            array.shape != tuple(variable.shape) for array, variable in zip(arrays, self._variables, strict=True)
        ):
            return
        for array, variable in zip(arrays, self._variables, strict=True):
            variable.assign(array)
        self.step, self.mined_at, self.mined = note["step"], note["mined_at"], mined
        self.history = [tuple(row) for row in note["history"]]
