"""Which finding each thing that came back is about: by its id, or else by its place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .words import GONE_MM, NEAR_MM, PART_MM

__all__ = ["PART", "matched"]

PART = -2
"""In place of a finding: a second row of one that has been matched."""


def matched(
    ids: NDArray[np.int_],
    places: NDArray[np.float64],
    said: NDArray[np.float64],
    at: NDArray[np.float64],
) -> NDArray[np.intp]:
    """The finding of each row that came back from one reader, of one scan.

    First rows find their finding by id: one without a place does, and of those with one the nearest, unless it lies
    further than :data:`GONE_MM` from the finding. What is left is matched by place, nearest pairs first, up to
    :data:`NEAR_MM`. Each finding has one row at most.

    Parameters
    ----------
    ids : (n,) int array
        Of the findings, each once.
    places : (n, 3) array
        World positions [mm].
    said : (m,) array
        Id that a row gives, or NaN.
    at : (m, 3) array
        Where it says that is, or NaN.

    Returns
    -------
    (m,) int array
        Which finding; -1 for none, :data:`PART` for what lies within :data:`PART_MM` of a finding that has its id.
    """
    away = np.linalg.norm(at[:, None] - places[None], axis=2).reshape(len(at), len(places))
    same = said[:, None] == ids[None]
    # a row without a place has nothing but its id to go by, and that is enough
    by_id = np.where(same & np.isnan(away), 0.0, np.where(same & (away <= GONE_MM), away, np.inf))
    found = np.full(len(at), -1, np.intp)
    for reach in (by_id, np.where(away <= NEAR_MM, away, np.inf)):
        _pair(reach, found)
    taken = np.isin(np.arange(len(places)), found)
    found[(found < 0) & (same & (away <= PART_MM) & taken).any(axis=1)] = PART
    return found


def _pair(away: NDArray[np.float64], found: NDArray[np.intp]) -> None:
    """Fill in the nearest pairs of rows and findings that have none yet."""
    row, finding = np.nonzero(np.isfinite(away))
    taken = set(found[found >= 0].tolist())
    for n in np.argsort(away[row, finding], kind="stable"):
        if found[row[n]] < 0 and int(finding[n]) not in taken:
            found[row[n]] = finding[n]
            taken.add(int(finding[n]))
