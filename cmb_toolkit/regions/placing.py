"""In which region a place lies, on which side, and how near to the next region."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..schema import PLACED
from .atlas import GROUP_OF, REGIONS, Atlas

__all__ = ["BORDER_MM", "MIDLINE_MM", "nowhere", "placed", "side_of"]

BORDER_MM = 3.0
"""A place that is not so much nearer to its region than to the next lies on their border."""

MIDLINE_MM = 3.0
_FARTHEST_MM = 10.0
"""A place in no region belongs to the nearest, but not beyond this."""


def placed(points: NDArray[np.float64], atlas: Atlas) -> pd.DataFrame:
    """Say where places lie.

    A place that the atlas gives to no region (a sulcus, a ventricle) counts as in the nearest; of two at one distance
    the one with the smaller label has it.

    Parameters
    ----------
    points : (n, 3) array
        On the template [mm], RAS.
    atlas : Atlas

    Returns
    -------
    DataFrame
        :data:`cmb_toolkit.schema.PLACED`; no region farther than 10 mm from all.
    """
    return pd.DataFrame([_place(point, atlas) for point in points.tolist()], columns=PLACED.names)


def nowhere(count: int) -> pd.DataFrame:
    """The same of places of which it is not known."""
    return pd.DataFrame(None, index=range(count), columns=PLACED.names)


def side_of(x_mm: float) -> str:
    """Left, right, or midline within 3 mm of it."""
    return "midline" if abs(x_mm) < MIDLINE_MM else "right" if x_mm > 0 else "left"


def _place(point: Sequence[float], atlas: Atlas) -> dict[str, object]:
    away = atlas.distances(point, _FARTHEST_MM)
    x, y, z = (round(value, 1) for value in point)
    known: dict[str, object] = {"side": side_of(point[0]), "mni_x_mm": x, "mni_y_mm": y, "mni_z_mm": z}
    order = np.argsort(away, kind="stable")  # of equal ones the smallest label first
    mine, other = int(order[0]), int(order[1])
    if not np.isfinite(away[mine]):
        return known
    known |= {"region": REGIONS[mine], "group": GROUP_OF[REGIONS[mine]], "border": False}
    if np.isfinite(away[other]):
        further = float(away[other] - away[mine])
        known |= {"next_region": REGIONS[other], "next_mm": round(further, 1), "border": further < BORDER_MM}
    return known
