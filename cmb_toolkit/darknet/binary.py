"""A Darknet binary as engine: asked to detect and to train, and never believed.

Its exit codes say nothing, and it goes on without a word when an image, the weights or the disk fail it. So everything
is checked before it starts, and success is what it leaves behind: results that account for every image, weights of the
size that the cfg implies, finite, and saved after the iteration that was asked for. It works in a folder of its own
with short relative names: its buffers are small, and names go through a shell.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import DarknetError, DataError, StorageError, UsageError
from ..model import Detection, OnProgress
from .cfg import Cfg, read_cfg
from .engine import TrainingOptions
from .find import Binary
from .lock import gpu_lock
from .output import Found, parse_iteration, parse_test, parse_valid
from .process import PATIENCE_S, running
from .project import CFG, CLASS_NAME, DATA, TRAIN_LIST, read_list, set_net
from .region import select_boxes
from .samples import digest_of_samples, read_image
from .state import TrainingState, describe, diverged, first_weights
from .weights import Weights, read_weights, write_weights

__all__ = ["BinaryEngine", "find_boxes", "json_argv", "train_argv", "valid_argv"]

_CHUNK = 200
"""Images given to one process: what a crash or a full disk can cost."""

_LEAST_IMAGES = 4
"""The original's ``valid`` runs four threads, even over fewer images."""

_UNREADABLE = re.compile(r'Cannot load image "?in/')
_DISK_CHECK_S = 5.0
_SPARE_BYTES = 50_000_000
_FLOPS_CPU, _FLOPS_GPU = 12e9, 2e12
"""Operations per second in training, for a first guess: of one processor, and of a GPU."""
_MOST_BETWEEN = 1000


def valid_argv(binary: Path) -> list[str]:
    """``detector valid`` on the files of :func:`find_boxes`."""
    return [str(binary), "detector", "valid", "detect.data", "detect.cfg", "detect.weights"]


def json_argv(binary: Path, threshold: float) -> list[str]:
    """``detector test`` on the paths that it reads from stdin."""
    words = [str(binary), "detector", "test", "detect.data", "detect.cfg", "detect.weights"]
    return [*words, "-thresh", f"{threshold:.6f}", "-dont_show", "-out", "found.json"]


def train_argv(binary: Path) -> list[str]:
    """``detector train`` on the files that :class:`BinaryEngine` lays out; iterations count on from the weights'."""
    return [str(binary), "detector", "train", "yolo.data", "yolo.cfg", "start.weights", "-dont_show"]


class BinaryEngine:
    """See :class:`cmb_toolkit.darknet.engine.Engine`.

    Parameters
    ----------
    binary : Binary
    warning : str
        What is not right with it for the job at hand.
    patience_s : float
        It is ended when it says nothing for so long [s].
    """

    name = "binary"

    def __init__(self, binary: Binary, warning: str = "", patience_s: float = PATIENCE_S) -> None:
        self._binary = binary
        self._patience_s = patience_s
        self.note = f"Darknet: {binary.path} ({binary.flavour}, {'GPU' if binary.cuda else 'CPU'})." + (
            f" Warning: {warning}." if warning else ""
        )

    def describe(self) -> str:
        """Flavour, fingerprint and build of the binary."""
        return self._binary.describe()

    def detect(
        self,
        project: Path,
        weights: Path,
        images: Sequence[str],
        *,
        threshold: float,
        nms: float,
        most: int | None = None,
        on_progress: OnProgress,
    ) -> list[Detection]:
        """Detect in chunks of images, with the command whose built-in suppression is the one asked for."""
        cfg = read_cfg(project / CFG)
        if cfg.region.classes != 1:
            raise DataError(f"{project / CFG}: classes={cfg.region.classes}; there is one class, microbleed.")
        if reason := self._binary.cannot_detect(threshold, nms):
            raise UsageError(f"{self._binary.path}: {reason}. Use --engine embedded.")
        read_weights(weights, cfg)
        for image in images:
            read_image(project / image, cfg.net.height, cfg.net.width)
        found: list[Detection] = []
        size = cfg.net.width, cfg.net.height
        for start in range(0, len(images), _CHUNK):
            part = images[start : start + _CHUNK]

            def report(done: int, _total: int, what: str, start: int = start, boxes: int = len(found)) -> None:
                on_progress(start + done, len(images), what or f"{boxes} boxes")

            boxes = find_boxes(
                self._binary, project, weights, part, threshold=threshold, nms=nms, patience_s=self._patience_s,
                on_progress=report,
            )  # fmt: skip
            for image in part:
                here = [one.box for one in boxes[Path(image).stem]]
                corners = np.array([(b.left, b.top, b.right, b.bottom) for b in here]).reshape(-1, 4)
                confidence = np.array([b.confidence for b in here])
                # Darknet has thinned them out already, before it clipped them
                found += [
                    Detection(Path(image).stem, b)
                    for b in select_boxes(corners, confidence, threshold, 1.0, size, most)
                ]
        return found

    def train(self, project: Path, out: Path, options: TrainingOptions, on_progress: OnProgress) -> pd.DataFrame:
        """Train; its snapshots are moved in among the checkpoints as they appear."""
        cfg = read_cfg(project / CFG)
        total = cfg.net.max_batches
        if total < 1:
            raise UsageError(f"{project / CFG}: max_batches={total}; a training needs at least 1 iteration.")
        if reason := self._binary.cannot_train(cfg):
            raise UsageError(f"{self._binary.path}: {reason}. Use --engine embedded.")
        on_progress(0, total, "looking at the images")
        images = [project / line for line in read_list(project / TRAIN_LIST)]
        for image in images:
            read_image(image, cfg.net.height, cfg.net.width)
        with ExitStack() as stack:
            if self._binary.cuda:
                stack.enter_context(gpu_lock())
            folder = options.scratch or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cmbtk-")))
            first = first_weights(cfg, options.seed, options.weights, count_on=options.count_on)
            state = TrainingState(
                folder, cfg, first, self._binary.flavour, f"{options.seed} {digest_of_samples(images)}"
            )
            if state.start.iteration < total:
                if state.resumed:
                    on_progress(state.start.iteration, total, "going on from the checkpoint")
                self._run(project, cfg, state, options, on_progress)
            newest = state.newest_file()
            assert newest is not None
            shutil.copyfile(newest, out)
            return state.history

    def _run(
        self, project: Path, cfg: Cfg, state: TrainingState, options: TrainingOptions, on_progress: OnProgress
    ) -> None:
        """Run Darknet from the state's start to the last iteration."""
        total = cfg.net.max_batches
        work = state.snapshots.parent
        _lay_out_training(project, cfg, state, _iterations_between(cfg, state, options, self._binary.cuda))
        _check_disk(work, 3 * cfg.weights_bytes)
        done, started, looked = state.start.iteration, time.monotonic(), 0.0
        with running(train_argv(self._binary.path), work, patience_s=self._patience_s) as darknet:
            for line in darknet.lines():
                step = parse_iteration(line)
                if step is None:
                    continue
                if not math.isfinite(step.loss):
                    shutil.rmtree(work)  # what comes after is not to be gone on from
                    raise diverged(project, f"the loss is {step.loss} at iteration {step.iteration}", state)
                done, now = step.iteration, time.monotonic()
                on_progress(done, total, describe(state.record(done, step.loss, now - started)))
                # what was saved after an earlier iteration is whole by now, or never will be
                fresh = [path for iteration, path in _numbered(state.snapshots) if iteration < done]
                for path in fresh:
                    _adopt(state, path, project)
                if fresh:
                    options.on_history(state.history)
                if now - looked > _DISK_CHECK_S:
                    _check_disk(work, cfg.weights_bytes)
                    looked = now
        state.take_in()
        if state.iteration != total:
            raise DarknetError(
                f"{self._binary.path}: ended at iteration {done} of {total} (exit status {darknet.code}) without whole "
                f"final weights. Its last words:\n{darknet.last_words()}\n"
                f"Run the same command again to go on from iteration {state.iteration}."
            )


# --- training --------------------------------------------------------------------------------------------------------


def _lay_out_training(project: Path, cfg: Cfg, state: TrainingState, every: int) -> None:
    """A fresh working folder: cfg, images and list as in the project, the weights to start from, an own data file."""
    work = state.snapshots.parent
    shutil.rmtree(work, ignore_errors=True)
    state.snapshots.mkdir(parents=True)
    lines = read_list(project / TRAIN_LIST)
    for folder in {Path(line).parts[0] for line in lines}:
        (work / folder).symlink_to((project / folder).absolute())
    (work / TRAIN_LIST).write_text("".join(f"{line}\n" for line in lines), "utf-8")
    (work / CFG).write_text(set_net((project / CFG).read_text("utf-8"), {}), "utf-8")
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


def _iterations_between(cfg: Cfg, state: TrainingState, options: TrainingOptions, cuda: bool) -> int:
    """Iterations between two snapshots, from the history or the network's size: Darknet does not count seconds."""
    rows = [row for row in state.rows[-50:] if row.engine == state.engine]
    if len(rows) > 1:
        seconds = (rows[-1].seconds - rows[0].seconds) / (len(rows) - 1)
    else:
        seconds = 3 * cfg.flops * cfg.net.batch / (_FLOPS_GPU if cuda else _FLOPS_CPU * len(os.sched_getaffinity(0)))
    return min(max(int(options.checkpoint_every_s / max(seconds, 1e-3)), 1), _MOST_BETWEEN)


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    """Snapshots with their iterations, oldest first."""
    matches = ((re.fullmatch(r"yolo_(\d+)\.weights", path.name), path) for path in folder.iterdir())
    return sorted((int(match[1]), path) for match, path in matches if match)


def _adopt(state: TrainingState, path: Path, project: Path) -> None:
    """Take in a snapshot that must be whole by now."""
    try:
        state.adopt(path)
    except DataError as error:
        if "NaN" in str(error):
            raise diverged(project, f"weights are not finite ({path.name})", state) from error
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


# --- detection -------------------------------------------------------------------------------------------------------


def find_boxes(
    binary: Binary,
    project: Path,
    weights: Path,
    images: Sequence[str],
    *,
    threshold: float,
    nms: float,
    patience_s: float = PATIENCE_S,
    on_progress: OnProgress = lambda done, total, what: None,
) -> Mapping[str, list[Found]]:
    """Run a Darknet once over some images; any number of classes, images that are not square.

    Parameters
    ----------
    binary, project, weights, images, threshold, nms, on_progress
        As for :meth:`cmb_toolkit.darknet.engine.Engine.detect`; `nms` is one that the binary has built in.
    patience_s : float

    Returns
    -------
    mapping
        Boxes by image stem; an entry for every image.

    Raises
    ------
    DarknetError
        If an image is not accounted for, or the results are not whole.
    """
    cfg = read_cfg(project / CFG)
    with tempfile.TemporaryDirectory(prefix="cmbtk-") as name:
        folder = Path(name)
        places = _lay_out_detection(folder, project, weights, images, cfg.region.classes)
        on_progress(0, len(images), "loading the network")
        if binary.flavour == "alexeyab" and nms == 0.45:
            return _test(binary, folder, places, threshold, cfg, patience_s, on_progress)
        return _valid(binary, folder, places, cfg, patience_s, on_progress)


def _lay_out_detection(
    folder: Path, project: Path, weights: Path, images: Sequence[str], classes: int
) -> dict[str, str]:
    """Short relative names for everything; the place in the folder of every image stem."""
    (folder / "results").mkdir()
    (folder / "in").mkdir()
    places = {}
    for image in images:
        place = f"in/{Path(image).name}"
        (folder / place).symlink_to((project / image).absolute())
        places[Path(image).stem] = place
    names = [CLASS_NAME] if classes == 1 else [f"class{n}" for n in range(classes)]
    (folder / "detect.names").write_text("".join(f"{name}\n" for name in names), "utf-8")
    data = f"classes={classes}\nvalid=images.txt\nnames=detect.names\nresults=results\n"
    (folder / "detect.data").write_text(data, "utf-8")
    text = (project / CFG).read_text("utf-8")
    (folder / "detect.cfg").write_text(set_net(text, {"batch": 1, "subdivisions": 1}), "utf-8")
    (folder / "detect.weights").symlink_to(weights.absolute())
    return places


def _test(
    binary: Binary,
    folder: Path,
    places: dict[str, str],
    threshold: float,
    cfg: Cfg,
    patience_s: float,
    on_progress: OnProgress,
) -> dict[str, list[Found]]:
    """``detector test``: boxes are not clipped, and come with six decimals."""
    (folder / "images.txt").write_text("".join(f"{place}\n" for place in places.values()), "utf-8")
    done = 0
    # a little below: its file is rounded, and a box at the threshold belongs in
    argv = json_argv(binary.path, max(threshold - 1e-6, 0.0))
    with running(argv, folder, stdin=folder / "images.txt", patience_s=patience_s) as darknet:
        for line in darknet.lines():
            _check_loaded(binary, line)
            if "Predicted in" in line:
                done += 1
                on_progress(min(done, len(places)), len(places), "")
    results = folder / "found.json"
    text = results.read_text("latin-1") if results.is_file() else ""
    try:
        frames = parse_test(text, cfg.net.width, cfg.net.height, results.name)
    except DarknetError as error:
        raise _ended_early(binary, darknet.code, darknet.last_words(), str(error)) from error
    if [name for name, _ in frames] != list(places.values()):
        raise DarknetError(
            f"{binary.path}: its results are of {len(frames)} images, not of the {len(places)} it was given. "
            "Use --engine embedded."
        )
    return {Path(name).stem: boxes for name, boxes in frames}


def _valid(
    binary: Binary, folder: Path, places: dict[str, str], cfg: Cfg, patience_s: float, on_progress: OnProgress
) -> dict[str, list[Found]]:
    """``detector valid``: boxes are clipped, and those at the right or lower border lose up to a pixel."""
    listed = [*places.values()]
    for number in range(_LEAST_IMAGES - len(listed)):
        filler = f"in/filler{number}.png"
        (folder / filler).symlink_to((folder / listed[0]).readlink())
        listed.append(filler)
    (folder / "images.txt").write_text("".join(f"{place}\n" for place in listed), "utf-8")
    finished = False
    with running(valid_argv(binary.path), folder, patience_s=patience_s) as darknet:
        for line in darknet.lines():
            _check_loaded(binary, line)
            if line.isdecimal():
                on_progress(min(int(line), len(places)), len(places), "")
            finished = finished or "Total Detection Time" in line
    if not finished:
        raise _ended_early(binary, darknet.code, darknet.last_words(), "it did not print its last line")
    found: dict[str, list[Found]] = {stem: [] for stem in places}
    names = (folder / "detect.names").read_text("utf-8").split()
    for label, name in enumerate(names):
        results = folder / "results" / f"comp4_det_test_{name}.txt"
        if not results.is_file():
            raise DarknetError(f"{binary.path}: ended without its results file {results.name}. Is the disk full?")
        for stem, boxes in parse_valid(results.read_text("latin-1"), results.name).items():
            if stem in found:
                found[stem] += [Found(label, box) for box in boxes]
            elif not stem.startswith("filler"):
                raise DarknetError(f"{binary.path}: found boxes on {stem}, which it was not given.")
    return found


def _check_loaded(binary: Binary, line: str) -> None:
    if _UNREADABLE.search(line):  # others are letters to draw with, which nobody looks at
        raise DarknetError(f"{binary.path}: {line}. Run `cmbtk prepare-yolo` for this cell again.")


def _ended_early(binary: Binary, code: int | None, last_words: str, what: str) -> DarknetError:
    return DarknetError(f"{binary.path}: ended early (exit status {code}): {what}. Its last words:\n{last_words}")
