"""``paper``: a microbleed is found when a box on its labelled slice has IoU > 0.8 (strictly) with its 20x20 box.

Al-masni et al. 2020, section 2.5. Every other box is a false positive, a second box on the same lesion or the same
lesion seen one slice further included: the paper counts boxes.
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

__all__ = ["Paper"]


@dataclass(frozen=True)
class Paper(Rule):
    """The paper's rule.

    Attributes
    ----------
    iou : float
        Overlap that must be exceeded.

    Raises
    ------
    UsageError
        If it is out of range.
    """

    name = "paper"
    columns = ("k", *BOX)
    iou: float = 0.8

    def __post_init__(self) -> None:
        if not 0 <= self.iou < 1:
            raise UsageError(f"rule IoU {self.iou}: must be from 0 to below 1; the paper's is 0.8.")

    @property
    def label(self) -> str:
        """The rule in words."""
        return f"paper rule: IoU > {self.iou:g} on the labelled slice"

    def closeness(self, candidates: pd.DataFrame, truth: pd.DataFrame) -> NDArray[np.float64]:
        """(n, m) IoU where it counts, else 0."""
        shared = iou(numbers(candidates, BOX), numbers(truth, BOX))
        apart = np.abs(numbers(candidates, ["k"]) - numbers(truth, ["k"]).T)
        return np.where((apart <= 0) & (shared > self.iou), shared, 0.0)
