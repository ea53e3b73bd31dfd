"""Sign of the phase: two witnesses who know which way it must point, and what both say together.

* **Veins**: deoxygenated blood is paramagnetic, so most dark vessels have positive phase.
* **Sinuses**: air is paramagnetic beside tissue, and raises the field in the brain that lies above it along the main
  field: the frontal lobe's floor, over nose and sinuses, in the midline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .gaussian import in_plane_mean
from .rim import without_rim

__all__ = ["Sign", "SinusEvidence", "VeinEvidence", "agreed_sign", "sinus_evidence", "vein_evidence"]

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]
Sign = Literal[1, 0, -1]

_SLICES = 24  # about so many slices are enough to see the veins
_FEWEST_VOXELS, _ALIKE = 30, 0.6
_STANDARD_ERRORS = 4.0  # from an even share; many, as neighbours are not independent

_MIDLINE_MM = 8.0  # half the width of the columns that are looked at
_FRONT = (0.72, 0.92)  # where the floor over the nose lies, as a share of the brain's length from back to front
_BELOW_MM = (2.0, 10.0)  # where the air must be, below the floor
_FLOOR_MM, _ABOVE_MM = 10.0, (25.0, 45.0)  # thickness of the floor; what it is compared with, above it
_DARK = 0.3  # of the median magnitude
_AREA_MM2, _RAISED, _RAISED_RAD = 150.0, 0.8, 0.5


@dataclass(frozen=True)
class VeinEvidence:
    """What the veins say; its verdict is the sign that they show, 0 where they do not tell.

    Attributes
    ----------
    voxels : int
        Dark, vessel-like voxels with more than 0.3 rad of high-passed phase.
    positive : int
        How many of them are positive. Most, for paramagnetic-positive phase.
    median : float
        Their median phase [rad]; NaN without voxels.
    """

    voxels: int = 0
    positive: int = 0
    median: float = float("nan")

    @property
    def verdict(self) -> Sign:
        if self.voxels < _FEWEST_VOXELS or abs(2 * self.positive - self.voxels) < _STANDARD_ERRORS * self.voxels**0.5:
            return 0
        return _majority(self.positive, self.voxels, _ALIKE)


@dataclass(frozen=True)
class SinusEvidence:
    """What the brain's floor over nose and sinuses says; its verdict is a sign, or 0 where it does not tell.

    Attributes
    ----------
    columns : int
        Vertical columns of voxels there with air below.
    raised : int
        How many of them have more phase at the floor than higher up. Most, for paramagnetic-positive phase.
    median : float
        Median difference [rad]; NaN without columns.
    area_mm2 : float
    """

    columns: int = 0
    raised: int = 0
    median: float = float("nan")
    area_mm2: float = 0.0

    @property
    def verdict(self) -> Sign:
        if self.area_mm2 < _AREA_MM2 or abs(self.median) < _RAISED_RAD:
            return 0
        return _majority(self.raised, self.columns, _RAISED)


def _majority(positive: int, of: int, share: float) -> Sign:
    return 1 if positive >= share * of else -1 if positive <= (1 - share) * of else 0


def agreed_sign(veins: VeinEvidence, sinuses: SinusEvidence) -> Sign:
    """The sign that both witnesses show, or the only one that sees any; 0 where they contradict, or see nothing."""
    return 0 if veins.verdict == -sinuses.verdict else veins.verdict or sinuses.verdict


def vein_evidence(highpassed: Float, magnitude: Float, mask: Mask, zooms: Sequence[float]) -> VeinEvidence:
    """Ask the veins.

    The darkest half percent of the voxels is looked at: against their in-plane surroundings, away from the rim of the
    mask and from places where the phase is disturbed (many voxels beyond 1 rad nearby, as over the sinuses). On
    simulated scans 70 to 85 % of them are positive. Veins across the slices show the true sign; those within a slice
    too, as soon as the voxel is taller than wide (Xu and Haacke, 2006). Calcifications are diamagnetic, but few.

    Parameters
    ----------
    highpassed : (i, j, k) array
        Phase [rad].
    magnitude : (i, j, k) array
    mask : (i, j, k) bool array
    zooms : three floats
        Voxel size [mm].
    """
    found = ndimage.find_objects(mask.astype(np.uint8))
    if not found:
        return VeinEvidence()
    i, j, k = found[0]
    box = (i, j, slice(k.start, k.stop, max(1, (k.stop - k.start) // _SLICES)))
    phase, signal, inside = highpassed[box], magnitude[box], mask[box]
    weight = inside.astype(np.float32)
    around = in_plane_mean(signal, weight, zooms, 2.0)
    darkness = 1 - signal / np.maximum(around, np.float32(1e-6) * signal.max())
    disturbed = in_plane_mean((np.abs(phase) > 1).astype(np.float32), np.ones_like(weight), zooms, 3.0)
    core = without_rim(inside, 6.0, zooms) & (disturbed < 0.05)
    if core.sum() < 1000:
        return VeinEvidence()
    dark = core & (darkness > max(0.1, float(np.quantile(darkness[core], 0.995))))
    chosen = phase[dark & (np.abs(phase) > 0.3)]
    if not chosen.size:
        return VeinEvidence()
    return VeinEvidence(int(chosen.size), int((chosen > 0).sum()), float(np.median(chosen)))


def sinus_evidence(unwrapped: Float, magnitude: Float, mask: Mask, zooms: Sequence[float]) -> SinusEvidence:
    """Ask the floor of the frontal lobe in the midline, over nose and sinuses, whether its field is raised.

    Its lowest centimetre is compared with what lies 25 to 45 mm above the floor in the same columns, so that a shim
    across the head does not count. Where the field of view ends above the floor, or there is tissue below it, nothing
    is seen.

    Parameters
    ----------
    unwrapped : (i, j, k) array
        Unwrapped phase [rad], not filtered.
    magnitude : (i, j, k) array
        Canonical axes: j to the front, k upwards.
    mask : (i, j, k) bool array
        The brain.
    zooms : three floats
        Voxel size [mm].
    """
    if not mask.any():
        return SinusEvidence()
    bright = magnitude >= _DARK * float(np.median(magnitude[mask]))
    across = mask.sum((1, 2))
    middle = (np.arange(len(across)) * across).sum() / across.sum()
    i = np.flatnonzero(np.abs(np.arange(len(across)) - middle) * zooms[0] <= _MIDLINE_MM)
    along = np.flatnonzero(mask[i].any((0, 2)))
    if not along.size:
        return SinusEvidence()
    front = along[0] + np.array(_FRONT) * (along[-1] + 1 - along[0])
    place = np.s_[i[0] : i[-1] + 1, int(front[0]) : int(front[1]) + 1]
    brain, phase, bright = mask[place], unwrapped[place], bright[place]
    height = (np.arange(mask.shape[2]) - brain.argmax(2)[..., None]) * zooms[2]
    below = (-height >= _BELOW_MM[0]) & (-height <= _BELOW_MM[1])
    airy = brain.any(2) & below.any(2) & ((below & ~bright).sum(2) * 2 >= below.sum(2))
    floor = brain & bright & (height <= _FLOOR_MM)
    above = brain & bright & (height >= _ABOVE_MM[0]) & (height <= _ABOVE_MM[1])
    seen = airy & floor.any(2) & above.any(2)
    more = _mean(phase, floor)[seen] - _mean(phase, above)[seen]
    if not more.size:
        return SinusEvidence()
    return SinusEvidence(
        int(more.size), int((more > 0).sum()), float(np.median(more)), float(more.size * zooms[0] * zooms[1])
    )


def _mean(values: Float, where: Mask) -> NDArray[np.float64]:
    """Mean along the columns of what is chosen; 0 where nothing is."""
    return np.asarray(np.where(where, values, 0).sum(2, dtype=np.float64) / np.maximum(where.sum(2), 1))
