"""The engine seam: what trains a YOLO network and finds boxes with it, given a project folder. Nobody else knows which.

``embedded`` is the network in Keras; ``darknet`` is a Darknet binary on this machine. With ``auto`` the embedded one
does the work: it trains and detects everywhere alike, while no CPU build of Darknet trains YOLOv2 rightly (the
original's region layer has no backward pass on the CPU, AlexeyAB's leaves batch norm's betas at zero).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pandas as pd

from ..errors import UsageError
from ..model import Detection, OnProgress

__all__ = ["ENGINES", "Engine", "TrainingOptions", "choose_engine"]

ENGINES: tuple[str, ...] = ("auto", "embedded", "darknet")
"""What ``--engine`` can be."""


@dataclass(frozen=True)
class TrainingOptions:
    """How to train, beside what the project's cfg says.

    Attributes
    ----------
    seed : int
    weights : Path or None
        Weights to begin with, of all layers or of the first ones.
    checkpoint : Path or None
        File that keeps the state of an unfinished training.
    checkpoint_every_s : float
        Seconds between two of them.
    """

    seed: int = 0
    weights: Path | None = None
    checkpoint: Path | None = None
    checkpoint_every_s: float = 60.0


class Engine(Protocol):
    """Trains and detects on a project folder."""

    @property
    def name(self) -> str:
        """``embedded`` or ``darknet``."""

    def describe(self) -> str:
        """What computes, with versions, for provenance; quick."""

    def train(self, project: Path, out: Path, options: TrainingOptions, on_progress: OnProgress) -> pd.DataFrame:
        """Train the project's network to its last iteration and write its weights to `out`.

        Returns
        -------
        DataFrame
            iteration, loss, avg_loss, rate, images, seconds; one row per iteration.
        """

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
        """Find boxes on images of a project.

        Parameters
        ----------
        project : Path
        weights : Path
        images : sequence of str
            Paths relative to the project, as in its lists.
        threshold : float
            Least confidence, 0..1.
        nms : float
            Of two boxes with a greater IoU the weaker one is dropped.
        most : int, optional
            Of each image, look at so many boxes only, the strongest.
        on_progress : callable
            Called with the number of images done.

        Returns
        -------
        list of Detection
            In the order of `images`, on each the strongest first.
        """


def choose_engine(name: str = "auto", darknet: Path | None = None) -> Engine:
    """Choose the engine.

    Parameters
    ----------
    name : {"auto", "embedded", "darknet"}
    darknet : Path, optional
        The binary; giving one chooses the engine ``darknet``.

    Raises
    ------
    UsageError
        If the name is unknown, or a binary is given to the embedded engine.
    MissingError, DarknetError
        If the binary is not there or does not run here.
    """
    if name not in ENGINES:
        raise UsageError(f"engine {name!r} is not known; choose one of {', '.join(ENGINES)}.")
    if name == "embedded" and darknet is not None:
        raise UsageError("a Darknet binary was given, but the embedded engine chosen. Leave one of them out.")
    if name == "darknet" or darknet is not None:
        from .binary import BinaryEngine, find_darknet

        return BinaryEngine(find_darknet(darknet))
    from .embedded import EmbeddedEngine

    return EmbeddedEngine()
