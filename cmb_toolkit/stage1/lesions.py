"""Which boxes are views of one lesion: those that lie on top of each other on slices next to each other.

A detector that looks at single slices marks a microbleed on each slice that shows it. What belongs together is told by
the size that a microbleed can have, so that a chain cannot run from one lesion into the next.
"""

from __future__ import annotations

from math import floor

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

__all__ = ["ABOVE_MM", "LARGEST_MM", "lesion_numbers", "reach"]

LARGEST_MM = 10.0
"""Diameter of the largest microbleed [mm], by definition; as wide as a label's square in the paper's HR scans."""

ABOVE_MM = 3.0
"""How far aside boxes of one lesion may lie on slices far apart [mm]: as far as a hit may, by the centre rule."""


def reach(thickness_mm: float) -> int:
    """How many slices to either side may show the largest microbleed whose middle lies on one; 1 or more.

    Parameters
    ----------
    thickness_mm : float
        Distance of neighbouring slices [mm].

    Examples
    --------
    >>> [reach(thickness) for thickness in (1.0, 2.0, 3.0, 5.0, 8.0)]
    [5, 3, 2, 1, 1]
    """
    return max(1, floor(LARGEST_MM / 2 / thickness_mm + 0.5))


def lesion_numbers(
    places: NDArray[np.floating], k: NDArray[np.integer], confidence: NDArray[np.floating], thickness_mm: float
) -> NDArray[np.intp]:
    """Put the boxes of one subject together that belong to one lesion.

    The strongest box comes first and takes the boxes around it: those whose centres lie in an ellipsoid about its own,
    half of :data:`LARGEST_MM` in the plane and :func:`reach` slices and a half across; then the strongest of those that
    are left, and so on. It also takes those that lie above and below it, within :data:`ABOVE_MM` in the plane and
    :data:`LARGEST_MM` across: of a large microbleed a detector may mark the two ends, and of its middle less or
    nothing, where it is larger than any that it has learned. So no lesion has boxes further than that from its
    strongest one, whatever lies beside it, and which boxes are taken does not depend on weaker ones: a threshold leaves
    the same lesions before and after.

    Parameters
    ----------
    places : (n, 2) array
        Centres in the plane [mm].
    k : (n,) integer array
        Slices.
    confidence : (n,) array
        Of equal ones the first comes first: rows in an order of their own make the result one of the boxes alone.
    thickness_mm : float
        Distance of neighbouring slices [mm].

    Returns
    -------
    (n,) integer array
        0 for the lesion with the strongest box, and so on down.
    """
    number = np.full(len(places), -1, np.intp)
    if not len(places):
        return number
    near = cKDTree(places).query_ball_point(places, LARGEST_MM / 2)
    furthest, found = reach(thickness_mm), 0
    for strongest in np.argsort(-confidence, kind="stable"):
        if number[strongest] < 0:
            free = np.array(near[strongest], np.intp)
            free = free[number[free] < 0]
            slices = k[free] - k[strongest]
            aside_mm = np.linalg.norm(places[free] - places[strongest], axis=1)
            around = (aside_mm / (LARGEST_MM / 2)) ** 2 + (slices / (furthest + 0.5)) ** 2 <= 1
            above = (aside_mm <= ABOVE_MM) & (np.abs(slices) * thickness_mm <= LARGEST_MM)
            number[free[around | above]] = found
            found += 1
    return number
