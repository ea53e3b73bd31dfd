"""The embedded engine: YOLOv2 in Keras, with Darknet's files, loss and update rule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import DataError
from ..model import Detection, OnProgress
from .cfg import Cfg, read_cfg
from .engine import TrainingOptions
from .project import CFG
from .region import decode, select_boxes
from .samples import read_image
from .training import train_project
from .weights import read_weights, write_weights

__all__ = ["EmbeddedEngine"]

_BATCH = 8


class EmbeddedEngine:
    """See :class:`cmb_toolkit.darknet.engine.Engine`."""

    name = "embedded"

    def __init__(self, reason: str = "") -> None:
        self.note = reason and f"Embedded engine: {reason}."

    def describe(self) -> str:
        """Keras and TensorFlow with their versions, without importing them."""
        return f"embedded (keras {version('keras')}, tensorflow {_tensorflow_version()})"

    def train(self, project: Path, out: Path, options: TrainingOptions, on_progress: OnProgress) -> pd.DataFrame:
        """Train; with checkpoints of its own it ends with the same weights as if it had not been killed."""
        trained = train_project(
            project,
            seed=options.seed,
            weights=options.weights,
            count_on=options.count_on,
            scratch=options.scratch,
            checkpoint_every_s=options.checkpoint_every_s,
            on_progress=on_progress,
            on_history=options.on_history,
        )
        write_weights(trained.weights, out)
        return trained.history

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
        """Detect in batches; images are read ahead."""
        cfg = read_cfg(project / CFG)
        if cfg.region.classes != 1:
            raise DataError(f"{project / CFG}: classes={cfg.region.classes}; there is one class, microbleed.")
        arrays = read_weights(weights, cfg)
        on_progress(0, len(images), "loading the network")
        from .network import detector

        size = min(_BATCH, max(len(images), 1))
        run = detector(cfg, arrays, size)
        found: list[Detection] = []
        done = 0
        for names, batch in _batches(project, images, cfg, size):
            boxes, confidence = decode(run(batch)[: len(names)], cfg.region, cfg.net.width, cfg.net.height)
            for name, box, score in zip(names, boxes, confidence[..., 0], strict=True):
                chosen = select_boxes(box, score, threshold, nms, (cfg.net.width, cfg.net.height), most)
                found += [Detection(Path(name).stem, one) for one in chosen]
            done += len(names)
            on_progress(done, len(images), f"{len(found)} boxes")
        return found


def _batches(
    project: Path, images: Sequence[str], cfg: Cfg, size: int
) -> Iterator[tuple[Sequence[str], NDArray[np.uint8]]]:
    """Names and images of every batch; the last one is filled up with black images."""

    def load(names: Sequence[str]) -> NDArray[np.uint8]:
        batch = np.zeros((size, cfg.net.height, cfg.net.width, 3), np.uint8)
        for place, name in enumerate(names):
            batch[place] = read_image(project / name, cfg.net.height, cfg.net.width)
        return batch

    parts = [images[start : start + size] for start in range(0, len(images), size)]
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(load, parts[0]) if parts else None
        for n, names in enumerate(parts):
            assert following is not None
            batch = following.result()
            if n + 1 < len(parts):
                following = pool.submit(load, parts[n + 1])
            yield names, batch


def _tensorflow_version() -> str:
    for package in ("tensorflow", "tensorflow-cpu"):
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return "unknown"
