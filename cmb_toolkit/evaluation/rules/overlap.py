"""``overlap``: a microbleed is found when a candidate's box and its 20x20 box share any area.

On the labelled slice, or at most so many slices away from it. Further candidates that do are duplicates, as under
``centre``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...boxes import iou
from ...errors import UsageError
from ...schema import BOX
from .base import Rule, numbers

__all__ = ["Overlap"]


@dataclass(frozen=True)
class Overlap(Rule):
    """Any overlap is a hit.

    Attributes
    ----------
    slices : int
        Greatest distance from the labelled slice [slices], inclusive.

    Raises
    ------
    UsageError
        If it is out of range.
    """

    name = "overlap"
    columns = ("k", *BOX)
    counts_duplicates = True
    slices: int = 0

    def __post_init__(self) -> None:
        if self.slices < 0:
            raise UsageError(f"rule slices {self.slices}: must be 0 (the labelled slice) or more.")

    @property
    def label(self) -> str:
        """The rule in words."""
        further = f" or up to {self.slices} beside it" if self.slices else ""
        return f"overlap rule: boxes overlap on the labelled slice{further}"

    def closeness(self, candidates: pd.DataFrame, truth: pd.DataFrame) -> NDArray[np.float64]:
        """(n, m) IoU where it counts, else 0."""
        shared = iou(numbers(candidates, BOX), numbers(truth, BOX))
        apart = np.abs(numbers(candidates, ["k"]) - numbers(truth, ["k"]).T)
        return np.where((apart <= self.slices) & (shared > 0), shared, 0.0)
