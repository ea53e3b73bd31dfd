"""What can be chosen of the second stage: how patches are cut, the network trained, and candidates classified."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..classifiers import CLASSIFIERS
from ..evaluation.rules import RULES, in_words
from ..imaging.recipe import Scale
from ..recipe import Recipe, option

__all__ = ["Augmentation", "ClassifierTraining", "Classifying", "Cropping", "Decay", "Scheduled"]

Augmentation: TypeAlias = Literal["paper", "in-plane", "drawn", "none"]
Decay: TypeAlias = Literal["none", "cosine"]


@dataclass(frozen=True)
class Cropping(Recipe):
    """How patches are cut."""

    network: str | None = option(
        None,
        "For which network: patches have its size.",
        choices=CLASSIFIERS,
        otherwise="the one of the method that found the candidates, or paper",
    )
    rule: str = option("centre", lambda: f"When a candidate is a microbleed. {in_words()}", choices=RULES)
    distance_mm: float = option(3.0, "For centre, and for --jitter.", name="distance", unit="mm", above=0, metavar="MM")
    scale: Scale = option(
        "fixed",
        "Grey values to 0..1 inside the brain. fixed: SWI from 0 to its 99.9th percentile, phase from -pi to pi. "
        "paper: minimum to maximum of each subject; slice: of each slice.",
    )
    shrink_from: float | Literal["auto"] = option(
        "auto",
        "What is dark over so many mm or more is shown shrunk to half: there are too few large microbleeds to learn "
        "them as they are. 0: nothing is, as in the paper; auto: 5, and 0 for dou, chen and liu.",
        least=0,
        metavar="auto|MM",
    )
    jitter: int = option(
        0,
        "Extra patches of each training mark, shifted at random within --distance: for few microbleeds.",
        least=0,
        metavar="N",
    )
    seed: int = option(0, "For --jitter.", least=0, in_settings=False)


@dataclass(frozen=True)
class ClassifierTraining(Recipe):
    """How the 3D-CNN is trained; what is None is taken from the schedule (:mod:`cmb_toolkit.stage2.schedule`)."""

    schedule: Literal["auto", "short", "paper"] = option(
        "auto",
        "What is trained and for how long, where the options below do not say it. paper: network paper, 200 epochs of "
        "24 copies (days on a CPU). short: 20 epochs (of other networks than small 15), copies 6 1, augment drawn. "
        "auto: short, and on a CPU the network small.",
    )
    network: str | None = option(
        None,
        "paper: 1,355,450 parameters, batch norm by depth as the authors had it. channel: the same with the usual "
        "batch norm (1,356,154). small: 77,000 parameters, trains on a CPU in minutes. paper-literal: "
        "paper without the centred input that lets it learn. dou, chen, liu: those of earlier work.",
        choices=CLASSIFIERS,
        otherwise="the one of the method that found the candidates, or by --schedule",
    )
    epochs: int | None = option(None, "Passes over the patches.", least=1, otherwise="by --schedule")
    batch: int = option(50, "Patches a step.", least=1)
    learning_rate: float | None = option(
        None, "Adam's.", above=0, below=1, otherwise="0.001, the paper's; short: 0.0005, but of small"
    )
    # Adam's first steps are as long as any, on gradients of a network that knows nothing yet
    warm_up: int | None = option(
        None,
        "Steps, in the first epoch, over which the learning rate rises; the paper has none.",
        least=0,
        metavar="STEPS",
        otherwise="100 for paper and channel, else 0",
    )
    decay: Decay | None = option(
        None,
        "How the learning rate falls; cosine: to 0 at the last epoch.",
        otherwise="none; short: cosine, but of small",
    )
    class_weights: float | Literal["ratio", "none"] = option(
        "ratio",
        "Weight of a microbleed's patch against another: ratio of their numbers, 1, or given (paper: 5 to 13.5).",
        name="class-weight",
        above=0,
        metavar="ratio|none|NUMBER",
    )
    augmentation: Augmentation | None = option(
        None,
        "Symmetries that patches are shown in. paper: the square's 8 in all three directions, 24. in-plane: the 16 "
        "that keep the slice direction, for slices thicker than voxels are wide. drawn: these, each time moved by a "
        "voxel and with other grey values.",
        name="augment",
        otherwise="by --schedule",
    )
    copies: tuple[int, int] | None = option(
        None,
        "How often an epoch shows a microbleed's patch and any other one, each time in another symmetry. 24 24 is "
        "the paper's augmented set; more epochs of fewer copies serve as well.",
        least=1,
        metavar="CMB OTHER",
        otherwise="by --schedule",
    )
    select: Literal["loss", "auc"] = option(
        "loss", "What the best epoch is chosen by, on the validation subjects' patches."
    )
    patience: int = option(0, "Stop after so many epochs without a better one; 0 never.", least=0, metavar="EPOCHS")
    seed: int = option(0, "Decides every random choice.", least=0, in_settings=False)


@dataclass(frozen=True)
class Scheduled(ClassifierTraining):
    """A training of which nothing is left open; by default the paper's."""

    network: str = "paper"
    epochs: int = 200
    learning_rate: float = 1e-3
    warm_up: int = 0
    decay: Decay = "none"
    augmentation: Augmentation = "paper"
    copies: tuple[int, int] = (24, 24)

    def rate(self, step: int, epoch: int) -> float:
        """The learning rate of a step, counted from 0, where an epoch has so many; 0 steps of warm-up are none."""
        rate = self.learning_rate * min(1.0, (step + 1) / max(min(self.warm_up, epoch), 1))
        if self.decay == "cosine":
            rate *= (1 + math.cos(math.pi * step / (self.epochs * epoch))) / 2
        return rate


@dataclass(frozen=True)
class Classifying(Recipe):
    """Which candidates are kept."""

    threshold: float | Literal["validation"] | None = option(
        None,
        "Keep candidates of at least this probability, 0 to 1; validation takes the greatest F1 over the validation "
        "subjects' microbleeds.",
        least=0,
        most=1,
        otherwise="as --most-false 0.5, or 0.5 where that cannot be chosen",
    )
    most_false: float | None = option(
        None,
        "With validation: instead of the greatest F1, the lowest threshold that leaves at most so many false "
        "positives per validation subject (the paper had 1.42 in HR, 1.89 in LR).",
        above=0,
    )
    by: Literal["auto", "both", "stage2"] = option(
        "auto",
        "What the probability of a candidate is. both: the mean log-odds of stage 1's confidence and of the network. "
        "stage2: the network's alone, as in the paper. auto: both, where stage 1 has learned and the method says "
        "nothing else.",
    )
    batch: int = option(256, "Patches at a time.", least=1)
