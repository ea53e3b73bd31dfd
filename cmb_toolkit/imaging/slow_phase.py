"""How strongly the phase varies over centimetres: whether it was high-passed before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .gaussian import in_plane_mean
from .rim import without_rim

__all__ = ["FILTERED_RAD", "UNFILTERED_RAD", "SlowPhase", "slow_phase"]

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]

FILTERED_RAD = 0.2
"""Slow phase below which a scan was high-passed: usual filters leave 0.003 to 0.03 rad, thrice as wide ones 0.13."""

UNFILTERED_RAD = 0.4
"""Slow phase above which it was not: unfiltered scans have 0.75 to 2.5 rad."""

_SIGMA_MM = 5.0
_RIM_MM = 3.0  # where filters leave more of the slow phase
_SLICES = 12  # about so many tell it
_BRIGHT = 0.5  # of the brightest half's mean: what is darker is air, whose phase is noise
_FEW_VOXELS = 1000
_SLOWER = 2.0  # times as strong; unfiltered scans 11 to 90


@dataclass(frozen=True)
class SlowPhase:
    """How the phase of the brain varies.

    Attributes
    ----------
    slow : float
        Median of how far the phase of a voxel's surroundings is from 0 [rad], 0 to pi; NaN where too few voxels tell.
    fast : float
        Median of how far a voxel is from its surroundings [rad].
    """

    slow: float
    fast: float

    @property
    def is_filtered(self) -> bool:
        """Whether it was high-passed: next to nothing slow is left, hardly more than what varies from voxel to voxel.

        A scan of a very short echo has little phase of either kind.
        """
        return self.slow < FILTERED_RAD and self.slow < _SLOWER * self.fast

    @property
    def is_unfiltered(self) -> bool:
        return self.slow > UNFILTERED_RAD


def slow_phase(radians: Float, magnitude: Float, mask: Mask, zooms: Sequence[float]) -> SlowPhase:
    """How far from 0 the phase is in the brain, averaged over centimetres.

    The surroundings are averaged as complex numbers, so that wraps do not matter and noise hardly does. The field of an
    unfiltered scan takes them all around the cycle, or far from 0; a high-pass leaves next to nothing of it.

    Parameters
    ----------
    radians : (i, j, k) array
        Phase, wrapped or not.
    magnitude : (i, j, k) array
    mask : (i, j, k) bool array
    zooms : three floats
        Voxel size [mm].
    """
    unknown = SlowPhase(float("nan"), float("nan"))
    slices = np.flatnonzero(mask.any(axis=(0, 1)))
    slices = slices[:: max(1, len(slices) // _SLICES)]
    phase, signal, inside = radians[:, :, slices], magnitude[:, :, slices], mask[:, :, slices]
    core = without_rim(inside, _RIM_MM, zooms)
    if core.sum() < _FEW_VOXELS:
        return unknown
    bright = inside & (signal > _BRIGHT * float(np.quantile(signal[core], 0.75)))
    core &= bright
    if core.sum() < _FEW_VOXELS:
        return unknown
    weight = bright.astype(np.float32)
    real, imaginary = (in_plane_mean(part(phase), weight, zooms, _SIGMA_MM)[core] for part in (np.cos, np.sin))
    around = np.arctan2(imaginary, real)
    rest = np.angle(np.exp(1j * (phase[core] - around)))
    return SlowPhase(float(np.median(np.abs(around))), float(np.median(np.abs(rest))))
