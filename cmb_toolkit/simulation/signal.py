"""Signal of a spoiled gradient echo and the magnetic field of susceptibility sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft

from .constants import FIELD_STRENGTH_T, GYROMAGNETIC_RATIO_HZ_PER_T

__all__ = ["Array", "dipole_field", "phase_per_ppm", "sphere_field", "spoiled_gradient_echo"]

Array = npt.NDArray[np.floating[Any]]
"""A volume or list of numbers, float32 wherever it is large."""


def spoiled_gradient_echo(
    t1_ms: float,
    t2star_ms: float,
    proton_density: float,
    *,
    repetition_time_ms: float,
    echo_time_ms: float,
    flip_angle_deg: float,
) -> float:
    """Steady-state signal of a spoiled gradient echo (Ernst formula with T2* decay), in units of proton density."""
    angle = np.deg2rad(flip_angle_deg)
    recovery = np.exp(-repetition_time_ms / t1_ms)
    steady = np.sin(angle) * (1 - recovery) / (1 - np.cos(angle) * recovery)
    return float(proton_density * steady * np.exp(-echo_time_ms / t2star_ms))


def phase_per_ppm(echo_time_ms: float, field_strength_t: float = FIELD_STRENGTH_T) -> float:
    """Phase that a field shift of 1 ppm leaves at the echo [rad], paramagnetic positive."""
    return 2 * np.pi * GYROMAGNETIC_RATIO_HZ_PER_T * field_strength_t * 1e-6 * echo_time_ms * 1e-3


def dipole_field(
    susceptibility: Array,
    spacing_mm: Sequence[float],
    *,
    b0_direction: Sequence[float] = (0.0, 0.0, 1.0),
    padding_mm: Sequence[float] = (0.0, 0.0, 0.0),
) -> Array:
    """Field shift of a susceptibility distribution, Lorentz-sphere corrected.

    Multiplies by ``1/3 - (k.b)^2 / |k|^2`` in k-space (Salomir 2003, Marques & Bowtell 2005). The transform is
    periodic: without padding, sources near one face disturb the field at the opposite one.

    Parameters
    ----------
    susceptibility : array (ni, nj, nk)
        In ppm, relative to what surrounds the volume.
    spacing_mm : 3 floats
        Voxel size; may be anisotropic.
    b0_direction : 3 floats
        Direction of the main field in the axes of the array; any length.
    padding_mm : 3 floats
        Empty margin on both sides of each axis.

    Returns
    -------
    array (ni, nj, nk), float32
        Relative field shift in ppm.
    """
    shape = susceptibility.shape
    margins = [int(np.ceil(p / h)) for p, h in zip(padding_mm, spacing_mm, strict=True)]
    padded = [scipy.fft.next_fast_len(n + 2 * m, real=True) for n, m in zip(shape, margins, strict=True)]
    spectrum = scipy.fft.rfftn(susceptibility.astype(np.float32, copy=False), s=padded)
    kx, ky = (np.fft.fftfreq(n, h).astype(np.float32) for n, h in zip(padded[:2], spacing_mm[:2], strict=True))
    kz = np.fft.rfftfreq(padded[2], spacing_mm[2]).astype(np.float32)
    b = np.asarray(b0_direction, np.float32)
    b = b / np.linalg.norm(b)
    square_yz = (ky**2)[:, None] + (kz**2)[None, :]
    along_yz = b[1] * ky[:, None] + b[2] * kz[None, :]
    for n, k in enumerate(kx):  # plane by plane: the kernel is never held whole
        square = square_yz + k**2
        if n == 0:
            square[0, 0] = 1
        kernel = np.float32(1 / 3) - (along_yz + b[0] * k) ** 2 / square
        if n == 0:
            kernel[0, 0] = 0
        spectrum[n] *= kernel
    field = scipy.fft.irfftn(spectrum, s=padded, overwrite_x=True)
    # The padding all stands after the data, which is the same as on both sides of a periodic volume.
    return np.ascontiguousarray(field[: shape[0], : shape[1], : shape[2]], dtype=np.float32)


def sphere_field(
    dx: Array,
    dy: Array,
    dz: Array,
    *,
    radius_mm: float,
    susceptibility_ppm: float,
    b0_direction: Sequence[float] = (0.0, 0.0, 1.0),
) -> Array:
    """Exact field shift of a uniform sphere: 0 inside (Lorentz corrected), a dipole outside.

    Parameters
    ----------
    dx, dy, dz : arrays
        Offsets from the centre [mm]; they are broadcast against each other.
    radius_mm : float
    susceptibility_ppm : float
        Relative to the surroundings.
    b0_direction : 3 floats
        Unit vector.

    Returns
    -------
    array, float32
        Field shift in ppm.
    """
    dx, dy, dz = (np.asarray(d, np.float32) for d in (dx, dy, dz))
    b = [np.float32(c) for c in b0_direction]
    square = dx * dx + dy * dy + dz * dz
    along = b[0] * dx + b[1] * dy + b[2] * dz
    outside = np.maximum(square, np.float32(radius_mm**2))
    moment = np.float32(susceptibility_ppm / 3 * radius_mm**3)
    field = moment * (3 * along * along - square) / (outside * outside * np.sqrt(outside))
    return np.where(square >= radius_mm**2, field, np.float32(0)).astype(np.float32)
