"""What both stages say of a candidate, in one probability.

The detector sees a slice around a box, the classifier a small block of SWI and phase: each knows what the other cannot.
The paper lets stage 2 decide alone (section 2.1.2). Mean log-odds are how two opinions are pooled where neither is
known to be the better one (Genest and Zidek 1986, the logarithmic opinion pool with equal weights).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

__all__ = ["pooled"]

_EDGE = 1e-6
"""How near 0 and 1 an opinion may come: nobody is so sure that the other one counts for nothing."""


def pooled(confidence: NDArray[np.floating[Any]], probability: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The probability with the mean of both log-odds.

    Parameters
    ----------
    confidence, probability : ndarray of float
        Of stage 1 and of stage 2, 0 to 1, candidate by candidate.

    Returns
    -------
    ndarray of float
        0 to 1, between the two; NaN where one is.
    """
    inside = [np.clip(np.asarray(each, float), _EDGE, 1 - _EDGE) for each in (confidence, probability)]
    return np.asarray(expit((logit(inside[0]) + logit(inside[1])) / 2), float)
