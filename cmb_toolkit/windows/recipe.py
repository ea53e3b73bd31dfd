"""What can be chosen of networks that look at windows, and of their training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..lessons.recipe import MinedTraining
from ..recipe import option

__all__ = ["ScreeningTraining", "SlidingTraining"]


@dataclass(frozen=True)
class ScreeningTraining(MinedTraining):
    """How Dou's screening network learns."""

    steps: int = option(600, "Training steps, each of 128 windows.", least=20)
    batch: int = option(128, least=2, in_command=False, in_settings=False)
    learning_rate: float = option(1e-3, above=0, in_command=False, in_settings=False)
    # first random places, then what these have taught it to take for microbleeds
    mined: tuple[float, ...] = option((0.5,), in_command=False, in_settings=False)


@dataclass(frozen=True)
class SlidingTraining(MinedTraining):
    """How a network learns that looks at windows of one slice.

    Attributes
    ----------
    network : {"small", "full"}
    places : {"maxima", "dense"}
    slices : {"one", "three"}
    """

    network: Literal["small", "full"] = option(
        "small", "full: the published network, for a GPU. small: one of its kind that a CPU trains in minutes."
    )
    places: Literal["maxima", "dense"] = option(
        "maxima",
        "Where windows are looked at. maxima: where 3D fast radial symmetry peaks, 3000 places. dense: every fourth "
        "voxel of the brain in plane, and every one around those above 0.5; for a GPU.",
    )
    slices: Literal["one", "three"] = option(
        "one", "What the three channels show. one: the slice, three times, as published. three: its neighbours as well."
    )
    steps: int = option(400, "Training steps, each of 64 windows.", least=20)
    batch: int = option(64, least=2, in_command=False, in_settings=False)
    learning_rate: float = option(1e-3, above=0, in_command=False, in_settings=False)
    mined: tuple[float, ...] = option((0.3, 0.6), in_command=False, in_settings=False)
