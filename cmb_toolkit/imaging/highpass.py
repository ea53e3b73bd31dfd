"""High-pass filters of the phase: remove the slow background field, keep veins and microbleeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy import ndimage

from .gaussian import in_plane_mean

__all__ = ["HOMODYNE_WIDTH", "SIGMA_MM", "gaussian_highpass", "homodyne_highpass"]

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]

SIGMA_MM = 2.5
"""Standard deviation of the Gaussian low-pass [mm]."""

HOMODYNE_WIDTH = 0.25
"""Full width of the homodyne window [cycles/mm]: the classic 64 samples of a 256 mm field of view (Haacke 2004)."""

_MIRROR_MM = 16.0  # the low-pass reaches no farther


def gaussian_highpass(unwrapped: Float, mask: Mask, zooms: Sequence[float], *, sigma_mm: float = SIGMA_MM) -> Float:
    """Subtract from an unwrapped phase its in-plane Gaussian mean over the mask: ``u - G(u m) / G(m)``.

    Parameters
    ----------
    unwrapped : (i, j, k) array
        Unwrapped phase [rad].
    mask : (i, j, k) bool array
        Voxels outside neither count nor get a value.
    zooms : three floats
        Voxel size [mm].
    sigma_mm : float, default=2.5

    Returns
    -------
    (i, j, k) float32 array
        High-passed phase within -pi..pi [rad], 0 outside the mask. Stronger values, which only artefacts have, are
        cut at the ends rather than wrapped, so that their sign stays.
    """
    result = np.zeros(unwrapped.shape, np.float32)
    found = ndimage.find_objects(mask.astype(np.uint8))
    if not found:
        return result
    box = found[0]
    weight = mask[box].astype(np.float32)
    part = unwrapped[box].astype(np.float32) * weight
    mean = in_plane_mean(part, weight, zooms, sigma_mm)
    result[box] = np.clip((part - mean) * weight, -np.pi, np.pi)
    return result


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
