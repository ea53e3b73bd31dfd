"""Training with a Darknet binary, whose snapshots are looked at and moved in among the checkpoints as they appear."""

from __future__ import annotations

import math
import os
import re
import shutil
import tempfile
import time
from pathlib import Path

from ..errors import DarknetError, DataError, StorageError
from ..model import OnProgress
from .cfg import Cfg
from .engine import TrainingOptions
from .find import Binary
from .output import parse_iteration
from .project import CFG, DATA, TRAIN_LIST, read_list, set_net
from .restart import schedule_keys
from .run import PATIENCE_S, run_darknet
from .state import DivergedError, TrainingState, describe, diverged
from .weights import NotFiniteError, Weights, write_weights

__all__ = ["run_training", "train_argv"]

_DISK_CHECK_S = 5.0
_SPARE_BYTES = 50_000_000
_FLOPS_CPU, _FLOPS_GPU = 12e9, 2e12
"""Operations per second in training, for a first guess: of one processor, and of a GPU."""
_MOST_BETWEEN = 1000


def train_argv(binary: Path) -> list[str]:
    """``detector train`` on the files that :func:`run_training` lays out; iterations count on from the weights'."""
    return [str(binary), "detector", "train", "yolo.data", "yolo.cfg", "start.weights", "-dont_show"]


def run_training(
    binary: Binary,
    project: Path,
    cfg: Cfg,
    state: TrainingState,
    options: TrainingOptions,
    on_progress: OnProgress,
    *,
    patience_s: float = PATIENCE_S,
) -> None:
    """Run Darknet from the state's start to the last iteration, whose weights become the state's newest checkpoint.

    Raises
    ------
    DarknetError
        If it ends early, hangs, or its numbers are no longer finite; the last good checkpoint stays.
    StorageError
        If the disk is full, or a snapshot is not whole.
    """
    total = cfg.net.max_batches
    work = state.snapshots.parent
    assert state.folder is not None
    # the start, two checkpoints, a snapshot and the result
    _check_disk(state.folder, 5 * cfg.weights_bytes)
    _lay_out(project, cfg, state, _iterations_between(cfg, state, options, binary.cuda))
    done, started, looked = state.start.iteration, time.monotonic(), 0.0
    try:
        with run_darknet(train_argv(binary.path), work, patience_s=patience_s) as darknet:
            for line in darknet.lines():
                step = parse_iteration(line)
                if step is None:
                    continue
                if not math.isfinite(step.loss):
                    raise diverged(project, f"the loss is {step.loss} at iteration {step.iteration}", state)
                done, now = step.iteration, time.monotonic()
                on_progress(done, total, describe(state.record(done, step.loss, now - started)) + options.said)
                # what was saved after an earlier iteration is whole by now, or never will be
                fresh = [path for iteration, path in _numbered(state.snapshots) if iteration < done]
                for path in fresh:
                    _adopt(state, path, project)
                if fresh:
                    options.on_history(state.history)
                if now - looked > _DISK_CHECK_S:
                    _check_disk(work, cfg.weights_bytes)
                    looked = now
    except DivergedError:
        _clear_away(work)  # what it has saved since is not to be gone on from
        raise
    state.take_in()
    if state.iteration != total:
        raise DarknetError(
            f"{binary.path}: ended at iteration {done} of {total} (exit status {darknet.code}) without whole "
            f"final weights. Its last words:\n{darknet.last_words()}\n"
            f"Run the same command again to go on from iteration {state.iteration}."
        )


def _lay_out(project: Path, cfg: Cfg, state: TrainingState, every: int) -> None:
    """A fresh working folder: cfg, images and list as in the project, the weights to start from, an own data file."""
    work = state.snapshots.parent
    _clear_away(work)
    state.snapshots.mkdir(parents=True)
    lines = read_list(project / TRAIN_LIST)
    for folder in {Path(line).parts[0] for line in lines}:
        (work / folder).symlink_to((project / folder).absolute())
    (work / TRAIN_LIST).write_text("".join(f"{line}\n" for line in lines), "utf-8")
    schedule = schedule_keys(state.net) if state.net != cfg.net else {}
    (work / CFG).write_text(set_net((project / CFG).read_text("utf-8"), schedule), "utf-8")
    # numbered snapshots alone: `last` is written over in place, and a kill would leave neither the old nor the new one
    data = [
        "classes=1",
        f"train={TRAIN_LIST}",
        f"backup={state.snapshots.name}",
        f"saveweights={every}",
        f"savelast={every}",
    ]
    (work / DATA).write_text("".join(f"{line}\n" for line in data), "utf-8")
    start = state.start
    write_weights(Weights(start.weights.layers, start.iteration * cfg.net.batch), work / "start.weights")


def _clear_away(work: Path) -> None:
    """Remove a working folder; what cannot be removed has another name at least, under which the next run finds it."""
    if work.exists():
        old = Path(tempfile.mkdtemp(prefix=".tmp.", dir=work.parent))
        work.replace(old / work.name)
        shutil.rmtree(old, ignore_errors=True)


def _iterations_between(cfg: Cfg, state: TrainingState, options: TrainingOptions, cuda: bool) -> int:
    """Iterations between two snapshots, from the history or the network's size: Darknet does not count seconds."""
    rows = [row for row in state.rows[-50:] if row.engine == state.engine]
    if len(rows) > 1:
        seconds = (rows[-1].seconds - rows[0].seconds) / (len(rows) - 1)
    else:
        seconds = 3 * cfg.flops * cfg.net.batch / (_FLOPS_GPU if cuda else _FLOPS_CPU * len(os.sched_getaffinity(0)))
    most = min(_MOST_BETWEEN, options.watch.distance) if options.watch else _MOST_BETWEEN
    return min(max(int(options.checkpoint_every_s / max(seconds, 1e-3)), 1), most)


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    """Snapshots with their iterations, oldest first."""
    matches = ((re.fullmatch(r"yolo_(\d+)\.weights", path.name), path) for path in folder.iterdir())
    return sorted((int(match[1]), path) for match, path in matches if match)


def _adopt(state: TrainingState, path: Path, project: Path) -> None:
    """Take in a snapshot that must be whole by now."""
    try:
        state.adopt(path)
    except NotFiniteError as error:
        raise diverged(project, f"weights are not finite ({path.name})", state) from error
    except DataError as error:
        raise StorageError(
            f"{error}\nDarknet was ended, because it did not save its state whole. Is the disk full? Free some space, "
            "then run the same command again to go on."
        ) from error


def _check_disk(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE_BYTES:
        raise StorageError(
            f"{folder}: only {free / 1e6:.0f} MB are free, and {(needed + _SPARE_BYTES) / 1e6:.0f} MB are needed to "
            "save the state of the training. Free some space, then run the same command again to go on."
        )
