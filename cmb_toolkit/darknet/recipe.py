"""What can be chosen of the detector: its images and network, its training, and what it finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from ..imaging.recipe import Background, Mode, Scale
from ..model import INPUTS, ROLES
from ..names import FOLD, RESOLUTION
from ..recipe import Recipe, option
from ..stage1.recipe import distance_option, repeat_option, size_option

__all__ = ["Decided", "Detecting", "DetectorTraining", "EngineName", "Precision", "Preparing"]

EngineName: TypeAlias = Literal["auto", "embedded", "binary"]
Precision: TypeAlias = Literal["f32", "bf16"]

_BINARY = "CMBTK_DARKNET, the checkout's build, PATH"


@dataclass(frozen=True)
class Preparing(Recipe):
    """The images, labels and network of one fold; what is None is as the network file wants it."""

    fold: str = option(
        ...,
        "Fold of the study, as `cmbtk split` named it (1, 2, ...), none: only detect, on all subjects; or all: "
        "learn from all subjects, test on none.",
        names=FOLD,
        in_settings=False,
    )
    resolutions: tuple[str, ...] = option(
        (),
        "Subjects of this resolution; repeated, one detector for several.",
        name="resolution",
        names=RESOLUTION,
        otherwise="the only one in the study",
        in_settings=False,
    )
    input: str = option(
        "swi+cphase-averaged",
        "What the image shows; cphase is 1 - phase, averaged is the mean with the slices above and below.",
        choices=INPUTS,
        in_settings=False,
    )
    size: int = size_option()
    mode: Mode = option(
        "auto", "Crop or pad to the image's size, or stretch to it; auto crops where an axis changes by 1/8 or less."
    )
    cfg: str = option(
        "small",
        "Network: small (minutes on a CPU), medium (an hour or two), yolov2-short (the paper's layers; minutes on a "
        "GPU), yolov2-paper, yolov2-released (days on a GPU), or a Darknet .cfg file.",
        metavar="NAME|FILE",
    )
    max_batches: int | None = option(
        None,
        "Training iterations; learning-rate steps and burn-in scale along.",
        least=1,
        otherwise="as in the network file",
    )
    net: Mapping[str, str] = option(
        dict,
        "Another [net] key of the network file, for example batch=16. May be repeated.",
        name="set",
        metavar="KEY=VALUE",
    )
    scale: Scale = option(
        "paper",
        "Grey values to 0..1 inside the brain. paper: minimum to maximum of each subject; slice: of each slice; "
        "fixed: SWI from 0 to its 99.9th percentile, phase from -pi to pi.",
    )
    background: Background = option(
        "black",
        "Of the complemented phase outside the brain: black as in the other channels, or white, the paper's 1 - 0.",
    )
    anchors: Literal["cfg", "labels"] = option(
        "cfg",
        "Anchors of the network file, or by k-means from the training subjects' boxes as the augmentation shows them "
        "(as many, or fewer where there are fewer different sizes).",
    )
    negatives: float | Literal["all"] | None = option(
        None,
        "Training slices without a microbleed, per slice with one, or all there are.",
        least=0,
        otherwise="all for a network file that draws its images anew (draw=1) without --augment, else 1",
    )
    augment: bool | None = option(
        None,
        "Write the paper's eight turned and mirrored copies of each training slice; a Darknet needs them.",
        otherwise="unless the network file has draw=1",
    )
    label_reach: int | None = option(
        None,
        "Slices on either side of the marked one that carry its box too; the paper has 0.",
        least=0,
        otherwise="1 for a network file with draw=1, else 0",
    )
    seed: int = option(0, "Decides which negative slices are drawn.", in_settings=False)
    repeat: int = repeat_option()


@dataclass(frozen=True)
class Decided(Preparing):
    """The same, with nothing left to the network file."""

    negatives: float | Literal["all"] = 1.0
    augment: bool = True
    label_reach: int = 0


@dataclass(frozen=True)
class DetectorTraining(Recipe):
    """How a detector is trained, beside what its network file says."""

    weights: Path | None = option(
        None,
        "Darknet weights to begin with: of the same network, or of its first layers (a pre-trained backbone).",
        metavar="FILE",
    )
    count_on: bool = option(
        False,
        "Count iterations on from where --weights were saved (schedule included), and not from 1.",
        name="continue",
        in_settings=False,
        silent=True,
    )
    seed: int = option(0, "Decides first weights and order of the images.", in_settings=False)
    watch: int = option(
        10,
        "Look N times, at equal distances, at what is found of validation and training subjects; 0: never.",
        least=0,
        metavar="N",
    )
    select: Literal["best", "last"] = option(
        "best",
        "Which weights are kept: those that found most in the validation subjects, or the last ones (the paper).",
    )
    checkpoint_every_s: float = option(
        60.0,
        "How often the state is saved, so that a killed training can go on.",
        name="checkpoint-every",
        unit="s",
        above=0,
        metavar="SECONDS",
    )
    engine: EngineName = option(
        "auto", "What trains: a Darknet binary or the embedded engine; auto takes a binary that trains on a GPU."
    )
    precision: Precision = option(
        "f32",
        "Of the embedded engine: bf16 computes convolutions with numbers of 16 bits, faster on GPUs and on processors "
        "that have them; weights stay f32.",
        silent=True,
    )
    darknet: Path | None = option(None, "A Darknet binary.", metavar="FILE", otherwise=_BINARY)


@dataclass(frozen=True)
class Detecting(Recipe):
    """Which boxes of which subjects become candidates."""

    threshold: float | Literal["auto"] | None = option(
        None,
        "Least confidence of a box, 0 to 1 (paper: 0.01 HR, 0.05 LR); auto chooses it on the validation subjects.",
        above=0,
        below=1,
        otherwise="auto where there are such subjects, else 0.01",
    )
    most_false: float = option(
        50.0,
        "For auto: the lowest threshold that leaves at most so many false positives per validation subject "
        "(the paper had 52 in HR, 155 in LR).",
        above=0,
    )
    distance_mm: float = distance_option()
    nms: float = option(
        0.45, "Of two boxes on a slice that overlap more than this (IoU), the weaker one is dropped.", above=0, most=1
    )
    merge: Literal["auto", "none"] = option(
        "auto",
        "auto: boxes of one lesion, on neighbouring slices say, are one candidate, at their mean. none: every box is "
        "one, as in the paper.",
    )
    roles: tuple[str, ...] = option(
        ROLES,
        "Whose scans to look at; may be repeated.",
        name="role",
        choices=ROLES,
        otherwise="all",
        in_settings=False,
    )
    weights: Path | None = option(
        None,
        "Darknet weights of the cell's network.",
        metavar="FILE",
        otherwise="the cell's own yolo.weights",
        in_settings=False,
    )
    engine: EngineName = option(
        "auto",
        "What detects: a Darknet binary or the embedded engine, which find the same boxes; auto takes a Darknet that "
        "computes on a GPU.",
    )
    precision: Precision = option(
        "f32",
        "Of the embedded engine: bf16 is two to five times as fast on processors that have it, and on GPUs, and moves "
        "boxes and confidences a little.",
    )
    darknet: Path | None = option(None, "A Darknet binary.", metavar="FILE", otherwise=_BINARY)
