"""Candidates and microbleeds paired one to one, as most rules have it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["one_to_one", "steps_one_to_one"]


def one_to_one(near: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """One-to-one pairs (rows, columns): as many as possible, then the greatest total closeness."""
    from scipy.optimize import linear_sum_assignment  # a quarter of what most commands would take to start

    # a pair is worth more than the closeness of all pairs together, so that the number of pairs comes first
    worth = np.where(near > 0, near + min(near.shape) + 1, 0.0)
    a, b = linear_sum_assignment(worth, maximize=True)
    real = near[a, b] > 0
    return a[real], b[real]


def steps_one_to_one(near: NDArray[np.float64]) -> NDArray[np.int_]:
    """What each row adds to hits, false positives and duplicates, in their order.

    A row is a hit when it makes one more pair possible. The number of pairs so reached is the greatest there is at
    every threshold, because the sets of candidates that can be paired at once form a matroid.
    """
    steps = np.zeros((len(near), 3), int)
    steps[:, 1] = 1
    partner = np.full(near.shape[1], -1)
    for row in np.flatnonzero((near > 0).any(axis=1)).tolist():
        hit = _augment(near > 0, partner, row, np.zeros(len(partner), bool))
        steps[row] = (1, 0, 0) if hit else (0, 0, 1)
    return steps


def _augment(near: NDArray[np.bool_], partner: NDArray[np.intp], row: int, seen: NDArray[np.bool_]) -> bool:
    """Pair `row`, moving earlier rows to other partners where that makes room (Kuhn's augmenting path)."""
    for column in np.flatnonzero(near[row] & ~seen):
        seen[column] = True
        if partner[column] < 0 or _augment(near, partner, int(partner[column]), seen):
            partner[column] = row
            return True
    return False
