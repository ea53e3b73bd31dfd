"""What can be chosen of the training of a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..detectors import DETECTORS
from ..names import RESOLUTION
from ..recipe import Recipe, option

__all__ = ["Naming", "Reviewing", "Training"]


_METHODS = tuple(name for name, method in DETECTORS.items() if not method.alone)
"""Those that a second stage follows."""


@dataclass(frozen=True)
class Training(Recipe):
    """How a model is trained, beside the defaults of the steps."""

    method: str = option(
        "yolo",
        "How candidates are found: yolo, the paper's, or as the command of that name does.",
        choices=_METHODS,
    )
    preset: Literal["auto", "small", "medium", "yolov2-short"] = option(
        "auto",
        "The detector of yolo: small (few slices, or a first look), medium (an hour or two a training on a CPU), "
        "yolov2-short (the paper's layers, on a GPU). auto: medium on a CPU, yolov2-short on a GPU.",
    )
    quick: bool = option(
        False, "One training: the model is that of the first fold, and has not learned from its test subjects."
    )
    resolution: str | None = option(
        None, "Subjects of this resolution.", names=RESOLUTION, otherwise="the only one in the study"
    )
    folds: int = option(5, "Folds of the cross-validation, where the study has none yet.", least=2)
    max_batches: int | None = option(None, "Iterations of yolo's detector.", least=1, otherwise="the preset's")
    epochs: int | None = option(None, "Epochs of the 3D-CNN.", least=1, otherwise="as `cmbtk stage2-train` has them")
    seed: int = option(0, "Decides every random choice.", least=0)


@dataclass(frozen=True)
class Reviewing(Recipe):
    """Which review a model learns from as well."""

    reviewed: Path | None = option(
        None,
        "A review (`cmbtk review`) of findings of --parent: stage 2 is trained again, on the patches of STUDY and on "
        "what readers say of the scans there. Of the options above --epochs and --seed count then.",
        folders=True,
    )
    parent: Path | None = option(None, "The model that found them, of STUDY.", folders=True)
    scans: Path | None = option(
        None,
        "The scans that were reviewed, as `cmbtk detect` was given them: a table, a study, a folder.",
        folders=True,
    )
    other_persons: bool = option(
        False, "Scans in the review that are called as held-out subjects of STUDY are of other persons."
    )


@dataclass(frozen=True)
class Naming(Recipe):
    """What is said of a model by who makes it."""

    name: str | None = option(None, "Of the model.", otherwise="the file's")
    model_version: str = option("1", "Of the model.")
    licence: str | None = option(None, "Of its weights, for example CC-BY-4.0.")
    author: str | None = option(None, "Who made it: a group, or a person who wants to be named.")
    contact: str | None = option(None, "Where to ask.")
    doi: str | None = option(None, "Of a description.")
