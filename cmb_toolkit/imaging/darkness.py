"""How dark the spots at marks are: a microbleed is darker than the tissue around it on magnitude and SWI."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["darkest_neighbours", "drops", "has_tissue_around", "random_spots", "ranks", "tissue"]

Volume = NDArray[np.floating]
Mask = NDArray[np.bool_]

_CORE_MM = 1.2
_RING_MM = (3.0, 6.0)
_LEAST_RING = 1 / 3
"""Share of the ring that must be tissue: beside air and bone there is nothing to compare with."""

_LEAST_SIGNAL = 0.15  # of the range from the 2nd to the 98th percentile; bone has up to 0.1
_LARGEST_SPOT_MM2 = 150.0  # a microbleed of 10 mm covers half of it
_DEEP_MM = 6.0
_MIDDLE_MM, _MIDDLE_VOXELS = 0.8, 0.8  # at least, of the Gaussian that finds the middle of a spot, flat ones too
_BLOCK = 4096  # spots whose surroundings are gathered at a time


def tissue(volume: Volume, zooms: Sequence[float]) -> Mask:
    """Where there is tissue: not air, not bone, not anything else without signal that is larger than a microbleed.

    Parameters
    ----------
    volume : (i, j, k) array
        Magnitude or SWI.
    zooms : three floats
        Voxel size [mm].

    Returns
    -------
    (i, j, k) bool array
        Dark spots of up to 150 mm2 in a slice are filled.
    """
    sample = volume.reshape(-1)[:: max(1, volume.size // 200_000)]
    low, high = np.percentile(sample, [2, 98])
    least = low + _LEAST_SIGNAL * (high - low)
    found = np.zeros(volume.shape, dtype=bool)
    for k in range(volume.shape[2]):
        plane = cv2.medianBlur(np.ascontiguousarray(volume[:, :, k], np.float32), 3)
        found[:, :, k] = plane > least
        _, labels, facts, _ = cv2.connectedComponentsWithStats((~found[:, :, k]).astype(np.uint8), connectivity=4)
        small = facts[:, cv2.CC_STAT_AREA] * zooms[0] * zooms[1] <= _LARGEST_SPOT_MM2
        small[0] = False
        found[:, :, k] |= small[labels]
    return found


def drops(volume: Volume, within: Mask, voxels: ArrayLike, zooms: Sequence[float]) -> NDArray[np.float64]:
    """How much darker than its surroundings each spot is.

    Compared are, on the mark's own slice, the mean within 1.2 mm (at least the eight neighbours) and the median of the
    tissue from 3 to 6 mm.

    Parameters
    ----------
    volume : (i, j, k) array
        Magnitude or SWI.
    within : (i, j, k) bool array
        From :func:`tissue`.
    voxels : (n, 3) array-like of int
    zooms : three floats
        Voxel size [mm].

    Returns
    -------
    (n,) array
        1 - spot / surroundings, at most 1; NaN outside the volume, in air or bone, and where there is too little
        tissue around.
    """
    points = np.asarray(voxels, dtype=int).reshape(-1, 3)
    offsets, core, ring = _disc(zooms)
    result = np.full(len(points), np.nan)
    inside = np.flatnonzero(((points >= 0) & (points < volume.shape)).all(axis=1))
    for start in range(0, len(inside), _BLOCK):
        some = inside[start : start + _BLOCK]
        values, seen = _around(volume, within, points[some], offsets)
        good = (seen[:, ring].mean(axis=1) >= _LEAST_RING) & within[tuple(points[some].T)]
        if not good.any():
            continue
        values = np.where(seen, values, np.nan)[good]
        spot, around = np.nanmean(values[:, core], axis=1), np.nanmedian(values[:, ring], axis=1)
        result[some[good]] = 1 - spot / np.maximum(around, np.finfo(np.float32).tiny)
    return result


def ranks(
    volume: Volume, within: Mask, voxels: ArrayLike, zooms: Sequence[float], others: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Which share of the brain's spots is as dark as each mark: near 0 on a microbleed, anything on a random spot.

    A share can be compared between scans, noise and all; of a careful reader's marks nearly all are below 0.1, where
    one of ten random spots is. Veins and fluid are dark as well, so that a single answer tells little.

    Parameters
    ----------
    volume, within, voxels, zooms
        As of :func:`drops`.
    others : (m,) array
        Drops of random spots.

    Returns
    -------
    (n,) array
        Above 0; 1 where there is no drop to speak of: outside the volume, in air or bone.
    """
    dark = drops(volume, within, voxels, zooms)
    ordered = np.sort(others[np.isfinite(others)])
    darker = len(ordered) - np.searchsorted(ordered, np.nan_to_num(dark, nan=-np.inf))
    shares = (1 + darker) / (1 + len(ordered))
    return np.where(dark > 0, shares, 1.0)


def has_tissue_around(within: Mask, voxels: ArrayLike, zooms: Sequence[float]) -> Mask:
    """Which of (n, 3) voxels inside the volume lie in tissue and have some around: not in air, bone or at the edge."""
    points = np.asarray(voxels, dtype=int).reshape(-1, 3)
    offsets, _, ring = _disc(zooms)
    _, seen = _around(within, within, points, offsets)
    found: Mask = (seen[:, ring].mean(axis=1) >= _LEAST_RING) & within[tuple(points.T)]
    return found


def random_spots(within: Mask, zooms: Sequence[float], count: int, rng: np.random.Generator) -> NDArray[np.int_]:
    """Random voxels deep in tissue (6 mm in the slice), which in a head is brain; of a crop without such, any tissue.

    Returns
    -------
    (at most count, 3) integer array
    """
    deep = np.zeros(within.shape, dtype=bool)
    for k in range(within.shape[2]):
        plane = np.pad(within[:, :, k], 1).astype(np.uint8)
        distance = cv2.distanceTransform(plane, cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1]
        deep[:, :, k] = distance * min(zooms[:2]) > _DEEP_MM
    flat = np.flatnonzero(deep if deep.any() else within)
    chosen = rng.choice(flat, min(count, flat.size), replace=False)
    return np.stack(np.unravel_index(chosen, within.shape), axis=1).astype(int)


def darkest_neighbours(volume: Volume, voxels: ArrayLike, zooms: Sequence[float]) -> NDArray[np.int_]:
    """Which way from each mark the middle of its dark spot lies, at most a voxel along each axis.

    Parameters
    ----------
    volume : (i, j, k) array
    voxels : (n, 3) array-like of int
        Inside the volume.
    zooms : three floats

    Returns
    -------
    (n, 3) integer array
        -1, 0 or 1 along i, j and k.
    """
    points = np.asarray(voxels, dtype=int).reshape(-1, 3)
    sigma = max(_MIDDLE_MM, _MIDDLE_VOXELS * max(zooms[:2]))
    reach = [int(np.ceil(2.5 * sigma / zoom)) for zoom in zooms]
    around = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"), axis=-1).reshape(-1, 3)
    weights = np.exp(-0.5 * ((around * np.asarray(zooms) / sigma) ** 2).sum(axis=1))
    steps = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    steps = steps[np.argsort(np.abs(steps).sum(axis=1), kind="stable")]  # of equals the nearest
    means = np.empty((len(points), len(steps)))
    for n, step in enumerate(steps):
        places = (points + step)[:, None, :] + around
        there = ((places >= 0) & (places < volume.shape)).all(axis=2)
        values = volume[tuple(np.where(there[..., None], places, 0).transpose(2, 0, 1))]
        means[:, n] = (values * weights * there).sum(axis=1) / np.maximum((weights * there).sum(axis=1), 1e-9)
        means[~((points + step >= 0) & (points + step < volume.shape)).all(axis=1), n] = np.inf
    found: NDArray[np.int_] = steps[means.argmin(axis=1)]
    return found


def _disc(zooms: Sequence[float]) -> tuple[NDArray[np.int_], Mask, Mask]:
    """Offsets in the slice up to the ring's outer edge, and which of them are core and ring."""
    reach = [int(np.ceil(_RING_MM[1] / zoom)) for zoom in zooms[:2]]
    offsets = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"), axis=-1).reshape(-1, 2)
    distance = np.hypot(*(offsets * np.asarray(zooms[:2])).T)
    core = (distance <= _CORE_MM) | (np.abs(offsets).max(axis=1) <= 1)
    ring = (distance >= _RING_MM[0]) & (distance <= _RING_MM[1])
    return offsets, core, ring


def _around(
    volume: NDArray[np.generic], within: Mask, points: NDArray[np.int_], offsets: NDArray[np.int_]
) -> tuple[NDArray[np.float32], Mask]:
    """Values at offsets in the slice around points, (points, offsets), and which of them are in tissue."""
    i, j = (points[:, axis, None] + offsets[None, :, axis] for axis in (0, 1))
    k = np.broadcast_to(points[:, 2, None], i.shape)
    there = (i >= 0) & (i < volume.shape[0]) & (j >= 0) & (j < volume.shape[1])
    there &= (k >= 0) & (k < volume.shape[2])
    at = tuple(np.where(there, axis, 0) for axis in (i, j, k))
    return volume[at].astype(np.float32), there & within[at]
