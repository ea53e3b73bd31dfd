"""What can be chosen of the heatmap network and its training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..recipe import Recipe, option

__all__ = ["HeatmapTraining"]


@dataclass(frozen=True)
class HeatmapTraining(Recipe):
    """The network and how it learns.

    Attributes
    ----------
    batch : int
        Blocks of a step.
    learning_rate : float
        Adam's greatest; it rises over `warm_up` steps, and falls along a cosine to a fiftieth at the end.
    mined : tuple of float
        Shares of the training after which training subjects are looked at for what is wrongly taken for microbleeds.
    """

    network: Literal["small", "large"] = option(
        "small", "small (72,817 parameters; minutes on a CPU) or large (721,417; for a GPU)."
    )
    steps: int = option(1500, "Training steps, each of 8 blocks of 32 mm.", least=20)
    seed: int = option(0, "Decides first weights, and what is shown in which order.", in_settings=False)
    batch: int = option(8, least=1, in_command=False, in_settings=False)
    learning_rate: float = option(2e-3, above=0, in_command=False, in_settings=False)
    warm_up: int = option(20, least=0, in_command=False, in_settings=False)
    mined: tuple[float, ...] = option((0.25, 0.55, 0.85), in_command=False, in_settings=False)
