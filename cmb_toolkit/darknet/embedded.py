"""The embedded engine: YOLOv2 in Keras, with Darknet's files, loss and update rule."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from ..errors import DataError
from ..keras_settings import backend_version, is_there, keras_backend
from ..model import Detection, OnProgress
from .cfg import read_cfg
from .embedded_detection import at_once, find_boxes
from .engine import TrainingOptions
from .project import CFG
from .training import train_project
from .weights import read_weights, write_weights

__all__ = ["EmbeddedEngine", "lacks"]


class EmbeddedEngine:
    """See :class:`cmb_toolkit.darknet.engine.Engine`."""

    name = "embedded"

    def __init__(self, reason: str = "") -> None:
        self.note = reason and f"Embedded engine: {reason}."

    def describe(self) -> str:
        """Keras and what it computes with, with their versions, without importing them."""
        backend = keras_backend()
        return f"embedded (keras {version('keras')}, {backend} {backend_version(backend)})"

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
            watch=options.watch,
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

        size = min(at_once(), max(len(images), 1))
        return find_boxes(
            detector(cfg, arrays, size), cfg, project, images, threshold=threshold, nms=nms, most=most, batch=size,
            on_progress=on_progress,
        )  # fmt: skip


def lacks() -> str:
    """Which package that the engine needs is not installed; empty if all are. Nothing is imported."""
    return next((name for name in ("keras", keras_backend()) if not is_there(name)), "")
