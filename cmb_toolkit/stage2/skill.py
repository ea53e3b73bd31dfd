"""Whether a network of the second stage tells anything apart, by its outputs on patches whose kind is known.

A training can end in a network that gives one output for every patch: its units died, or its rate was too high. The
loss hardly shows it, for the best constant is a fair answer. Two figures do: how far the outputs lie apart, and the
area under the ROC curve. Of outputs that know nothing of the kind, that area is 0.5 give or take a standard error that
depends on nothing but the numbers of patches (Mann and Whitney 1947). An area within :data:`MARGIN` of these is no
skill: it is one that chance gives as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FLAT", "LEAST", "MARGIN", "auc", "enough", "no_skill", "spread", "standard_error"]

LEAST = 10
"""Patches of either kind that there must be for a judgement."""

MARGIN = 2.0
"""Standard errors above 0.5 that an area must have."""

FLAT = 0.01
"""Outputs whose log-odds lie no farther apart than this are one output."""


def auc(labels: NDArray[np.intp], score: NDArray[np.floating[Any]]) -> float:
    """Area under the ROC curve: how often a microbleed scores above another patch, ties half; NaN without both."""
    positive, others = score[labels == 1], np.sort(score[labels != 1])
    if not len(positive) or not len(others) or np.isnan(score).any():
        return float("nan")
    below = np.searchsorted(others, positive, "left") + np.searchsorted(others, positive, "right")
    return float(below.sum() / (2 * len(positive) * len(others)))


def spread(probability: NDArray[np.floating[Any]]) -> float:
    """Greatest less smallest log-odds of probabilities; 0 of none.

    The scale on which a confident network's many outputs near 0 are as far apart as any.
    """
    if not len(probability):
        return 0.0
    inside = np.clip(np.asarray(probability, float)[[np.argmin(probability), np.argmax(probability)]], 1e-7, 1 - 1e-7)
    low, high = np.log(inside / (1 - inside))
    return float(high - low)


def enough(labels: NDArray[np.intp]) -> bool:
    """Whether there are :data:`LEAST` patches of either kind."""
    positives = int(np.count_nonzero(labels == 1))
    return min(positives, len(labels) - positives) >= LEAST


def standard_error(labels: NDArray[np.intp]) -> float:
    """That of the area under the ROC curve where outputs know nothing of these labels; both kinds must be there."""
    positives = int(np.count_nonzero(labels == 1))
    others = len(labels) - positives
    return float(np.sqrt((len(labels) + 1) / (12 * positives * others)))


def no_skill(labels: NDArray[np.intp], area: float, apart: float) -> str:
    """Why outputs tell nothing apart, in words that follow "the network"; empty where they do, or where there are too
    few patches to say (:func:`enough`).

    Parameters
    ----------
    labels : (n,) integer array
        1 microbleed, 0 not.
    area : float
        :func:`auc` of the outputs.
    apart : float
        :func:`spread` of the outputs.
    """
    if not enough(labels):
        return ""
    if apart <= FLAT:
        return f"gives one output for all {len(labels)} validation patches"
    margin = MARGIN * standard_error(labels)
    if area > 0.5 + margin:
        return ""
    return (
        f"tells the {len(labels)} validation patches apart no better than chance: the area under the ROC curve is "
        f"{area:.2f}, and chance gives 0.50 +- {margin:.2f}"
    )
