"""A Darknet binary as engine: asked to detect and to train, and never believed.

Its exit codes say nothing, and it goes on without a word when an image, the weights or the disk fail it. So everything
is checked before it starts, and success is what it leaves behind: results that account for every image, weights of the
size that the cfg implies, finite, and saved after the iteration that was asked for.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import DataError, MissingError, UsageError
from ..model import Detection, OnProgress
from .binary_detection import find_boxes
from .binary_training import run_training
from .cfg import Cfg, read_cfg
from .embedded import EmbeddedEngine
from .engine import Engine, TrainingOptions
from .find import Binary
from .gpu import gpu_lock
from .images import Images, read_image
from .project import CFG, TRAIN_LIST, read_list
from .region import select_boxes
from .run import PATIENCE_S
from .samples import digest_of_samples
from .state import TrainingState, first_weights
from .watching import Watch
from .weights import read_weights, write_weights

__all__ = ["BinaryEngine"]


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
        images: Images,
        *,
        threshold: float,
        nms: float,
        most: int | None = None,
        scratch: Path | None = None,
        on_progress: OnProgress,
    ) -> list[Detection]:
        """Detect in one process, with the command whose built-in suppression is the one asked for."""
        cfg = read_cfg(project / CFG)
        if cfg.region.classes != 1:
            raise DataError(f"{project / CFG}: classes={cfg.region.classes}; there is one class, microbleed.")
        if reason := self._binary.cannot_detect(threshold, nms):
            raise UsageError(f"{self._binary.path}: {reason}. Use --engine embedded.")
        read_weights(weights, cfg)
        if not images.names:
            return []
        boxes = find_boxes(
            self._binary, project, weights, images, threshold=threshold, nms=nms, patience_s=self._patience_s,
            scratch=scratch, on_progress=on_progress,
        )  # fmt: skip
        found: list[Detection] = []
        for name in images.names:
            here = [one.box for one in boxes[name]]
            corners = np.array([(b.left, b.top, b.right, b.bottom) for b in here]).reshape(-1, 4)
            confidence = np.array([b.confidence for b in here])
            # Darknet has thinned them out already, before it clipped them
            chosen = select_boxes(corners, confidence, threshold, 1.0, (cfg.net.width, cfg.net.height), most)
            found += [Detection(name, box) for box in chosen]
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
        _check_images(images, cfg)
        with ExitStack() as stack:
            if self._binary.cuda:
                stack.enter_context(gpu_lock())
            folder = options.scratch or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cmbtk-")))
            first = first_weights(cfg, options.seed, options.weights, count_on=options.count_on)
            watch = options.watch
            identity = f"{options.seed} {digest_of_samples(images)}" + (watch.identity if watch else "")
            state = TrainingState(folder, cfg, first, self._binary.flavour, identity)

            def look() -> None:
                if watch is not None and watch.due(state.iteration):
                    self._look(project, cfg, state, watch, folder / "looked-at")

            def on_history(history: pd.DataFrame) -> None:
                look()
                options.on_history(history)

            if watch is not None:
                watch.begin(folder, cfg, first.iteration, state.start.iteration)
            if state.start.iteration < total:
                if state.resumed:
                    on_progress(state.start.iteration, total, "going on from the checkpoint")
                    look()  # where it was killed at that
                looking = replace(options, on_history=on_history)
                run_training(self._binary, project, cfg, state, looking, on_progress, patience_s=self._patience_s)
            look()
            newest = state.newest_file()
            assert newest is not None
            if watch is None:
                shutil.copyfile(newest, out)
            else:
                write_weights(watch.chosen(read_weights(newest, cfg)), out)
            return state.history

    def _look(self, project: Path, cfg: Cfg, state: TrainingState, watch: Watch, scratch: Path) -> None:
        """Show a training's newest checkpoint the slices that it is watched on.

        Without a GPU the embedded engine is faster, where it can be had; on one, TensorFlow would take its memory from
        the Darknet that is training.
        """
        path = state.newest_file()
        assert path is not None

        def detect(images: Images) -> list[Detection]:
            def find(engine: Engine) -> list[Detection]:
                return engine.detect(
                    project, path, images, threshold=watch.threshold, nms=watch.nms, most=watch.most,
                    scratch=scratch, on_progress=lambda done, total, what: None,
                )  # fmt: skip

            if not self._binary.cuda:
                with suppress(MissingError):
                    return find(EmbeddedEngine())
            return find(self)

        watch.look(state.iteration, read_weights(path, cfg), detect)


def _check_images(paths: Sequence[Path], cfg: Cfg) -> None:
    """Decode them all: Darknet takes a black image for one that it cannot read."""
    with ThreadPoolExecutor() as pool:
        for _ in pool.map(lambda path: read_image(path, cfg.net.height, cfg.net.width), paths):
            pass
