"""What a score means: the probability that a candidate with it is a microbleed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

__all__ = ["calibrated", "platt"]

_EDGE = 1e-6


def platt(score: NDArray[np.float64], hit: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and intercept of a logistic curve over the scores' log-odds.

    Its targets are Platt's (1999), a little off 0 and 1, so that a few candidates that are told apart do not become a
    step.

    Parameters
    ----------
    score : (n,) array
        0..1.
    hit : (n,) bool array
        Whether each was a microbleed; both kinds must be among them.

    Returns
    -------
    (float, float)
        The slope is not negative.
    """
    x, positive = _log_odds(score), int(hit.sum())
    target = np.where(hit, (positive + 1) / (positive + 2), 1 / (len(hit) - positive + 2))

    def loss(ab: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = ab[0] * x + ab[1]
        off = expit(z) - target
        return float((np.logaddexp(0, z) - target * z).sum()), np.array([off @ x, off.sum()])

    found = minimize(loss, [1.0, 0.0], jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)])
    return float(found.x[0]), float(found.x[1])


def calibrated(score: NDArray[np.float64], slope: float, intercept: float) -> NDArray[np.float64]:
    """Probabilities of scores, 0..1; NaN where a score is."""
    return np.asarray(expit(slope * _log_odds(score) + intercept), float)


def _log_odds(score: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(logit(np.clip(np.asarray(score, float), _EDGE, 1 - _EDGE)), float)
