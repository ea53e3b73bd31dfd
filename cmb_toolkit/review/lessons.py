"""What a reviewed scan teaches: which of its candidates are microbleeds, and which are none."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..schema import WORLD
from .words import NEAR_MM

__all__ = ["NOT_SAID", "copies_of_rejected", "lessons"]

NOT_SAID = "not said"
"""In place of a mimic, of a rejected finding of which nobody said what it is."""

_MOST_COPIES = 3


def lessons(agreed: pd.DataFrame, places: NDArray[np.float64], slice_mm: float, *, reviewed: bool) -> pd.DataFrame:
    """Label the candidates of a scan by what readers agree on.

    A candidate within 3 mm of an agreed microbleed is one. Near it in the next slice, near what readers are unsure of,
    or near a finding without a verdict it has no label. One at a rejected finding is none, by its mimic. Any other is
    none if the scan is reviewed, as an unmarked microbleed may hide elsewhere.

    Parameters
    ----------
    agreed : DataFrame
        :data:`cmb_toolkit.schema.AGREED`, of this scan.
    places : (n, 3) array
        Of the candidates, in the world [mm].
    slice_mm : float
        Distance of two slices.
    reviewed : bool

    Returns
    -------
    DataFrame
        A row a candidate: label (1, 0 or n/a), mimic (of a rejected finding, else n/a).
    """
    away = {
        verdict: np.linalg.norm(places[:, None] - rows[[*WORLD]].to_numpy(float)[None], axis=2)
        for verdict, rows in agreed.assign(verdict=agreed["verdict"].fillna("")).groupby("verdict")
    }

    def within(reach: float, *verdicts: str) -> NDArray[np.bool_]:
        near = [(away[word] <= reach).any(axis=1) for word in verdicts if word in away]
        return np.logical_or.reduce(near) if near else np.zeros(len(places), bool)

    wide = NEAR_MM + slice_mm
    label = np.full(len(places), 0.0 if reviewed else np.nan)
    mimic = np.full(len(places), None, object)
    rejected = within(NEAR_MM, "no")
    label[rejected] = 0
    if rejected.any():
        rows = agreed[agreed["verdict"] == "no"]
        said = rows["mimic"].fillna(NOT_SAID).to_numpy(object)
        mimic[rejected] = said[away["no"][rejected].argmin(axis=1)]
    label[within(wide, "yes", "unsure", "")] = np.nan
    label[within(NEAR_MM, "yes")] = 1
    mimic[label != 0] = None
    return pd.DataFrame({"label": pd.array(label).astype("Int64"), "mimic": mimic})


def copies_of_rejected(microbleeds: int, rejected: int) -> int:
    """How often each patch of a rejected finding is learned from: up to three times, while there are no more than three
    of them to a microbleed's."""
    return max(1, min(_MOST_COPIES, 3 * microbleeds // max(rejected, 1)))
