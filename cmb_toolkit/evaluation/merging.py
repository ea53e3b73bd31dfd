"""Which boxes are views of one thing: what counts as one finding, one false positive.

A detector that looks at single slices marks a lesion on each slice that shows it. The paper counts boxes (``per-box``).
A reader counts lesions (``per-lesion``): boxes of neighbouring slices that lie close together count as one. This is a
way of counting; it changes nothing of what stage 2 was given, unlike ``stage1-detect --merge``, which keeps only the
strongest of such candidates.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ..errors import UsageError
from .matching import rows_by_subject

__all__ = ["merge_boxes"]


def merge_boxes(candidates: pd.DataFrame, distance_mm: float) -> pd.DataFrame:
    """Put boxes together that belong to one lesion.

    Two boxes of a subject are linked when they lie on the same slice or on neighbouring ones and their centres are no
    further apart than `distance_mm` in 3-D; a lesion is everything that hangs together by such links. The result does
    not depend on the order of the rows.

    Parameters
    ----------
    candidates : DataFrame
        participant_id, k, x_mm, y_mm, z_mm; of ``confidence``, ``probability`` and ``kept`` what is there.
    distance_mm : float
        [mm]

    Returns
    -------
    DataFrame
        The same rows with ``lesion`` (0..n-1, by first row). What decides whether a lesion is kept is that of its
        strongest box, for all of its rows alike: the greatest confidence and probability, kept if any box was kept.
        So a threshold keeps lesions whole.

    Raises
    ------
    UsageError
        If the distance is not above 0 and finite.
    """
    if not 0 < distance_mm < float("inf"):
        raise UsageError(f"linking distance {distance_mm} mm: must be above 0 and finite, for example 3.")
    lesion = np.zeros(len(candidates), int)
    n = 0
    for rows in rows_by_subject(candidates).values():
        part = candidates.iloc[rows]
        lesion[rows] = n + _components(
            part[["x_mm", "y_mm", "z_mm"]].to_numpy(float), part["k"].to_numpy(), distance_mm
        )
        n = int(lesion[rows].max()) + 1
    lesion = pd.factorize(lesion)[0]
    merged = candidates.assign(lesion=lesion)
    for name in ("confidence", "probability", "kept"):
        if name in merged:
            merged[name] = merged.groupby("lesion")[name].transform("max")
    return merged


def _components(points: NDArray[np.float64], k: NDArray[np.int_], distance_mm: float) -> NDArray[np.intp]:
    """Number of the connected component of every point."""
    # a little wider, so that a distance equal to the limit is not lost in the tree's rounding
    pairs = cKDTree(points).query_pairs(distance_mm * (1 + 1e-9), output_type="ndarray")
    near = np.sqrt(((points[pairs[:, 0]] - points[pairs[:, 1]]) ** 2).sum(axis=1)) <= distance_mm
    a, b = pairs[near & (np.abs(k[pairs[:, 0]] - k[pairs[:, 1]]) <= 1)].T
    graph = coo_array((np.ones(len(a)), (a, b)), shape=(len(points), len(points)))
    return np.asarray(connected_components(graph, directed=False)[1], np.intp)
