"""What can be chosen of a training that mines."""

from __future__ import annotations

from dataclasses import dataclass

from ..recipe import Recipe, option

__all__ = ["MinedTraining"]


@dataclass(frozen=True)
class MinedTraining(Recipe):
    """How a network learns from marked scans.

    Attributes
    ----------
    batch : int
        What is shown in a step.
    learning_rate : float
        Adam's greatest; it rises over `warm_up` steps, and falls along a cosine to a fiftieth at the end.
    mined : tuple of float
        Shares of the training after which training subjects are looked at for what is wrongly taken for microbleeds.
    """

    steps: int = option(1500, "Training steps.", least=20)
    seed: int = option(0, "Decides first weights, and what is shown in which order.", in_settings=False)
    batch: int = option(8, least=1, in_command=False, in_settings=False)
    learning_rate: float = option(2e-3, above=0, in_command=False, in_settings=False)
    warm_up: int = option(20, least=0, in_command=False, in_settings=False)
    mined: tuple[float, ...] = option((0.25, 0.55, 0.85), in_command=False, in_settings=False)
