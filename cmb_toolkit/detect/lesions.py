"""Candidates of one scan as a table for people, and as voxels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from nibabel.affines import apply_affine
from numpy.typing import NDArray

from ..imaging.dipole import DIAMAGNETIC, dipole_likeness
from ..imaging.extent import Extent, extent
from ..imaging.regrid import nearest
from ..imaging.rim import without_rim
from ..schema import LESIONS, VOXEL, WORLD
from .volume import OnGrid

__all__ = ["LARGEST_MM", "described", "extents", "labels_on", "probabilities_on"]

LARGEST_MM = 10.0
"""Of a microbleed [mm], by definition."""

_EDGE_MM = 2.0
_LEAST_MM = 2.0
"""Radius [mm] of what stands for a candidate where nothing dark is at its place."""

_MOST_MM = LARGEST_MM / 2


def extents(scan: OnGrid, table: pd.DataFrame) -> list[Extent]:
    """The dark region of each candidate.

    Parameters
    ----------
    scan : OnGrid
    table : DataFrame
        From :func:`cmb_toolkit.detect.look.candidates_of`.
    """
    volumes, spacing = scan.cleaned.volumes, scan.spacing
    return [extent(volumes["swi"], scan.cleaned.mask, place, spacing) for place in table[[*VOXEL]].to_numpy(float)]


def described(
    scan: OnGrid,
    table: pd.DataFrame,
    regions: Sequence[Extent],
    threshold: float,
    file_affine: NDArray[np.float64],
    slice_axis: int,
) -> pd.DataFrame:
    """Say what is to be said of each candidate.

    Parameters
    ----------
    scan : OnGrid
    table, regions
        Candidates, the most likely first, and their dark regions.
    threshold : float
        Least score of a finding.
    file_affine : (4, 4) array
        From the voxels of the scan's own file, in its own order of axes, to world coordinates [mm].
    slice_axis : int
        Which of its axes counts slices.

    Returns
    -------
    DataFrame
        :data:`cmb_toolkit.schema.LESIONS`.
    """
    world = table[[*WORLD]].to_numpy(float).reshape(-1, 3).round(2)
    voxels = apply_affine(np.linalg.inv(file_affine), world)
    core = without_rim(scan.cleaned.mask, _EDGE_MM, scan.spacing)
    holding = np.clip(np.rint(table[[*VOXEL]].to_numpy(float)).astype(int), 0, np.array(core.shape) - 1)
    dipoles = _dipoles(scan, regions)
    flags = []
    for region, dipole, (i, j, k) in zip(regions, dipoles, holding, strict=True):
        words = []
        if dipole <= DIAMAGNETIC:
            words.append("diamagnetic, as calcium is")
        if not core[i, j, k]:
            words.append("at the edge of the brain")
        if region.diameter_mm > LARGEST_MM:
            words.append(f"larger than {LARGEST_MM:g} mm")
        if region.long:
            words.append("long, like a vessel")
        if not len(region.voxels):
            words.append("not dark on SWI")
        flags.append("; ".join(words))
    done = table.assign(
        id=range(1, len(table) + 1),
        **{name: np.rint(voxels[:, axis]).astype(int) for axis, name in enumerate(VOXEL)},
        slice=np.rint(voxels[:, slice_axis]).astype(int) + 1,
        diameter_mm=[round(region.diameter_mm, 1) for region in regions],
        volume_mm3=[round(region.volume_mm3, 1) for region in regions],
        dipole=dipoles,
        kept=table["score"] >= threshold,
        flags=flags,
    )
    done[[*WORLD]] = world
    scores = ("confidence", "network_probability", "score", "probability")
    return done.assign(**{name: [float(f"{value:.4g}") for value in done[name]] for name in scores})[LESIONS.names]


def _dipoles(scan: OnGrid, regions: Sequence[Extent]) -> list[float]:
    """How like a paramagnetic source each is; NaN of all where the sign of the phase is not sure."""
    if not scan.cleaned.sign_is_sure:
        return [float("nan")] * len(regions)
    phase, mask = scan.cleaned.volumes["phase"], scan.cleaned.mask
    main_field = np.array([0.0, 0.0, 1.0]) @ (scan.affine[:3, :3] / np.asarray(scan.spacing))
    return [round(dipole_likeness(phase, mask, each.centre, scan.spacing, main_field), 2) for each in regions]


def labels_on(
    scan: OnGrid,
    world: NDArray[np.float64],
    regions: Sequence[Extent],
    shape: Sequence[int],
    affine: NDArray[np.float64],
) -> NDArray[np.uint16]:
    """Number the voxels of regions on another grid: 1 for the first; of two that overlap the first has the voxel.

    A region counts within 5 mm of its place, a place without one (or with a long one) as a ball of 2 mm; the voxel that
    holds a place is always its own, or an earlier place's.

    Parameters
    ----------
    scan : OnGrid
        On whose voxels the regions are.
    world : (n, 3) array
        Places [mm].
    regions : sequence of Extent
    shape, affine
        Of the grid.
    """
    labels = np.zeros(scan.cleaned.mask.shape, np.uint16)
    side, inverse = np.asarray(scan.spacing), np.linalg.inv(scan.affine)
    for number, (place, region) in reversed(list(enumerate(zip(world, regions, strict=True), 1))):
        centre = apply_affine(inverse, place)
        voxels = region.voxels
        if region.long or not len(voxels):
            voxels = _ball(centre, side, labels.shape)
        near = np.linalg.norm((voxels - centre) * side, axis=1) <= _MOST_MM
        labels[tuple(voxels[near].T)] = number
    carried = nearest(labels, scan.affine, shape, affine)
    holding = np.rint(apply_affine(np.linalg.inv(affine), world)).astype(int)
    for number, voxel in reversed(list(enumerate(holding, 1))):
        if ((voxel >= 0) & (voxel < shape)).all():
            carried[tuple(voxel)] = number
    return carried


def probabilities_on(labels: NDArray[np.uint16], probability: NDArray[np.float64]) -> NDArray[np.float32]:
    """A map of probabilities: that of the candidate that has each voxel; 0 where there is none."""
    return np.concatenate([[0.0], probability]).astype(np.float32)[labels]


def _ball(centre: NDArray[np.float64], side: NDArray[np.float64], shape: Sequence[int]) -> NDArray[np.intp]:
    low = np.maximum(np.ceil(centre - _LEAST_MM / side), 0).astype(int)
    high = np.minimum(np.floor(centre + _LEAST_MM / side) + 1, shape).astype(int)
    if (high <= low).any():
        return np.zeros((0, 3), np.intp)
    axes = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
    offsets: NDArray[np.intp] = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    near: NDArray[np.intp] = offsets[np.linalg.norm((offsets - centre) * side, axis=1) <= _LEAST_MM]
    return near
