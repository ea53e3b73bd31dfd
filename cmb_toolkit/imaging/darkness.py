"""Whether marks lie on dark spots: a microbleed is darker than its surroundings on magnitude and SWI."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["on_dark_spots"]

_CORE_MM = 1.2
_RING_MM = (3.0, 6.0)
_LEAST_DROP = 0.2


def on_dark_spots(volume: NDArray[np.floating], voxels: ArrayLike, zooms: Sequence[float]) -> NDArray[np.bool_]:
    """Say of each mark whether the darkest voxel beside it is darker than the surroundings by a fifth.

    Compared are, on the mark's own slice, the minimum within 1.2 mm (at least the eight neighbours) and the median
    from 3 to 6 mm. Of the marks of a careful reader most are on dark spots, of points anywhere in the brain few; a
    wrong order or direction of axes shows at once. Noise, vessels and fluid make single answers unreliable.

    Parameters
    ----------
    volume : (i, j, k) array
        Magnitude or SWI.
    voxels : (n, 3) array-like of int
        Inside the volume.
    zooms : three floats
        Voxel size [mm].

    Returns
    -------
    (n,) bool array
    """
    points = np.asarray(voxels, dtype=int).reshape(-1, 3)
    reach = [int(np.ceil(_RING_MM[1] / zoom)) for zoom in zooms[:2]]
    offsets = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"), axis=-1).reshape(-1, 2)
    distance = np.hypot(*(offsets * np.asarray(zooms[:2])).T)
    core = (distance <= _CORE_MM) | (np.abs(offsets).max(axis=1) <= 1)
    ring = (distance >= _RING_MM[0]) & (distance <= _RING_MM[1])
    dark = np.zeros(len(points), dtype=bool)
    for n, (i, j, k) in enumerate(points):
        around = offsets + np.array([i, j])
        within = ((around >= 0) & (around < volume.shape[:2])).all(axis=1)
        values = np.where(within, volume[(*np.where(within[:, None], around, 0).T, k)], np.nan)
        dark[n] = np.nanmin(values[core]) < (1 - _LEAST_DROP) * np.nanmedian(values[ring])
    return dark
