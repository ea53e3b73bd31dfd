"""The training of a network on marked scans: what a step shows is drawn anew, and what the network wrongly takes for
microbleeds mined.

What a step shows depends on the seed and its number only, so that a training that was killed ends in the same weights
as one that was not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import DataError
from ..io.publish import replacing
from ..model import OnProgress
from ..wording import counted
from .brains import Brain
from .recipe import MinedTraining

__all__ = ["SEPARATION_MM", "Found", "Places", "Pupil", "train"]

SEPARATION_MM = 3.0
"""Of two places nearer than this that are taken for microbleeds one is mined."""

_FALSE_MM = 4.0
"""What is farther than this from every microbleed is none."""
_LEAST = 0.05
"""What is taken for a microbleed with less than this is not mined."""
_CHECKPOINT = 200
"""Steps between two checkpoints."""
_NOTED = 20
"""Steps of a row of the history."""
_END = 0.02

Places: TypeAlias = list[NDArray[np.float64]]
"""Of each brain (n, 3), what was taken for a microbleed wrongly [voxel of its arrays]."""

Found: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float32]]
"""(n, 3) places in a brain [voxel of its arrays] and (n,) probabilities."""


@dataclass(frozen=True)
class Pupil:
    """A network to be trained.

    Attributes
    ----------
    model, optimizer : keras.Model, keras.Optimizer
    draw : callable
        From what was mined and a generator of random numbers, the arrays of a step.
    learn : callable
        Learns from these, and gives the loss.
    look : callable
        What the network finds in a brain.
    """

    model: Any
    optimizer: Any
    draw: Callable[[Places, np.random.Generator], tuple[NDArray[Any], ...]]
    learn: Callable[..., float]
    look: Callable[[Brain], Found]


def train(
    pupil: Pupil,
    brains: Sequence[Brain],
    recipe: MinedTraining,
    *,
    checkpoint: Path | None = None,
    key: str = "",
    on_progress: OnProgress = lambda done, total, what: None,
) -> pd.DataFrame:
    """Train a network in place.

    Parameters
    ----------
    pupil : Pupil
    brains : sequence of Brain
        Of the training subjects.
    recipe : MinedTraining
    checkpoint : Path, optional
        File to go on from and to write.
    key : str
        Says what is learned, and from what: a checkpoint with another key, or of another recipe, is not used.
    on_progress : callable
        Called after every step, and before it looks at all scans.

    Returns
    -------
    DataFrame
        step (1, 2, ...), loss (mean of the steps since the row before), mined (false places known).

    Raises
    ------
    DataError
        If there is no microbleed to learn from, or the loss is not finite.
    """
    if not any(len(brain.marks) for brain in brains):
        raise DataError("the training subjects have no microbleed: there is nothing to learn.")
    said = [key, pupil.model.name, recipe.parameters(), [len(brain.marks) for brain in brains]]
    state = _State(pupil.model, pupil.optimizer, json.dumps(said))
    if checkpoint is not None:
        state.restore(checkpoint, len(brains))
    mining = {max(1, round(share * recipe.steps)) for share in recipe.mined}
    losses: list[float] = []
    while state.step < recipe.steps:
        step = state.step
        if step in mining and step not in state.mined_at:
            on_progress(step, recipe.steps, f"looking at {counted(len(brains), 'scan')}")
            state.mined = [_false(pupil.look(brain), brain) for brain in brains]
            state.mined_at.append(step)
        pupil.optimizer.learning_rate = _rate(recipe, step)
        shown = pupil.draw(state.mined, np.random.default_rng([recipe.seed, step]))
        losses.append(float(pupil.learn(*shown)))
        state.step += 1
        if not math.isfinite(losses[-1]):
            raise DataError(f"the loss of step {state.step} is not finite. Train with another --seed.")
        kept = state.step % _CHECKPOINT == 0 or state.step == recipe.steps
        if kept or state.step % _NOTED == 0:
            state.history.append((state.step, float(np.mean(losses)), sum(map(len, state.mined))))
            losses.clear()
        if kept and checkpoint is not None:
            state.write(checkpoint)
        recent = losses or [state.history[-1][1]]
        on_progress(state.step, recipe.steps, f"loss {np.mean(recent):.3f}")
    return pd.DataFrame(state.history, columns=["step", "loss", "mined"])


def _false(found: Found, brain: Brain) -> NDArray[np.float64]:
    places, heights = found
    places = places[heights >= _LEAST]
    if not len(places) or not len(brain.marks):
        return places
    away = np.linalg.norm((places[:, None] - brain.marks[None]) * brain.spacing, axis=2).min(1)
    return np.asarray(places[away > _FALSE_MM])


def _rate(recipe: MinedTraining, step: int) -> float:
    if step < recipe.warm_up:
        return recipe.learning_rate * (step + 1) / recipe.warm_up
    done = (step - recipe.warm_up) / max(1, recipe.steps - recipe.warm_up)
    return recipe.learning_rate * (_END + (1 - _END) * (1 + math.cos(math.pi * done)) / 2)


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
