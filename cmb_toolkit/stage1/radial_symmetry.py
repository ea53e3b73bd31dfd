"""The 3D fast radial symmetry transform: the usual first stage before detectors were learned.

Every voxel votes for the point that would be the centre of a dark ball if the voxel lay on its surface: one radius
away, against its gradient. Votes agree in the middle of what is round and dark. Defined by Loy and Zelinsky (2003,
IEEE Trans. Pattern Anal. Mach. Intell. 25, 959) in 2D, used in 3D for microbleeds by Kuijf et al. (2012, NeuroImage
59, 2266) and Liu et al. (2019, NeuroImage 198, 271); the paper's rival first stage (Table 9).

Distances are millimetres throughout: voxels need not be cubes. With gradient ``g`` [1/mm] and radius ``r``, voxel ``p``
votes at ``p - r g / |g|``: in the plane for the nearest voxel, between two slices for both in proportion to nearness.
Slices are thicker than the smallest balls: with whole votes those above and below a microbleed would keep theirs, and
it would be found twice, a slice off on either side. Of radius r,

    O_r  sum of votes (orientation projection)
    M_r  sum of votes, each times its voter's |g| (magnitude projection)
    F_r = M_r / k_r  (min(O_r, k_r) / k_r) ** alpha
    S   = mean over r of (G_r * F_r), G_r a Gaussian of standard deviation `spread` r

and k_r is what a full sphere of that radius gives: the votes that meet in one voxel if all gradients point away from
its centre. Loy and Zelinsky measured such constants on pictures; here they follow from the voxels' size.

Planar, each slice is a picture of its own, as in 2D: gradients, votes and smoothing stay in it, and a full circle takes
the place of the full sphere.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, UsageError
from .candidates import strongest
from .recipe import RadialSymmetry

__all__ = ["full_sphere", "local_maxima", "radial_symmetry"]

Float = NDArray[np.float32]
Bool = NDArray[np.bool_]


def radial_symmetry(
    volume: NDArray[np.floating],
    mask: Bool,
    zooms: Sequence[float],
    recipe: RadialSymmetry | None = None,
    *,
    planar: bool = False,
) -> Float:
    """How much each voxel is the middle of something round and dark.

    Parameters
    ----------
    volume : (i, j, k) array
        SWI (or magnitude). Values outside the mask are not looked at.
    mask : (i, j, k) bool array
        The brain.
    zooms : three floats
        Voxel size [mm].
    recipe : RadialSymmetry, optional
    planar : bool
        Each slice by itself.

    Returns
    -------
    (i, j, k) float32 array
        0 or more, 0 outside the mask and in its rim. Scaling the volume or adding a constant changes nothing but
        rounding, because gradients are measured in their median over the brain.

    Raises
    ------
    UsageError
        If a radius is too small for the voxels.
    DataError
        If shapes disagree or the mask is empty.
    """
    recipe = recipe or RadialSymmetry()
    if volume.shape != mask.shape or volume.ndim != 3:
        raise DataError(f"volume {volume.shape} and mask {mask.shape} must be of one three-dimensional shape.")
    if not mask.any():
        raise DataError("the brain mask is empty, so there is nothing to look at.")
    spheres = [full_sphere(radius, zooms, planar=planar) for radius in recipe.radii_mm]
    scores = np.zeros(volume.shape, np.float32)
    brain = _bounding_box(mask)
    inside = np.ascontiguousarray(mask[brain])
    gradient = _gradient(np.ascontiguousarray(volume[brain], np.float32), inside, zooms, recipe.presmooth_mm, planar)
    voters, direction, strength = _voters(gradient, inside, recipe.least_gradient)
    if not len(voters):
        return scores
    reach = [int(np.ceil(max(recipe.radii_mm) / zoom)) + 1 for zoom in zooms]
    shape = tuple(n + 2 * r for n, r in zip(inside.shape, reach, strict=True))
    i, j, k = (index + r for index, r in zip(np.unravel_index(voters, inside.shape), reach, strict=True))
    place, height = ((i * shape[1] + j) * shape[2]).astype(np.int32), k.astype(np.float32)
    total = np.zeros(shape, np.float32)
    for radius, sphere in zip(recipe.radii_mm, spheres, strict=True):
        away_i, away_j, away_k = (unit * np.float32(radius / zoom) for unit, zoom in zip(direction, zooms, strict=True))
        to_slice = height - away_k
        below = np.floor(to_slice)
        in_plane = np.rint(away_i) * np.float32(shape[1]) + np.rint(away_j)
        target = place - in_plane.astype(np.int32) * np.int32(shape[2]) + below.astype(np.int32)
        share = to_slice - below
        votes = _sum(target, share, shape)
        symmetry = _sum(target, share, shape, strength)
        symmetry *= (np.minimum(votes, sphere) / sphere) ** recipe.strictness
        symmetry /= sphere * len(spheres)
        total += _smooth(symmetry, _sigmas(recipe.spread * radius, zooms, planar))
    middle = tuple(slice(r, r + n) for n, r in zip(inside.shape, reach, strict=True))
    scores[brain] = total[middle] * _without_rim(inside, zooms, recipe.margin_mm)
    return scores


def full_sphere(radius_mm: float, zooms: Sequence[float], *, planar: bool = False) -> float:
    """Votes that the centre gets when every gradient points away from it: k_r of the module's text.

    Parameters
    ----------
    radius_mm : float
    zooms : three floats
        Voxel size [mm].
    planar : bool
        A circle in its slice in place of the sphere.

    Raises
    ------
    UsageError
        If the radius is too small for that to be a whole vote.
    """
    reach = [int(np.ceil(radius_mm / zoom)) + 1 for zoom in zooms]
    if planar:
        reach[2] = 0
    voxels = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij"), axis=-1).reshape(-1, 3)
    offset = voxels * np.asarray(zooms, float)
    distance = np.linalg.norm(offset, axis=1)
    out = distance > 0
    shift = offset[out] / distance[out, None] * (radius_mm / np.asarray(zooms, float))
    meets = (voxels[out, :2] == np.rint(shift[:, :2])).all(axis=1)
    count = float(np.maximum(1 - np.abs(voxels[out, 2] - shift[:, 2])[meets], 0).sum())
    if count < 1:
        raise UsageError(
            f"a radius of {radius_mm:g} mm is too small for voxels of {' x '.join(f'{z:g}' for z in zooms)} mm."
        )
    return count


def local_maxima(
    scores: Float, zooms: Sequence[float], *, separation_mm: float, most: int | None = None
) -> tuple[NDArray[np.intp], Float]:
    """The voxels that score higher than their 26 neighbours, no two closer together than `separation_mm`.

    Of two that are too close the stronger one stays.

    Parameters
    ----------
    scores : (i, j, k) float32 array
        0 or more, 0 where nothing can be.
    zooms : three floats
        Voxel size [mm].
    separation_mm : float
        Least distance between two maxima [mm].
    most : int, optional
        Only so many, the strongest.

    Returns
    -------
    voxels : (n, 3) int array
        The strongest first.
    scores : (n,) float32 array
    """
    # planes (j, k) lie together in memory: OpenCV does two axes at once, slicing the third
    around = np.stack([cv2.dilate(plane, np.ones((3, 3), np.uint8)) for plane in scores])
    higher = around.copy()
    np.maximum(higher[1:], around[:-1], out=higher[1:])
    np.maximum(higher[:-1], around[1:], out=higher[:-1])
    voxels = np.argwhere((scores == higher) & (scores > 0))
    values = scores[tuple(voxels.T)]
    kept = strongest(voxels * np.asarray(zooms, float), values, separation_mm)
    order = np.argsort(-values[kept], kind="stable")[:most]
    return voxels[kept][order], values[kept][order]


# --- parts -----------------------------------------------------------------------------------------------------------


def _bounding_box(mask: Bool) -> tuple[slice, ...]:
    """The mask's extent and a voxel more, where the volume has one: the rim must be seen to end."""
    sides = [np.flatnonzero(mask.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    return tuple(slice(max(int(side[0]) - 1, 0), int(side[-1]) + 2) for side in sides)


def _sigmas(sigma_mm: float, zooms: Sequence[float], planar: bool) -> list[float]:
    """Standard deviations in voxels; planar, none across slices."""
    return [0.0 if planar and axis == 2 else sigma_mm / zoom for axis, zoom in enumerate(zooms)]


def _gradient(volume: Float, mask: Bool, zooms: Sequence[float], presmooth_mm: float, planar: bool) -> list[Float]:
    """Derivatives along i, j, k [1/mm] from the brain's voxels alone: central, one-sided at its surface; planar, 0
    along k."""
    weight = mask.astype(np.float32)
    values = np.where(mask, volume, 0).astype(np.float32)
    if presmooth_mm > 0:
        sigmas = _sigmas(presmooth_mm, zooms, planar)
        values = np.divide(_smooth(values, sigmas), np.maximum(_smooth(weight, sigmas), 1e-6), dtype=np.float32)
    derivatives = []
    for axis, zoom in enumerate(zooms):
        if planar and axis == 2:
            derivatives.append(np.zeros_like(values))
            break
        lower, upper = _ends(axis)
        both = weight[lower] * weight[upper]
        step = (values[upper] - values[lower]) * both
        change, steps = np.zeros_like(values), np.zeros_like(values)
        change[lower], steps[lower] = step, both
        change[upper] += step
        steps[upper] += both
        derivatives.append(np.divide(change, np.maximum(steps, 1) * np.float32(zoom), dtype=np.float32))
    return derivatives


def _ends(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """All but the last and all but the first along an axis."""
    whole = [slice(None)] * 3
    lower, upper = whole.copy(), whole.copy()
    lower[axis], upper[axis] = slice(None, -1), slice(1, None)
    return tuple(lower), tuple(upper)


def _voters(gradient: Sequence[Float], mask: Bool, least: float) -> tuple[NDArray[np.intp], tuple[Float, ...], Float]:
    """Flat indices of the voxels that vote, their unit gradients, and their gradients in medians over the brain."""
    i, j, k = gradient
    size = np.sqrt(i * i + j * j + k * k)
    known = size[mask]
    known = known[known > 0]
    if not known.size:
        return np.zeros(0, np.intp), (), np.zeros(0, np.float32)
    unit = np.median(known)
    voters = np.flatnonzero((size >= max(least, 1e-6) * unit) & mask)
    strength = size.ravel()[voters]
    direction = tuple(np.divide(part.ravel()[voters], strength, dtype=np.float32) for part in gradient)
    return voters, direction, np.divide(strength, unit, dtype=np.float32)


def _sum(target: NDArray[np.int32], share: Float, shape: tuple[int, ...], strength: Float | None = None) -> Float:
    """Votes (times `strength`) in each voxel: `share` of each goes to the slice above its target."""
    size = int(np.prod(shape))
    above = share if strength is None else share * strength
    below = 1 - share if strength is None else strength - above
    votes = np.bincount(target, weights=below, minlength=size)
    votes[1:] += np.bincount(target, weights=above, minlength=size)[:-1]
    return votes.astype(np.float32).reshape(shape)


def _smooth(volume: Float, sigmas: Sequence[float]) -> Float:
    """Gaussian smoothing; nothing comes from beyond the array's edges. `sigmas` in voxels."""
    along_i, along_j, along_k = (_kernel(sigma) for sigma in sigmas)
    smoothed = np.empty_like(volume)
    for n, plane in enumerate(volume):
        cv2.sepFilter2D(plane, -1, along_k, along_j, dst=smoothed[n], borderType=cv2.BORDER_CONSTANT)
    flat = smoothed.reshape(len(volume), -1)
    one = np.ones(1, np.float32)
    return np.asarray(cv2.sepFilter2D(flat, -1, one, along_i, borderType=cv2.BORDER_CONSTANT), np.float32).reshape(
        volume.shape
    )


def _kernel(sigma: float) -> Float:
    if sigma == 0:
        return np.ones(1, np.float32)
    reach = max(1, int(np.ceil(3 * sigma)))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.asarray(kernel / kernel.sum(), np.float32)


def _without_rim(mask: Bool, zooms: Sequence[float], margin_mm: float) -> Bool:
    """The mask without what lies within `margin_mm` of its outside; the volume's own edge is no outside."""
    if margin_mm == 0:
        return mask
    kept = mask.copy()
    across = int(margin_mm / zooms[0])
    for shift in range(-across, across + 1):
        rest = np.sqrt(max(margin_mm**2 - (shift * zooms[0]) ** 2, 0))
        reach = [int(rest / zoom) for zoom in zooms[1:]]
        j, k = np.ogrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1]
        disc = ((j * zooms[1]) ** 2 + (k * zooms[2]) ** 2 <= rest**2 + 1e-9).astype(np.uint8)
        for n in range(max(0, shift), min(len(mask), len(mask) + shift)):
            kept[n] &= cv2.erode(mask[n - shift].astype(np.uint8), disc) > 0
    return kept
