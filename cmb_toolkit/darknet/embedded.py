"""The embedded engine: YOLOv2 with Darknet's files, loss and update rule; it trains in Keras."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ..errors import DataError
from ..keras_settings import is_there, keras_backend
from ..model import Detection, OnProgress
from .cfg import read_cfg
from .embedded_detection import at_once, find_boxes
from .engine import TrainingOptions
from .images import Images
from .looking import Looking
from .project import CFG
from .training import train_project
from .weights import read_weights, write_weights

__all__ = ["EmbeddedEngine", "lacks"]


class EmbeddedEngine:
    """See :class:`cmb_toolkit.darknet.engine.Engine`."""

    name = "embedded"

    def __init__(self, reason: str = "", looks: Looking | None = None) -> None:
        self.note = reason and f"Embedded engine: {reason}."
        self._looks = looks or Looking("keras")

    def describe(self) -> str:
        """What computes, with versions, without importing it: Keras where it trains."""
        return f"embedded ({self._looks.describe()})"

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
            precision=self._looks.precision,
        )
        write_weights(trained.weights, out)
        return trained.history

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
        """Detect in batches, without a file."""
        cfg = read_cfg(project / CFG)
        if cfg.region.classes != 1:
            raise DataError(f"{project / CFG}: classes={cfg.region.classes}; there is one class, microbleed.")
        arrays = read_weights(weights, cfg)
        count = len(images.names)
        on_progress(0, count, "loading the network")
        size = min(at_once(), max(count, 1))
        run = self._looks.detector(cfg, arrays, size)
        return find_boxes(
            run, cfg, images, threshold=threshold, nms=nms, most=most, batch=size, on_progress=on_progress
        )


def lacks() -> str:
    """Which package that the engine needs is not installed; empty if all are. Nothing is imported."""
    return next((name for name in ("keras", keras_backend()) if not is_there(name)), "")
