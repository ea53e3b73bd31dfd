"""``centre``: a microbleed is found when a candidate's centre lies near its point, in 3-D millimetres.

Further candidates as near to a microbleed are *duplicates*: one lesion is usually seen on two or three slices, which
is neither a second hit nor a false alarm. They are counted and shown apart. Every other candidate is a false positive.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...errors import UsageError
from ...schema import WORLD
from .base import Rule, distances, numbers

__all__ = ["Centre"]


@dataclass(frozen=True)
class Centre(Rule):
    """What lies near is a hit.

    Attributes
    ----------
    distance_mm : float
        Greatest distance that still counts [mm], inclusive.

    Raises
    ------
    UsageError
        If it is out of range.
    """

    name = "centre"
    columns = WORLD
    counts_duplicates = True
    distance_mm: float = 3.0

    def __post_init__(self) -> None:
        if not 0 < self.distance_mm < float("inf"):
            raise UsageError(f"rule distance {self.distance_mm} mm: must be above 0 and finite, for example 3.")

    @property
    def label(self) -> str:
        """The rule in words."""
        return f"centre rule: within {self.distance_mm:g} mm"

    @property
    def reach_mm(self) -> float:
        """The distance."""
        return self.distance_mm

    def widened(self, further_mm: float) -> Centre:
        """The same with a greater distance."""
        return replace(self, distance_mm=self.distance_mm + further_mm)

    def closeness(self, candidates: pd.DataFrame, truth: pd.DataFrame) -> NDArray[np.float64]:
        """(n, m) 1 - distance / (2 distance_mm) where it counts, else 0."""
        distance = distances(numbers(candidates, WORLD), numbers(truth, WORLD))
        return np.where(distance <= self.distance_mm, 1 - distance / (2 * self.distance_mm), 0.0)
