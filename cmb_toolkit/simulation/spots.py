"""Dark spots of a noise-free image: every place that could be taken for a microbleed, and what it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .acquisition import acquire
from .anatomy import Head
from .constants import IRON_RICH
from .scene import PlacedLesion, Scene
from .signal import Array

__all__ = ["Spot", "dark_spots", "explain_spots"]

_WIDTH_MM = 6.0
"""What is wider in some direction is a line or an area and no spot."""
_APART_MM = 3.0
_LESION_MM = 2.0
"""A spot this near to a lesion's surface is the lesion's."""
_EDGE_MM = 2.5
_LEAST_VEIN = 0.1


@dataclass(frozen=True)
class Spot:
    """A dark spot.

    Attributes
    ----------
    voxel : 3 ints
        Its darkest voxel, 0-based.
    contrast : float
        How much darker than round it, 0..1.
    kind : str
        What is there: ``vein`` (in cross-section), ``edge`` (within 2.5 mm of the skull's inside), ``sinus artefact``
        (the field of air-filled sinuses changes by more than half a cycle across the voxel), ``nucleus`` (rich in
        iron), ``sulcus``, or ``tissue``.
    """

    voxel: tuple[int, int, int]
    contrast: float
    kind: str = "tissue"


def dark_spots(
    magnitude: Array, where: npt.NDArray[np.bool_], spacing_mm: Sequence[float], *, least_contrast: float = 0.3
) -> list[Spot]:
    """Find places that are darker than what surrounds them on all sides in their slice.

    Each slice is closed along lines of 6 mm in four directions, and the darkest of the four is taken: a spot is filled
    by every one of them, a line survives the one that runs along it. Contrast is what was filled, as a share.

    Parameters
    ----------
    magnitude : array (ni, nj, nk)
        Noise-free.
    where : bool array
        Where to look.
    spacing_mm : 3 floats
    least_contrast : float
        Fainter ones are left out.

    Returns
    -------
    list of Spot
        At least 3 mm apart in the slice and not in neighbouring slices of one another; the strongest first.
    """
    lines = _lines(spacing_mm)
    contrast = np.zeros(magnitude.shape, np.float32)
    for k in np.flatnonzero(where.any((0, 1))):
        plane = np.ascontiguousarray(magnitude[:, :, k], np.float32)
        closed = np.minimum.reduce([cv2.morphologyEx(plane, cv2.MORPH_CLOSE, line) for line in lines])
        contrast[:, :, k] = np.where(where[:, :, k], 1 - plane / np.maximum(closed, 1e-6), 0)
    size = [2 * round(_APART_MM / 2 / spacing_mm[0]) + 1, 2 * round(_APART_MM / 2 / spacing_mm[1]) + 1, 3]
    peaks = (contrast >= least_contrast) & (contrast == ndimage.maximum_filter(contrast, size))
    voxels = np.argwhere(peaks)
    strength = contrast[peaks]
    return [
        Spot((int(v[0]), int(v[1]), int(v[2])), float(c))
        for v, c in sorted(zip(voxels, strength, strict=True), key=lambda pair: -pair[1])
    ]


def _lines(spacing_mm: Sequence[float]) -> list[npt.NDArray[np.uint8]]:
    """Structuring elements along i, along j, and along both diagonals."""
    half = [max(1, round(_WIDTH_MM / 2 / v)) for v in spacing_mm[:2]]
    along_i, along_j = np.ones((2 * half[0] + 1, 1), np.uint8), np.ones((1, 2 * half[1] + 1), np.uint8)
    slant = np.eye(2 * max(1, round(half[0] / np.sqrt(2))) + 1, dtype=np.uint8)
    return [along_i, along_j, slant, np.ascontiguousarray(slant[::-1])]


def explain_spots(
    scene: Scene,
    head: Head,
    image: npt.NDArray[np.complex64],
    inside: npt.NDArray[np.bool_],
    lesions: Sequence[PlacedLesion],
) -> list[Spot]:
    """The dark spots of a scan that are no lesion, each with what is there.

    Parameters
    ----------
    image : complex array
        Noise-free, before k-space.
    inside : bool array
        Where to look.
    lesions : sequence of PlacedLesion
        What is listed already: spots of theirs are left out.
    """
    grid = scene.grid
    rows = scene.box[1]
    seen = np.zeros(image.shape, np.float32)
    seen[:, rows] = np.abs(acquire(image[:, rows], scene.protocol))
    spots = dark_spots(seen, inside, grid.spacing)
    if not spots:
        return []
    points = grid.position([spot.voxel for spot in spots])
    edge = head.grid.lookup(head.intracranial, points)
    veins = scene.vein_share()
    iron = head.grid.lookup(sum((head.fractions[name] for name in IRON_RICH), np.zeros(())), points)
    csf = head.grid.lookup(head.fractions["csf"], points)
    turns = _phase_across(scene, points)
    explained = []
    for n, spot in enumerate(spots):
        if any(_distance(points[n], placed) < _LESION_MM for placed in lesions):
            continue
        i, j, k = spot.voxel
        reach = [max(1, round(0.8 / v)) for v in grid.spacing[:2]]
        near = veins[max(0, i - reach[0]) : i + reach[0] + 1, max(0, j - reach[1]) : j + reach[1] + 1, k]
        if near.max() >= _LEAST_VEIN:
            kind = "vein"
        elif edge[n] > -_EDGE_MM:
            kind = "edge"
        elif turns[n] > np.pi:
            kind = "sinus artefact"
        elif iron[n] > 0.5:
            kind = "nucleus"
        else:
            kind = "sulcus" if csf[n] > 0.3 else "tissue"
        explained.append(replace(spot, kind=kind))
    return explained


def _phase_across(scene: Scene, points: Array) -> Array:
    """Change of the background phase across a voxel, along the axis where it is greatest [rad]."""
    change = np.zeros(len(points))
    for a, size in enumerate(scene.grid.spacing):
        step = np.zeros(3)
        step[a] = size / 2
        ends = [scene.coarse.lookup(scene.background_phase, points + sign * step) for sign in (1, -1)]
        change = np.maximum(change, np.abs(ends[0] - ends[1]))
    return change


def _distance(point: Array, placed: PlacedLesion) -> float:
    """From a point to the surface of a lesion's nearest ball [mm]."""
    return min(float(np.linalg.norm(point - s.centre)) - s.radius for s in placed.lesion.spheres)
