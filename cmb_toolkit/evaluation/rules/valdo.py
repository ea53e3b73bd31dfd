"""``valdo``: the rule of the VALDO 2021 challenge, task 2, applied to centres.

A candidate belongs to the microbleed nearest to it, if that is nearer than 5 mm (strictly). Of several candidates of
one microbleed the nearest is a hit (of several equally near ones each), the others are false positives: they do not
fall through to the second nearest microbleed, even if nobody else finds it. A lesion, which the rule knows only by its
centroid, lies at the mean of its boxes' centres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...schema import WORLD
from .base import Rule, distances, numbers

__all__ = ["WITHIN_MM", "Valdo"]

WITHIN_MM = 5.0
"""Distance that a candidate must be nearer than [mm]."""


@dataclass(frozen=True)
class Valdo(Rule):
    """The nearest within 5 mm is a hit."""

    name = "valdo"
    columns = WORLD

    @property
    def label(self) -> str:
        """The rule in words."""
        return f"VALDO rule: nearest microbleed, nearer than {WITHIN_MM:g} mm"

    def closeness(self, candidates: pd.DataFrame, truth: pd.DataFrame) -> NDArray[np.float64]:
        """(n, m), not 0 for the microbleed nearest to a candidate only, of several equally near ones the first by x,
        y, z; distances are told apart to the last bit."""
        points, marks = numbers(candidates, WORLD), numbers(truth, WORLD)
        distance = distances(_lesion_centres(candidates, points), marks)
        order = np.lexsort(marks.T[::-1])
        nearest = order[distance[:, order].argmin(axis=1)] if len(marks) else np.zeros(len(points), int)
        belongs = (nearest[:, None] == np.arange(len(marks))) & (distance < WITHIN_MM)
        # by rank: equal for equal distances only, which a difference from the limit would not be after rounding
        rank = np.unique(distance, return_inverse=True)[1].reshape(distance.shape)
        return np.where(belongs, 1 / (1 + rank), 0.0)

    def pair(self, near: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """For every column the rows that are nearest to it: several where they are equally near."""
        best = near.max(axis=0, initial=0)
        rows, columns = np.nonzero((near == best) & (near > 0))
        return rows, columns

    def steps(self, near: NDArray[np.float64]) -> NDArray[np.int_]:
        """What each row adds, which has one column at most: the nearest row so far is the hit."""
        steps = np.zeros((len(near), 3), int)
        steps[:, 1] = 1
        best, hits = np.zeros(near.shape[1]), np.zeros(near.shape[1], int)
        for row, column in zip(*np.nonzero(near), strict=True):
            if near[row, column] > best[column]:
                steps[row] = (hits[column] == 0, hits[column], 0)
                best[column], hits[column] = near[row, column], 1
            elif near[row, column] == best[column]:
                steps[row] = 0
                hits[column] += 1
        return steps


def _lesion_centres(candidates: pd.DataFrame, points: NDArray[np.float64]) -> NDArray[np.float64]:
    if "lesion" not in candidates:
        return points
    means = pd.DataFrame(points).groupby(candidates["lesion"].to_numpy()).transform("mean")
    return np.asarray(means, float)
