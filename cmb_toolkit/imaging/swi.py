"""Susceptibility-weighted images: magnitude darkened where the phase is that of paramagnetic blood.

Phase here is paramagnetic positive (right-handed), as the paper shows it (microbleeds hyperintense). Haacke's
"negative phase mask" is written for the opposite, left-handed phase; on ours the same mask attenuates *positive* phase.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["extreme_phase", "minip", "phase_mask", "swi"]

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]


def phase_mask(phase: Float, *, polarity: int = 1, full: float = np.pi) -> Float:
    """Haacke's linear mask: 1 up to 0 rad, falling to 0 at `full`.

    Parameters
    ----------
    phase : array
        High-passed phase, paramagnetic positive [rad].
    polarity : {1, -1}
        What is darkened: 1 paramagnetic (blood), -1 diamagnetic (calcification).
    full : float, default=pi
        Phase at which nothing is left [rad]; see :func:`extreme_phase`.

    Returns
    -------
    float32 array
        Values in 0..1 (Haacke et al., Magnetic Resonance in Medicine 52:612, 2004).
    """
    weight = 1 - np.float32(polarity) * np.asarray(phase, np.float32) / np.float32(full)
    return np.clip(weight, 0, 1, out=weight)


def extreme_phase(phase: Float, mask: Mask, *, polarity: int = 1) -> float:
    """The 99.9th percentile of the phase of one polarity inside the mask [rad].

    The other reading of a mask "between zero and one". A few voxels of noise at the rim would decide the very maximum.
    Pi where no voxel has that polarity.
    """
    values = polarity * phase[mask]
    values = values[values > 0]
    return float(np.quantile(values, 0.999)) if values.size else float(np.pi)


def swi(magnitude: Float, weight: Float, power: int = 4) -> Float:
    """``magnitude * weight ** power`` (paper, section 2.1: the mask is multiplied four times).

    Parameters
    ----------
    magnitude : array
    weight : array of the same shape
        Phase mask, 0..1, see :func:`phase_mask`.
    power : int, default=4
    """
    return np.asarray(magnitude, np.float32) * np.asarray(weight, np.float32) ** power


def minip(volume: Float, slices: int, mask: Mask | None = None) -> Float:
    """Sliding minimum-intensity projection over `slices` neighbouring slices.

    Parameters
    ----------
    volume : (i, j, k) array
    slices : int
        Thickness of the projection; of an even number one more lies above (k + n/2). Fewer at the ends.
    mask : (i, j, k) bool array, optional
        Only voxels inside count; 0 where none is inside.
    """
    values = np.asarray(volume, np.float32)
    if mask is not None:
        values = np.where(mask, values, np.float32(np.inf))
    # scipy's window reaches size//2 below; shift an even one up by a slice
    origin = -1 if slices % 2 == 0 else 0
    lowest = ndimage.minimum_filter1d(values, slices, axis=2, mode="nearest", origin=origin)
    if mask is not None:
        lowest[~np.isfinite(lowest)] = 0
    return np.asarray(lowest, np.float32)
