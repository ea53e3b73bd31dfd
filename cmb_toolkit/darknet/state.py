"""The state of an unfinished training, kept on disk so that a kill at any moment costs little.

Every engine keeps the same files in one folder, so that one engine can go on where another was stopped::

    run.json                 which training this is: cfg, images, labels, seed, first weights
    history.tsv              a row per iteration, appended as they come
    yolo_00000500.weights    checkpoints: Darknet weights, the last two
    yolo_00000500.npz        the optimiser's buffers beside them, if the engine can give them (Darknet cannot)

A checkpoint is written or moved in under its final name only when it is whole: its size is the one that the cfg
implies, its numbers are finite, and its count of images seen fits its iteration.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import CmbError, DarknetError, DataError, UsageError
from ..io.files import check_file, load_json, read_text
from ..io.publish import replacing, storage_error, write_text
from ..schema import YOLO_HISTORY
from .cfg import Cfg
from .restart import restarted
from .weights import Weights, initial_weights, read_weights, write_weights

__all__ = [
    "Checkpoint",
    "DivergedError",
    "Row",
    "TrainingState",
    "describe",
    "diverged",
    "first_weights",
]


class Row(NamedTuple):
    """One iteration of a training."""

    iteration: int
    loss: float
    avg_loss: float
    rate: float
    images: int
    seconds: float
    engine: str


def describe(row: Row) -> str:
    """An iteration in words, for progress."""
    return f"loss {row.avg_loss:.3f}, rate {row.rate:.2g}, {row.images} images"


_KEPT = 2
_NAME = re.compile(r"yolo_(\d+)\.weights")


class Checkpoint(NamedTuple):
    """Weights after an iteration (0: those to begin with), and the optimiser's buffers where they are known.

    `since` is the iteration after which those buffers begin: that of the weights where they are not known.
    """

    iteration: int
    weights: Weights
    optimiser: list[NDArray[np.float32]] | None = None
    since: int = 0


def first_weights(cfg: Cfg, seed: int, path: Path | None = None, *, count_on: bool = False) -> Checkpoint:
    """What a training begins with.

    Parameters
    ----------
    cfg : Cfg
    seed : int
        Decides the weights of the layers that `path` does not hold.
    path : Path, optional
        Darknet weights of the whole network or of its first convolutions.
    count_on : bool
        Count iterations on from where the weights were saved, and not from 1.

    Raises
    ------
    MissingError, DataError
        If the weights are not there or not of this network.
    UsageError
        If it is not known where to count on from, or nothing is left to do.
    """
    first = initial_weights(cfg, seed)
    if path is None:
        if count_on:
            raise UsageError("counting on needs weights to begin with: give --weights too.")
        return Checkpoint(0, first)
    given = read_weights(path, cfg, partial=True)
    layers = (*given.layers, *first.layers[len(given.layers) :])
    if not count_on:
        return Checkpoint(0, Weights(layers))
    iteration, left = divmod(given.seen, cfg.net.batch)
    if not given.seen or left or len(given.layers) < len(layers):
        raise UsageError(
            f"{path}: was trained on {given.seen} images, which is no whole number of iterations of {cfg.net.batch}, "
            "so it is not known where to count on from. Leave --continue out, or give weights of the whole network."
        )
    if iteration >= cfg.net.max_batches:
        raise UsageError(
            f"{path}: has {iteration} iterations behind it, and max_batches={cfg.net.max_batches}. "
            "Raise it (`cmbtk prepare-yolo --max-batches`), or leave --continue out."
        )
    return Checkpoint(iteration, Weights(layers, given.seen), since=iteration)


class TrainingState:
    """What is kept of one training.

    Parameters
    ----------
    folder : Path or None
        Where; None keeps nothing.
    cfg : Cfg
    first : Checkpoint
        What the training begins with.
    engine : str
        Name for the rows of the history.
    identity : str
        Of everything else that decides the training (seed, images, labels). What the folder holds of another training
        is removed.

    Attributes
    ----------
    start : Checkpoint
        What to go on from: the newest whole checkpoint, or what the training begins with.
    iteration : int
        Of the newest checkpoint.
    resumed : bool
        Whether there was a checkpoint to go on from.
    net : Net
        The cfg's, with the schedule to go on with, see :mod:`cmb_toolkit.darknet.restart`.
    rows : list of Row
        The history up to now.
    engine : str
    """

    def __init__(self, folder: Path | None, cfg: Cfg, first: Checkpoint, engine: str, identity: str) -> None:
        self.folder = folder
        self._cfg = cfg
        self.engine = engine
        digest = hashlib.sha256(f"{cfg} {first.iteration} {identity}".encode())
        for layer in first.weights.layers:
            for array in layer.arrays():
                digest.update(array.tobytes())
        self.iteration = first.iteration
        if folder is not None:
            _claim(folder, digest.hexdigest())
            self.take_in()
        self.start = self._newest() or first
        self.iteration = self.start.iteration
        self.net = restarted(cfg.net, self.start.since)
        self.resumed = self.start.iteration > first.iteration
        self.rows: list[Row] = []
        if folder is not None:
            path = folder / "history.tsv"
            self.rows = [row for row in _read_history(path) if row.iteration <= self.start.iteration]
            write_text(path, "".join(map(_line, [YOLO_HISTORY.names, *self.rows])))
        self._seconds_before = self.rows[-1].seconds if self.rows else 0.0

    @property
    def history(self) -> pd.DataFrame:
        """The rows as a table (:data:`cmb_toolkit.schema.YOLO_HISTORY`)."""
        return pd.DataFrame(self.rows, columns=YOLO_HISTORY.names)

    @property
    def snapshots(self) -> Path:
        """Where a Darknet writes its weights; it works in the folder above."""
        assert self.folder is not None
        return self.folder / "darknet" / "backup"

    def record(self, iteration: int, loss: float, seconds: float) -> Row:
        """Add an iteration to the history.

        Parameters
        ----------
        iteration : int
        loss : float
        seconds : float
            Since the training was begun or gone on with.

        Returns
        -------
        Row
            With the running mean of the loss (0.9 old, 0.1 new), and all seconds of this training.
        """
        average = 0.9 * self.rows[-1].avg_loss + 0.1 * loss if self.rows else loss
        net = self.net
        row = Row(
            iteration, loss, average, net.rate(iteration), iteration * net.batch, self._seconds_before + seconds,
            self.engine,
        )  # fmt: skip
        self.rows.append(row)
        if self.folder is not None:
            path = self.folder / "history.tsv"
            with _writing(path), path.open("a", encoding="utf-8") as stream:
                stream.write(_line(row))
        return row

    def save(self, iteration: int, weights: Weights, optimiser: Sequence[NDArray[np.float32]]) -> None:
        """Keep the state after an iteration.

        Raises
        ------
        StorageError
            If the disk is full; the older checkpoint stays.
        """
        path = self._path(iteration)
        with replacing(path.with_suffix(".npz")) as temporary, temporary.open("wb") as stream:
            np.savez(stream, *optimiser, since=np.int64(self.start.since))
        with replacing(path) as temporary:
            write_weights(Weights(weights.layers, iteration * self._cfg.net.batch), temporary)
        self._prune(iteration)

    def adopt(self, path: Path) -> None:
        """Move a weights file that another program has written in among the checkpoints.

        Raises
        ------
        DataError
            If it is not whole, not finite, not of this network, or was saved between two iterations.
        """
        weights = read_weights(path, self._cfg)
        iteration, left = divmod(weights.seen, self._cfg.net.batch)
        if left or not iteration:
            raise DataError(f"{path}: was trained on {weights.seen} images, which is no number of whole iterations.")
        target = self._path(iteration)
        with _writing(target):
            target.with_suffix(".npz").unlink(missing_ok=True)  # of another engine's earlier run
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
            path.replace(target)
        self._prune(iteration)

    def take_in(self) -> None:
        """Adopt what a Darknet that has ended left behind; what is not whole or not new is removed."""
        if not self.snapshots.is_dir():
            return
        for path in sorted(self.snapshots.glob("*.weights")):
            with suppress(CmbError):
                self.adopt(path)
            path.unlink(missing_ok=True)

    def newest_file(self) -> Path | None:
        """The weights file of the newest checkpoint."""
        return next(iter(self._checkpoints()), None)

    def _path(self, iteration: int) -> Path:
        assert self.folder is not None
        return self.folder / f"yolo_{iteration:08d}.weights"

    def _checkpoints(self) -> list[Path]:
        """Newest first."""
        if self.folder is None:
            return []
        return sorted((path for path in self.folder.iterdir() if _NAME.fullmatch(path.name)), reverse=True)

    def _newest(self) -> Checkpoint | None:
        """The newest checkpoint that is whole; broken ones are removed."""
        for path in self._checkpoints():
            match = _NAME.fullmatch(path.name)
            assert match
            iteration = int(match[1])
            try:
                weights = read_weights(path, self._cfg)
                if weights.seen == iteration * self._cfg.net.batch:
                    buffers, since = _read_buffers(path.with_suffix(".npz"))
                    return Checkpoint(iteration, weights, buffers, iteration if buffers is None else since)
            except CmbError:
                pass
            _remove(path)
        return None

    def _prune(self, iteration: int) -> None:
        self.iteration = max(self.iteration, iteration)
        for path in self._checkpoints()[_KEPT:]:
            _remove(path)


class DivergedError(DarknetError):
    """The numbers of a training are no longer finite."""


def diverged(project: Path, what: str, state: TrainingState) -> DivergedError:
    """The error of a training whose numbers are no longer finite."""
    newest = state.newest_file()
    kept = f" The last good checkpoint is kept: {newest}." if newest is not None else ""
    return DivergedError(
        f"{project}: training diverged, {what}. Choose a smaller learning_rate or a longer burn_in in the cfg.{kept}"
    )


def _claim(folder: Path, identity: str) -> None:
    """Make a folder this training's own: what it holds of another one, or of a killed save, is removed."""
    note = folder / "run.json"
    try:
        known = load_json(note, "It is made anew.")
    except CmbError:
        known = None
    if known != {"identity": identity}:
        shutil.rmtree(folder, ignore_errors=True)
        write_text(note, json.dumps({"identity": identity}) + "\n")
    for left in list(folder.iterdir()):
        if ".tmp." in left.name or not (left.is_file() or left.name == "darknet"):
            _remove_any(left)


def _remove(checkpoint: Path) -> None:
    for path in (checkpoint, checkpoint.with_suffix(".npz")):
        _remove_any(path)


def _remove_any(path: Path) -> None:
    """Remove a file, or what stands in its place."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _line(row: Sequence[object]) -> str:
    return "\t".join(map(str, row)) + "\n"


def _read_history(path: Path) -> list[Row]:
    """The rows of a history; a kill may have cut the last one off."""
    try:
        lines = read_text(path, "It is made anew.").split("\n")[1:-1]
        cells = [line.split("\t") for line in lines]
        return [Row(int(c[0]), float(c[1]), float(c[2]), float(c[3]), int(c[4]), float(c[5]), c[6]) for c in cells]
    except (CmbError, ValueError, IndexError):
        return []


def _read_buffers(path: Path) -> tuple[list[NDArray[np.float32]] | None, int]:
    """The optimiser's buffers, None if they are not whole, and the iteration after which they begin."""
    try:
        check_file(path, "It is made anew.")
        with np.load(path) as saved:
            since = int(saved["since"])
            buffers = [saved[name] for name in saved.files if name != "since"]
        whole = since >= 0 and all(buffer.dtype == np.float32 and np.isfinite(buffer).all() for buffer in buffers)
        return (buffers if whole else None), since
    except Exception:  # zipfile and zlib raise what they like; without them the optimiser begins anew
        return None, 0


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Say of an error of the system that this file could not be written."""
    try:
        yield
    except OSError as error:
        raise storage_error(path, error.errno) from error
