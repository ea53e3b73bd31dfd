"""High-pass filters of the phase: remove the slow background field, keep veins and microbleeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from .gaussian import in_plane_trend
from .rim import without_rim

__all__ = ["HOMODYNE_WIDTH", "SIGMA_MM", "gaussian_highpass", "homodyne_highpass"]

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]

SIGMA_MM = 2.5
"""Standard deviation of the Gaussian low-pass [mm]."""

HOMODYNE_WIDTH = 0.25
"""Full width of the homodyne window [cycles/mm]: the classic 64 samples of a 256 mm field of view (Haacke 2004)."""

_RIM_MM = 3.0  # how far a brain mask reaches into the skull, and partial voxels into the brain
_DARK = 0.5  # of the median magnitude
_DARK_WEIGHT = 0.1  # not 0: where a whole tongue of the mask is dark, its own phase is all there is
_MIRROR_MM = 16.0  # the low-pass reaches no farther


def gaussian_highpass(
    unwrapped: Float, mask: Mask, zooms: Sequence[float], *, magnitude: Float | None = None, sigma_mm: float = SIGMA_MM
) -> Float:
    """Subtract from an unwrapped phase the plane that fits each voxel's surroundings in its slice best.

    The weights are Gaussian. Deep inside the mask this is ``u - G(u)``; at its edge, where all voxels around lie to one
    side, a mean would leave a share of the field's slope as a bright or dark rim. A brain mask holds some skull and air
    at its rim, whose phase is noise: with the magnitude known, dark voxels there hardly count in the fit.

    Parameters
    ----------
    unwrapped : (i, j, k) array
        Unwrapped phase [rad].
    mask : (i, j, k) bool array
        Voxels outside neither count nor get a value.
    zooms : three floats
        Voxel size [mm].
    magnitude : (i, j, k) array, optional
    sigma_mm : float, default=2.5

    Returns
    -------
    (i, j, k) float32 array
        High-passed phase within -pi..pi [rad], 0 outside the mask. Stronger values, which only artefacts have, are
        cut at the ends rather than wrapped, so that their sign stays.
    """
    values = np.asarray(unwrapped, np.float32)
    weight = mask.astype(np.float32) if magnitude is None else _trusted(magnitude, mask, zooms)
    rest = np.clip(values - in_plane_trend(values, weight, zooms, sigma_mm), -np.pi, np.pi)
    return np.where(mask, rest, np.float32(0))


def _trusted(magnitude: Float, mask: Mask, zooms: Sequence[float]) -> Float:
    """How much the phase of each voxel counts: 1 in the mask, but little where it is dark near the mask's edge.

    Inside the brain what is dark counts in full: a vein is no noise.
    """
    weight = mask.astype(np.float32)
    if mask.any():
        dark = magnitude < _DARK * float(np.median(magnitude[mask]))
        weight[mask & dark & ~without_rim(mask, _RIM_MM, zooms)] = _DARK_WEIGHT
    return weight


def homodyne_highpass(
    magnitude: Float, phase: Float, mask: Mask, zooms: Sequence[float], *, width: float = HOMODYNE_WIDTH
) -> Float:
    """Homodyne filter: phase of the complex image against its own low-passed copy; needs no unwrapping.

    ``arg(C conj(LP C))`` slice by slice, LP a separable Hann window in k-space (Noll 1991; Wang 2000; Haacke 2004). A
    slice is continued mirrored beyond its borders: a Fourier transform takes opposite borders for neighbours, which in
    a field of view that ends inside the head would filter each with the other.

    Parameters
    ----------
    magnitude, phase : (i, j, k) arrays
        Phase [rad], wrapped.
    mask : (i, j, k) bool array
    zooms : three floats
        Voxel size [mm].
    width : float, default=0.25
        Full width of the window [cycles/mm]; in physical units, so that HR and LR are filtered alike.

    Returns
    -------
    (i, j, k) float32 array
        High-passed phase within -pi..pi [rad], 0 outside the mask.
    """
    shape = magnitude.shape[:2]
    pad = [min(n, int(np.ceil(_MIRROR_MM / size))) for n, size in zip(shape, zooms[:2], strict=True)]
    longer = [scipy.fft.next_fast_len(n + 2 * p) for n, p in zip(shape, pad, strict=True)]
    margins = [(p, m - n - p) for n, m, p in zip(shape, longer, pad, strict=True)]
    inner = tuple(slice(p, p + n) for n, p in zip(shape, pad, strict=True))
    window = [_hann(n, size, width) for n, size in zip(longer, zooms[:2], strict=True)]
    low_pass = np.outer(*window).astype(np.float32)
    result = np.zeros(phase.shape, np.float32)
    for k in range(phase.shape[2]):
        if not mask[:, :, k].any():
            continue
        angle = phase[:, :, k].astype(np.float32)
        image = magnitude[:, :, k] * (np.cos(angle) + np.complex64(1j) * np.sin(angle))
        slow = scipy.fft.ifft2(scipy.fft.fft2(np.pad(image, margins, mode="symmetric")) * low_pass)[inner]
        result[:, :, k] = np.where(mask[:, :, k], np.angle(image * np.conj(slow)), 0)
    return result


def _hann(n: int, size: float, width: float) -> NDArray[np.float64]:
    k = np.abs(np.fft.fftfreq(n, size)) / (width / 2)
    return np.where(k <= 1, 0.5 + 0.5 * np.cos(np.pi * k), 0.0)
