"""The engine seam: what trains a YOLO network and finds boxes with it, given a project folder. Nobody else knows which.

``embedded`` is the network in Keras; ``binary`` is a Darknet on this machine. ``auto`` takes the binary where it does
the job rightly, and the embedded engine where it does not: no build of Darknet for CPUs trains YOLOv2 rightly (the
original's region layer has no backward pass there; AlexeyAB's leaves batch norm's betas at their start and never sets
the gradient of the reorg layer back to zero), and none draws its images anew. So a network with ``draw=1`` is trained
by the embedded engine wherever Keras computes on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, get_args

import pandas as pd

from ..device import on_gpu
from ..errors import CmbError, MissingError, UsageError
from ..model import Detection, OnProgress
from .cfg import Cfg
from .images import Images
from .looking import Looking, looking
from .recipe import EngineName, Precision
from .watching import Watch

if TYPE_CHECKING:
    from .find import Binary

__all__ = ["ENGINES", "Engine", "OnHistory", "TrainingOptions", "engine_to_detect", "engine_to_train"]

ENGINES: tuple[str, ...] = get_args(EngineName)
"""What ``--engine`` can be."""

OnHistory: TypeAlias = Callable[[pd.DataFrame], None]
"""Given the history of a training up to now, after each checkpoint."""


@dataclass(frozen=True)
class TrainingOptions:
    """How to train, beside what the project's cfg says.

    Attributes
    ----------
    seed : int
    weights : Path or None
        Weights to begin with, of all layers or of the first ones.
    count_on : bool
        Count iterations on from where those weights were saved, and not from 1.
    scratch : Path or None
        Folder that keeps the state of an unfinished training, whatever the engine.
    checkpoint_every_s : float
        Seconds between two checkpoints.
    on_history : callable
        Given the history after each checkpoint.
    watch : Watch or None
        Where and how the network is looked at on the way, and which weights are kept.
    """

    seed: int = 0
    weights: Path | None = None
    count_on: bool = False
    scratch: Path | None = None
    checkpoint_every_s: float = 60.0
    on_history: OnHistory = lambda history: None
    watch: Watch | None = None

    @property
    def said(self) -> str:
        """What the last look found, to follow an iteration's loss in progress."""
        words = self.watch.said if self.watch else ""
        return f", {words}" if words else ""


class Engine(Protocol):
    """Trains and detects on a project folder."""

    @property
    def name(self) -> str:
        """``embedded`` or ``binary``."""

    @property
    def note(self) -> str:
        """One line for the user before the work: why this engine, or what to know of it; may be empty."""

    def describe(self) -> str:
        """What computes, with versions, for provenance; quick."""

    def train(self, project: Path, out: Path, options: TrainingOptions, on_progress: OnProgress) -> pd.DataFrame:
        """Train the project's network to its last iteration and write its weights to `out`: the last ones, or those
        that ``options.watch`` chooses.

        Killed at any moment and called again with the same options, it goes on at the newest checkpoint in
        ``options.scratch``, which may be another engine's.

        Returns
        -------
        DataFrame
            iteration, loss, avg_loss, rate, images, seconds, engine; one row per iteration.
        """

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
        """Find boxes on images.

        Parameters
        ----------
        project : Path
            Whose network it is.
        weights : Path
        images : Images
        threshold : float
            Least confidence, 0..1.
        nms : float
            Of two boxes with a greater IoU the weaker one is dropped.
        most : int, optional
            Of each image, keep so many boxes at most, the strongest.
        scratch : Path, optional
            Where a Darknet is given the images as files, which do not outlive the call; by default where temporary
            files lie.
        on_progress : callable
            Called with the number of images done.

        Returns
        -------
        list of Detection
            In the order of `images`, on each the strongest first.
        """


def engine_to_train(name: str, darknet: Path | None, cfg: Cfg, precision: Precision = "f32") -> Engine:
    """Choose what trains a network. Another precision than f32 chooses the embedded engine.

    Parameters
    ----------
    name : {"auto", "embedded", "binary"}
    darknet : Path, optional
        The binary; giving one chooses the engine ``binary``.
    cfg : Cfg
    precision : {"f32", "bf16"}

    Raises
    ------
    UsageError
        If the name is unknown, a binary is given to the embedded engine, or the binary or this machine cannot do it.
    MissingError, DarknetError
        If the binary is not there or does not run here.
    """

    def should_not(binary: Binary) -> str:
        return binary.trains_wrongly(cfg) or _draws_none(cfg)

    name = _named_for(precision, name, darknet)
    trains = looking(precision, to_train=True)
    return _choose(name, darknet, lambda binary: binary.cannot_train(cfg), should_not, trains)


def engine_to_detect(
    name: str, darknet: Path | None, threshold: float, nms: float, precision: Precision = "f32"
) -> Engine:
    """Choose what detects, with a least confidence and a greatest overlap; see :func:`engine_to_train`.

    Another precision than f32 chooses the embedded engine.
    """
    name = _named_for(precision, name, darknet)
    looks = looking(precision)
    return _choose(
        name, darknet, lambda binary: binary.cannot_detect(threshold, nms), lambda binary: binary.is_slow(), looks
    )


def _named_for(precision: Precision, name: str, darknet: Path | None) -> str:
    """The engine asked for, or the one that computes in this precision."""
    if precision == "f32":
        return name
    if name == "binary" or darknet is not None:
        raise UsageError(f"a Darknet binary computes in f32, not in {precision}. Leave one of them out.")
    return "embedded"


def _draws_none(cfg: Cfg) -> str:
    """Why a Darknet is second choice, where the embedded engine is as fast and does what the cfg asks for."""
    if cfg.net.draw is not None and on_gpu():
        return "it shows the listed images as they are; with draw=1 they are drawn anew, here on the GPU as well"
    return ""


Objection: TypeAlias = "Callable[[Binary], str]"


def _choose(
    name: str, darknet: Path | None, cannot: Objection, should_not: Objection, looks: Looking | None = None
) -> Engine:
    """The binary, unless it cannot do the job, or should not and was not asked for."""
    from .binary import BinaryEngine
    from .embedded import EmbeddedEngine, lacks
    from .find import find_darknet

    if name not in ENGINES:
        raise UsageError(f"engine {name!r} is not known; choose one of {', '.join(ENGINES)}.")
    if name == "embedded" and darknet is not None:
        raise UsageError("a Darknet binary was given, but the embedded engine chosen. Leave one of them out.")
    missing = lacks()
    if name == "embedded":
        if missing:
            raise MissingError(
                f"the embedded engine needs {missing}, which is not installed here. Run pip install {missing}, or use "
                "a Darknet (`make darknet` builds one): --engine binary."
            )
        return EmbeddedEngine(looks=looks)
    asked = name == "binary" or darknet is not None

    def embedded_because(reason: str) -> Engine:
        if missing:
            raise MissingError(
                f"no engine can do this here. Darknet: {reason}. The embedded engine: needs {missing}, which is not "
                f"installed. Run pip install {missing}, or build a Darknet that can: `make darknet`."
            )
        return EmbeddedEngine(reason, looks)

    try:
        binary = find_darknet(darknet)
    except MissingError:
        if asked:
            raise
        return embedded_because("no Darknet was found")
    except CmbError as error:
        if asked:
            raise
        return embedded_because(str(error).rstrip("."))
    reason = cannot(binary)
    if reason and asked:
        instead = f"Run pip install {missing} and use" if missing else "Use"
        raise UsageError(f"{binary.path}: {reason}. {instead} --engine embedded.")
    if reason:
        return embedded_because(f"{binary.path}: {reason}")
    reason = should_not(binary)
    if reason and not asked and not missing:
        return EmbeddedEngine(f"{binary.path}: {reason}", looks)
    return BinaryEngine(binary, warning=reason)
