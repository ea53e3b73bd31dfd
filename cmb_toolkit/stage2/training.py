"""Training of the second stage (paper, section 2.4): Adam, weighted classes, the best epoch by validation.

The epoch kept is chosen by the validation patches and nothing else; the authors' script validates on its test folder,
which makes test results too good. Training can be killed at any time and goes on at the epoch it was in: a checkpoint
holds weights, optimizer, dropout state and history, and the random choices of an epoch depend on the seed and its
number only, so that an interrupted run ends in the same weights as one that was not.

A training none of whose first epochs told the validation patches apart (:mod:`.skill`) is stopped: what has died does
not come back. It may begin again with another seed (:func:`train_until_skilled`).
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import DataError
from ..io.files import check_file
from ..io.publish import replacing
from ..model import OnProgress
from ..schema import CNN_HISTORY
from .augment import epoch as epoch_order
from .augment import joint_index, symmetries, transform
from .batches import in_batches
from .drawing import vary
from .recipe import Scheduled
from .skill import auc, no_skill, spread

__all__ = [
    "RESTARTS",
    "NoSkillError",
    "class_weight",
    "train",
    "train_until_skilled",
]

_LARGEST_NOTE = 16 << 20
"""What the history of a training may take in its checkpoint [byte]."""

_EPOCHS, _STEPS = 3, 100
"""A training is not judged before it has done both, unless it ends."""


RESTARTS = 2
"""How often a training that has learned nothing begins again with the next seed."""


class NoSkillError(DataError):
    """A training has learned nothing.

    Parameters
    ----------
    why : str
        What its network does, in words that follow "the network".
    history : DataFrame
        As :func:`train` returns it.
    """

    def __init__(self, why: str, history: pd.DataFrame) -> None:
        super().__init__(f"stage 2 has learned nothing in {len(history)} epochs: the network {why}.")
        self.why = why
        self.history = history


def class_weight(labels: NDArray[np.intp], recipe: Scheduled) -> float:
    """Weight of a microbleed's patch against that of another.

    Raises
    ------
    DataError
        If there is no patch of one kind.
    """
    positive = int(np.count_nonzero(labels == 1))
    negative = len(labels) - positive
    if not positive or not negative:
        kind = "other" if positive else "microbleed"
        raise DataError(f"no {kind} patch among the {len(labels)} to train on: there is nothing to tell apart.")
    if recipe.class_weights == "none":
        return 1.0
    if recipe.class_weights == "ratio":
        return negative * recipe.copies[1] / (positive * recipe.copies[0])
    return float(recipe.class_weights)


def train(
    model: Any,
    training: tuple[NDArray[np.float32], NDArray[np.intp]],
    validation: tuple[NDArray[np.float32], NDArray[np.intp]],
    recipe: Scheduled,
    *,
    checkpoint: Path | None = None,
    key: str = "",
    on_progress: OnProgress = lambda done, total, what: None,
) -> pd.DataFrame:
    """Train a network in place; afterwards it has the weights of its best epoch.

    Parameters
    ----------
    model : keras.Model
        From :func:`cmb_toolkit.stage2.networks.build`.
    training, validation : (patches, labels)
        (n, 16, 32, 16) float32 in 0..1, and (n,) integers: 1 microbleed, 0 not. Nothing else is looked at.
    recipe : Scheduled
    checkpoint : Path, optional
        File to go on from and to write after every epoch.
    key : str
        Says what is being trained on what: a checkpoint with another key, or of another recipe, is not used. The
        number of epochs and the patience may change: a finished training can be prolonged, unless its rate has fallen
        to 0.
    on_progress : callable
        Called after every step with steps done, steps in all, and the losses so far.

    Returns
    -------
    DataFrame
        epoch (1, 2, ...), loss, val_loss (both weighted means), val_auc, val_spread (:func:`.skill.spread` of the
        outputs), best (whether it was the best so far; one that tells nothing apart is never better than another).

    Raises
    ------
    NoSkillError
        If none of the first epochs, three of them and at least 100 steps, tells the validation patches apart, or none
        of all where there are fewer (:func:`.skill.no_skill`; it does not judge by few patches).
    DataError
        If the training patches are all of one kind, there is no validation patch, or the loss is not finite.
    """
    epochs = _Epochs(*training, recipe)
    _check_validation(validation[1], recipe)
    _compile(model, recipe)
    key = _key(key, model, recipe, epochs.weight)
    state = _State(model, key, validation[1], max(_EPOCHS, -(-_STEPS // epochs.steps)))
    if checkpoint is not None:
        state.restore(checkpoint, recipe)
    total = recipe.epochs * epochs.steps
    while not state.finished(state.history, recipe):
        number = len(state.history)

        def say(done: int, what: str) -> None:
            on_progress(done, total, ", ".join(filter(None, [what, state.summary()])))

        loss = epochs.show(model, number, say)
        _check_finite(model, number, loss, recipe)
        state.add(loss, *_validated(model, validation, epochs.weight), recipe.select)
        if checkpoint is not None:
            state.write(checkpoint)
    if why := state.nothing(state.history):
        from .networks import live_units

        live = ", ".join(map(str, live_units(model, validation[0])))
        raise NoSkillError(
            f"{why} (units of its hidden layers that answer to any: {live})", pd.DataFrame(state.history)
        )
    model.set_weights(state.best)
    on_progress(total, total, state.summary())
    return pd.DataFrame(state.history)


def train_until_skilled(
    build: Callable[[int], Any],
    training: tuple[NDArray[np.float32], NDArray[np.intp]],
    validation: tuple[NDArray[np.float32], NDArray[np.intp]],
    recipe: Scheduled,
    *,
    checkpoint: Path | None = None,
    key: str = "",
    on_restart: Callable[[int, NoSkillError], None] = lambda seed, error: None,
    on_progress: OnProgress = lambda done, total, what: None,
) -> tuple[Any, pd.DataFrame]:
    """Train a network; if it learns nothing, another with the next seed, at most :data:`RESTARTS` times.

    Parameters
    ----------
    build : callable
        Makes an untrained network from a seed.
    training, validation, recipe, key, on_progress
        As of :func:`train`.
    checkpoint : Path, optional
        The first training's; those of others have a number before the file's ending. All are needed to go on.
    on_restart : callable
        Called with the seed that has learned nothing, and what shows it, before the next begins.

    Returns
    -------
    model : keras.Model
        With the weights of its best epoch.
    history : DataFrame
        As of :func:`train`, of each training in turn, with ``seed`` as its first column; the last is the network's.

    Raises
    ------
    NoSkillError
        If the last has learned nothing, too.
    DataError
        As :func:`train`.
    """
    histories: list[pd.DataFrame] = []
    for n in range(RESTARTS + 1):
        seed = recipe.seed + n
        file = checkpoint.with_suffix(f".{n + 1}{checkpoint.suffix}") if checkpoint and n else checkpoint
        model = build(seed)
        try:
            history = train(
                model,
                training,
                validation,
                replace(recipe, seed=seed),
                checkpoint=file,
                key=key,
                on_progress=on_progress,
            )
        except NoSkillError as error:
            histories.append(error.history.assign(seed=seed))
            if n == RESTARTS:
                raise
            on_restart(seed, error)
        else:
            histories.append(history.assign(seed=seed))
            break
    whole = pd.concat(histories, ignore_index=True)
    return model, whole[["seed", *history.columns]]


class _Epochs:
    """What a network is shown, epoch by epoch."""

    def __init__(self, patches: NDArray[np.float32], labels: NDArray[np.intp], recipe: Scheduled) -> None:
        self.patches, self.labels, self.recipe = patches, labels, recipe
        self.weight = class_weight(labels, recipe)
        self.index = joint_index(symmetries(recipe.augmentation, patches.shape[1]))
        self.copies = np.where(labels == 1, *recipe.copies)
        weights = np.where(labels == 1, self.weight, 1.0)
        # mean 1: training and validation losses compare
        self.sample_weight = weights / ((weights * self.copies).sum() / self.copies.sum())
        self.steps = -(-int(self.copies.sum()) // recipe.batch)

    def show(self, model: Any, number: int, say: Callable[[int, str], None]) -> float:
        """Train on the epoch of a number, from 0; its mean loss."""
        rng = np.random.default_rng([self.recipe.seed, number])
        which, turn = epoch_order(self.copies, len(self.index), rng)
        # every batch has one size: what the last lacks is taken from the epoch's beginning
        which, turn = (np.resize(order, self.steps * self.recipe.batch) for order in (which, turn))
        losses: list[float] = []
        for step in range(self.steps):
            now = slice(step * self.recipe.batch, (step + 1) * self.recipe.batch)
            batch = transform(self.patches[which[now]], self.index, turn[now])
            if self.recipe.augmentation == "drawn":
                batch = vary(batch, rng)
            model.optimizer.learning_rate = self.recipe.rate(number * self.steps + step, self.steps)
            of_step = model.train_on_batch(  # which forgets the steps before it
                batch[..., None],
                np.eye(2, dtype=np.float32)[self.labels[which[now]]],
                sample_weight=self.sample_weight[which[now]].astype(np.float32),
                return_dict=True,
            )["loss"]
            losses.append(float(of_step))
            what = f"epoch {number + 1}/{self.recipe.epochs}, loss {np.mean(losses):.3f}"
            say(number * self.steps + step + 1, what)
        return float(np.mean(losses))


def _check_validation(labels: NDArray[np.intp], recipe: Scheduled) -> None:
    """Refuse validation patches by which no epoch can be chosen.

    Raises
    ------
    DataError
    """
    positives = int(np.count_nonzero(labels == 1))
    if not len(labels) or (recipe.select == "auc" and positives in (0, len(labels))):
        raise DataError(
            f"{len(labels)} validation patches, {positives} of them microbleeds: the best epoch cannot be "
            "chosen by them. Give more subjects to validation with `cmbtk split`, or lower stage 1's threshold."
        )


def _check_finite(model: Any, number: int, loss: float, recipe: Scheduled) -> None:
    """Refuse a training that has diverged: some processors' ReLU makes 0 of NaN, so that the loss alone does not tell.

    Raises
    ------
    DataError
    """
    if not np.isfinite(loss) or not all(np.isfinite(array).all() for array in model.get_weights()):
        raise DataError(
            f"training diverged in epoch {number + 1} (loss {loss:.3g}, or weights not finite). Lower the learning "
            f"rate ({recipe.learning_rate:g}), or look for patches that are not in 0..1."
        )


def _key(key: str, model: Any, recipe: Scheduled, weight: float) -> str:
    """What a checkpoint must have been made by to go on from it."""
    made_by = [
        key,
        recipe.batch,
        recipe.learning_rate,
        recipe.warm_up,
        weight,
        recipe.augmentation,
        recipe.copies,
        recipe.select,
        recipe.seed,
        recipe.decay == "cosine" and recipe.epochs,
        model.name,
        CNN_HISTORY.names,
    ]
    return json.dumps(made_by)


def _compile(model: Any, recipe: Scheduled) -> None:
    from ..backend import COMPILED, keras

    model.compile(keras.optimizers.Adam(recipe.learning_rate), "categorical_crossentropy", **COMPILED)
    model.optimizer.build(model.trainable_variables)


def _validated(
    model: Any, validation: tuple[NDArray[np.float32], NDArray[np.intp]], weight: float
) -> tuple[float, float, float]:
    """Weighted loss, AUC and spread on the validation patches."""
    from .networks import answers

    patches, labels = validation
    probability = in_batches(answers(model), patches)
    right = np.clip(np.where(labels == 1, probability, 1 - probability), 1e-7, 1)
    loss = np.average(-np.log(right), weights=np.where(labels == 1, weight, 1.0))
    return float(loss), auc(labels, probability), spread(probability)


def _shapes(arrays: dict[str, NDArray[Any]]) -> dict[str, tuple[int, ...]]:
    return {name: np.shape(array) for name, array in arrays.items()}


class _State:
    """Everything that a training in progress consists of, and its file.

    It is judged by the labels of the validation patches, and not before it has `judged` epochs, unless it ends.
    """

    def __init__(self, model: Any, key: str, labels: NDArray[np.intp], judged: int) -> None:
        self.model = model
        self.key = key
        self.labels = labels
        self.judged = judged
        self.history: list[dict[str, Any]] = []
        self.best: list[NDArray[Any]] = model.get_weights()

    def add(self, loss: float, val_loss: float, val_auc: float, val_spread: float, select: str) -> None:
        """Enter a finished epoch; keep its weights if it is the best so far."""

        def goal(row: dict[str, Any]) -> tuple[bool, float, float]:
            # equal areas are common where few microbleeds validate: the loss decides between them
            return (bool(self.nothing([row])), -row["val_auc"] if select == "auc" else 0.0, row["val_loss"])

        row = dict(
            zip(CNN_HISTORY.names, (len(self.history) + 1, loss, val_loss, val_auc, val_spread, True), strict=True)
        )
        best = next((old for old in reversed(self.history) if old["best"]), None)
        row["best"] = best is None or goal(row) < goal(best)
        self.history.append(row)
        if row["best"]:
            self.best = self.model.get_weights()

    def nothing(self, history: list[dict[str, Any]]) -> str:
        """Why none of these epochs told anything apart, by the last of them; empty where one did."""
        reasons = [no_skill(self.labels, row["val_auc"], row["val_spread"]) for row in history]
        return reasons[-1] if all(reasons) else ""

    def finished(self, history: list[dict[str, Any]], recipe: Scheduled) -> bool:
        """Whether a training with this history is at its end."""
        if not history:
            return False
        since = next((n for n, row in enumerate(reversed(history)) if row["best"]), 0)
        over = len(history) >= recipe.epochs or (recipe.patience and since >= recipe.patience)
        return bool(over or (len(history) >= self.judged and self.nothing(history)))

    def summary(self) -> str:
        """The best epoch in words, for progress reports."""
        best = next((row for row in reversed(self.history) if row["best"]), None)
        return f"best epoch {best['epoch']} (validation loss {best['val_loss']:.3f})" if best else ""

    def _arrays(self) -> dict[str, NDArray[Any]]:
        groups = {
            "model": [np.asarray(v) for v in self.model.variables],  # dropout's random state included
            "optimizer": [np.asarray(v) for v in self.model.optimizer.variables],
            "best": self.best,
        }
        return {f"{name}_{n}": array for name, arrays in groups.items() for n, array in enumerate(arrays)}

    def write(self, path: Path) -> None:
        """Replace the checkpoint."""
        note = json.dumps({"key": self.key, "history": self.history})
        with replacing(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, allow_pickle=False, note=np.array(note), **self._arrays())

    def restore(self, path: Path, recipe: Scheduled) -> None:
        """Go on from a checkpoint of the same training; leave everything as it is where there is none."""
        own = self._arrays()
        most = 2 * sum(array.nbytes for array in own.values()) + _LARGEST_NOTE
        try:
            check_file(path, "It is made anew.", most)
            with zipfile.ZipFile(path) as archive:
                if sum(part.file_size for part in archive.infolist()) > most:  # packed small, of any size unpacked
                    return
            with np.load(path) as file:
                note = json.loads(str(file["note"]))
                arrays = {name: file[name] for name in file.files if name != "note"}
            history = note["history"]
        except Exception:  # none there, or damaged (zipfile and zlib raise what they like): scratch may be lost
            return
        overrun = any(self.finished(history[:n], recipe) for n in range(1, len(history)))
        if note["key"] != self.key or overrun or _shapes(arrays) != _shapes(own):
            return
        if not all(np.isfinite(array).all() for array in arrays.values()):
            return
        for name, variables in (("model", self.model.variables), ("optimizer", self.model.optimizer.variables)):
            for n, variable in enumerate(variables):
                variable.assign(arrays[f"{name}_{n}"])
        self.best = [arrays[f"best_{n}"] for n in range(len(self.best))]
        self.history = history
