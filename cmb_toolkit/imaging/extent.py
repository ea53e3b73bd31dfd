"""What belongs to a candidate, and how large it looks: the dark region around its place on the SWI.

The rule: within :data:`REACH_MM` of the place, from the darkest voxel within :data:`NEAR_MM` on, the connected voxels
that are darker than 0.45 of the way from that voxel to the tissue around (the median of the ring from 5 to 8 mm in its
slice): from the middle on, regions run into veins. The voxels that touch them count by how dark they are, as shares.
The diameter is that of a circle of this area in the slice of the darkest voxel. A region that reaches the border of the
search and is long is a vessel's and not a microbleed's. `benchmarks/sizes.py` holds this against simulated scans.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

__all__ = ["NEAR_MM", "REACH_MM", "Extent", "extent"]

REACH_MM = 8.0
NEAR_MM = 3.0
_RING_MM = (5.0, 8.0)
_BRIGHTER = 0.45
"""How far up from the darkest voxel to the tissue around the region reaches."""

_LONG = 3.0
"""How many times longer than wide a region is before it is called long."""


@dataclass(frozen=True)
class Extent:
    """A dark region.

    Attributes
    ----------
    voxels : (n, 3) array
        Its voxels, without those beside it that count as shares; none where nothing is darker than around.
    centre : (3,) array
        Middle of the region, weighted by how dark it is; the place itself where there is none.
    diameter_mm, volume_mm3 : float
        NaN where there is no region or it is long.
    long : bool
        Runs on like a vessel.
    """

    voxels: NDArray[np.intp]
    centre: NDArray[np.float64]
    diameter_mm: float
    volume_mm3: float
    long: bool


def extent(swi: NDArray[np.float32], mask: NDArray[np.bool_], place: ArrayLike, spacing: Sequence[float]) -> Extent:
    """The dark region at a place.

    Parameters
    ----------
    swi : (i, j, k) array
    mask : (i, j, k) bool array
        The brain.
    place : three floats
        Voxel, fractional.
    spacing : three floats
        Voxel size [mm].
    """
    centre = np.asarray(place, float)
    side = np.asarray(spacing, float)
    low = np.maximum(np.floor(centre - REACH_MM / side), 0).astype(int)
    high = np.minimum(np.ceil(centre + REACH_MM / side) + 1, swi.shape).astype(int)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    part, brain = swi[box].astype(float), mask[box]
    offsets = np.moveaxis(np.indices(part.shape), 0, -1) + (low - centre)
    away = np.linalg.norm(offsets * side, axis=-1)
    nothing = Extent(np.zeros((0, 3), np.intp), centre, np.nan, np.nan, False)
    near = brain & (away <= NEAR_MM)
    if not near.any():
        return nothing
    darkest = np.unravel_index(int(np.where(near, part, np.inf).argmin()), part.shape)
    plane = np.linalg.norm((offsets * side)[:, :, darkest[2], :2], axis=-1)
    ring = brain[:, :, darkest[2]] & (plane >= _RING_MM[0]) & (plane <= _RING_MM[1])
    around = float(np.median(part[:, :, darkest[2]][ring])) if ring.any() else float(np.median(part[brain]))
    least = float(part[darkest])
    if not least < around:
        return nothing
    dark = brain & (away <= REACH_MM) & (part <= least + _BRIGHTER * (around - least))
    labels, _ = ndimage.label(dark)
    region = labels == labels[darkest]
    weights = np.where(region, around - part, 0.0)
    voxels = np.argwhere(region)
    middle = (voxels * weights[region][:, None]).sum(axis=0) / weights.sum() + low
    beside = brain & ndimage.binary_dilation(region) & ~region
    share = region + beside * np.clip((around - part) / (around - least), 0, 1)
    area = float(share[:, :, darkest[2]].sum() * side[0] * side[1])
    long = _is_long((voxels + low - middle) * side, away[region])
    return Extent(
        voxels + low,
        middle,
        np.nan if long else 2 * float(np.sqrt(area / np.pi)),
        np.nan if long else float(share.sum() * np.prod(side)),
        long,
    )


def _is_long(points_mm: NDArray[np.float64], away_mm: NDArray[np.float64]) -> bool:
    """Whether a region reaches the border of the search and is much longer than wide."""
    if len(points_mm) < 4 or away_mm.max() < REACH_MM - 1:
        return False
    widths = np.sqrt(np.maximum(np.linalg.eigvalsh(np.cov(points_mm.T)), 0))
    return bool(widths[2] > _LONG * max(widths[1], 0.3))
