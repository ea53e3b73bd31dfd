"""What can be chosen where candidates are found without a network on slices, and of every first stage alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ..detectors import DETECTORS
from ..imaging.recipe import Mode
from ..model import IMAGE_SIZE, LARGEST_IMAGE
from ..names import FOLD, RESOLUTION
from ..recipe import Recipe, option
from ..registry import load

__all__ = [
    "LearnedSearch",
    "RadialSymmetry",
    "Search",
    "distance_option",
    "repeat_option",
    "search_of",
    "size_option",
]


def distance_option() -> Any:
    """How near a microbleed a candidate finds it, where a threshold is chosen."""
    return option(
        3.0,
        "For auto: a microbleed is found when a candidate lies this near.",
        name="distance",
        unit="mm",
        above=0,
        metavar="MM",
    )


def size_option() -> Any:
    """The side of the network image."""
    return option(IMAGE_SIZE, "Image side.", unit="px", least=32, most=LARGEST_IMAGE)


def repeat_option() -> Any:
    """Which cell of the same fold."""
    return option(
        1,
        "From 2 on, a further cell of the same fold, to be trained with another --seed; its name ends in _repeat-2.",
        least=1,
        in_settings=False,
        silent=True,
    )


@dataclass(frozen=True)
class Search(Recipe):
    """Where candidates are looked for, and which are kept; of every method alike."""

    fold: str = option(
        ...,
        "Fold of the study, as `cmbtk split` named it (1, 2, ...), or none: all subjects, at a given --threshold.",
        names=FOLD,
        in_settings=False,
    )
    resolution: str | None = option(
        None,
        "Subjects of this resolution.",
        names=RESOLUTION,
        otherwise="the only one in the study",
        in_settings=False,
    )
    threshold: float | Literal["auto"] = option(
        "auto", "Least score of a candidate; auto chooses it on the validation subjects.", above=0
    )
    sensitivity: float | None = option(
        0.97,
        "For auto: the highest threshold that finds this share of the validation subjects' microbleeds, of those that "
        "can be found at all.",
        above=0,
        most=1,
    )
    most_false: float = option(
        1000.0,
        "For auto: where that would leave more false positives per validation subject, the lowest threshold that does "
        "not (the paper's FRST had 497 in HR, 946 in LR).",
        above=0,
    )
    distance_mm: float = distance_option()
    separation_mm: float = option(
        3.0,
        "Of candidates nearer than this keep the strongest.",
        name="separation",
        unit="mm",
        above=0,
        metavar="MM",
    )
    size: int = size_option()
    mode: Mode = option("auto", "How planes become images, as for prepare-yolo; boxes are given on these.")
    repeat: int = repeat_option()


@dataclass(frozen=True)
class LearnedSearch(Search):
    """The same where a network was trained first: its candidates are to be few."""

    sensitivity: float | None = option(
        None,
        "For auto: the highest threshold that finds this share of the validation subjects' microbleeds.",
        above=0,
        most=1,
        otherwise="--most-false decides",
    )
    most_false: float = option(
        50.0,
        "For auto: the lowest threshold that leaves at most so many false positives per validation subject, for "
        "stage 2 to throw out; 0.5 where the network is to decide alone.",
        above=0,
    )


@dataclass(frozen=True)
class RadialSymmetry(Recipe):
    """Settings of the transform of :mod:`cmb_toolkit.stage1.radial_symmetry`.

    Attributes
    ----------
    strictness : float
        The exponent alpha: how much a point must be hit from all sides; 2 in Loy and Zelinsky's examples.
    spread : float
        Standard deviation of the smoothing of each radius, in radii (Loy and Zelinsky: 0.25).
    presmooth_mm : float
        Standard deviation of the smoothing before gradients are taken [mm]; 0 for none.
    least_gradient : float
        Weaker gradients do not vote, in medians of the gradients in the brain: most of the brain is noise and texture.
    """

    # no further apart than half a millimetre, or balls in between peak a slice off where slices are 2 mm thick
    radii_mm: tuple[float, ...] = option(
        (1.0, 1.5, 2.0, 2.5, 3.0),
        "Radius of balls looked for; may be repeated.",
        name="radius",
        unit="mm",
        above=0,
        below=50,
        metavar="MM",
    )
    strictness: float = option(2.0, above=0, in_command=False, in_settings=False)
    spread: float = option(0.25, least=0, in_command=False, in_settings=False)
    presmooth_mm: float = option(0.5, least=0, in_command=False, in_settings=False)
    least_gradient: float = option(1.0, least=0, in_command=False, in_settings=False)
    # its voxels still vote
    margin_mm: float = option(
        0.0, "Rim of the brain without candidates.", name="margin", unit="mm", least=0, metavar="MM"
    )


def search_of(method: str) -> type[Search]:
    """What can be chosen of where a method looks."""
    usual = LearnedSearch if DETECTORS[method].learns else Search
    return load(DETECTORS[method].search) if DETECTORS[method].search else usual
