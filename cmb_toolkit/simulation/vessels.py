"""Blood vessels as poly-lines with radii, and the share of every voxel of a fine grid that they fill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .grid import Grid
from .signal import Array

__all__ = ["Landmark", "Vessel", "through_landmarks", "vessel_fraction"]

Landmark = tuple[float, float, float]
"""A point of the anatomy's frame [mm]."""


@dataclass(frozen=True)
class Vessel:
    """A vessel as a poly-line.

    Attributes
    ----------
    points : array (n, 3)
        [mm], scanner axes.
    radii : array (n,)
        [mm]
    kind : str
        A vein: sulcal, pial, medullary, deep, sinus or cerebellar. An artery: its name.
    """

    points: Array
    radii: Array
    kind: str


def through_landmarks(landmarks: Sequence[Landmark], n: int, smoothing: float) -> Array:
    """A smooth line of `n` points through landmarks, rounded over `smoothing` points; (n, 3) [mm]."""
    knots = np.asarray(landmarks, float)
    travelled = np.r_[0, np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))]
    at = np.linspace(0, travelled[-1], n)
    line = np.stack([np.interp(at, travelled, knots[:, a]) for a in range(3)], 1)
    smooth: Array = ndimage.gaussian_filter1d(line, smoothing, axis=0, mode="nearest")
    return smooth


def vessel_fraction(vessels: Sequence[Vessel], grid: Grid) -> Array:
    """Volume fraction of blood in every voxel of a fine, nearly isotropic grid.

    A vessel thinner than a voxel is drawn voxel-wide with its fraction scaled by the ratio of cross-sections.
    """
    volume = np.zeros(grid.shape, np.float32)
    spacing = np.asarray(grid.spacing)
    mean_spacing = float(spacing.mean())
    points, radii = _sampled(vessels, 0.6 * mean_spacing)
    places = grid.index(points)
    reach = radii[:, None] / spacing + 2
    inside = ((places > -reach) & (places < np.asarray(grid.shape) + reach)).all(1)
    places, radii = places[inside], radii[inside]
    for low, high in ((0, 0.6), (0.6, 1.4), (1.4, 2.6), (2.6, 9)):
        chosen = (radii >= low) & (radii < high)
        if chosen.any():
            _stamp(volume, places[chosen], radii[chosen], spacing)
    return volume


def _sampled(vessels: Sequence[Vessel], step_mm: float) -> tuple[Array, Array]:
    points, radii = [np.zeros((0, 3))], [np.zeros(0)]
    for vessel in vessels:
        travelled = np.r_[0, np.cumsum(np.linalg.norm(np.diff(vessel.points, axis=0), axis=1))]
        at = np.arange(0, travelled[-1], step_mm)
        points.append(np.stack([np.interp(at, travelled, vessel.points[:, a]) for a in range(3)], 1))
        radii.append(np.interp(at, travelled, vessel.radii))
    return np.concatenate(points), np.concatenate(radii)


def _stamp(volume: Array, places: Array, radii: Array, spacing: Array) -> None:
    """Raise `volume` to the fraction of balls of the given radii at fractional places."""
    mean_spacing = np.float32(spacing.mean())
    reach = np.ceil(radii.max() / spacing + 0.6).astype(int)
    offsets = [np.arange(-r, r + 1) for r in reach]
    chunk = max(1, 2_000_000 // int(np.prod(2 * reach + 1)))
    flat = volume.reshape(-1)
    for start in range(0, len(places), chunk):
        place, radius = places[start : start + chunk], radii[start : start + chunk]
        # A disc with an edge one voxel wide is larger than a sharp one by h^2 / 12 in its squared radius.
        edge_excess = mean_spacing**2 / 12
        drawn = np.sqrt(np.maximum(radius**2 - edge_excess, (0.55 * mean_spacing) ** 2)).astype(np.float32)
        share = np.minimum(1, radius**2 / (drawn**2 + edge_excess)).astype(np.float32)
        centre = np.round(place).astype(np.int64)
        square = np.zeros((len(place), 1, 1, 1), np.float32)
        index = np.zeros((len(place), 1, 1, 1), np.int64)
        inside = np.ones((len(place), 1, 1, 1), bool)
        for a, stride in enumerate((volume.shape[1] * volume.shape[2], volume.shape[2], 1)):
            voxel = centre[:, a, None] + offsets[a]
            axis = [slice(None), None, None, None]
            axis[a + 1] = slice(None)
            square = square + (((voxel - place[:, a, None]) * spacing[a]) ** 2).astype(np.float32)[tuple(axis)]
            index = index + (voxel * stride)[tuple(axis)]
            inside = inside & ((voxel >= 0) & (voxel < volume.shape[a]))[tuple(axis)]
        column = (slice(None), None, None, None)
        near = np.flatnonzero((square < ((drawn + mean_spacing / 2) ** 2)[column]) & inside)
        owner = near // (square.size // len(place))
        edge = np.clip((drawn[owner] - np.sqrt(square.reshape(-1)[near])) / mean_spacing + np.float32(0.5), 0, 1)
        np.maximum.at(flat, index.reshape(-1)[near], edge * share[owner])
