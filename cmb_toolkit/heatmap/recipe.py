"""What can be chosen of the heatmap network and its training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..lessons.recipe import MinedTraining
from ..recipe import option

__all__ = ["HeatmapTraining"]


@dataclass(frozen=True)
class HeatmapTraining(MinedTraining):
    """The network and how it learns."""

    network: Literal["small", "large"] = option(
        "small", "small (72,817 parameters; minutes on a CPU) or large (721,417; for a GPU)."
    )
    steps: int = option(1500, "Training steps, each of 8 blocks of 32 mm.", least=20)
