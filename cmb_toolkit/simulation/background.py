"""What varies smoothly over a head: the field of head and air after the shim, receiver phase, coil non-uniformity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .acquisition import Protocol
from .anatomy import Head
from .constants import AIR_PPM
from .grid import Grid
from .signal import Array, dipole_field

__all__ = ["background_phase", "receive_bias"]


def background_phase(
    rng: np.random.Generator, protocol: Protocol, head: Head, susceptibility: Array, b0_direction: Sequence[float]
) -> tuple[Array, list[float]]:
    """Phase of head and air after an imperfect second-order shim, with a smooth receiver phase [rad]."""
    grid = head.grid
    # Air is 0 outside; the head goes on below and above the box as it is at its lowest and highest plane.
    relative = susceptibility - np.float32(AIR_PPM)
    extra = int(40 / grid.spacing[2])
    longer = np.concatenate(
        [np.repeat(relative[:, :, :1], extra, 2), relative, np.repeat(relative[:, :, -1:], extra, 2)], 2
    )
    shift = dipole_field(longer, grid.spacing, b0_direction=b0_direction, padding_mm=(28, 34, 10))[:, :, extra:-extra]
    harmonics = _harmonics(grid)
    inside = np.flatnonzero(head.brain > 0.9)[:: max(1, int(97 / np.prod(grid.spacing)))]
    voxels = np.unravel_index(inside, grid.shape)
    design = np.stack([np.broadcast_to(h, grid.shape)[voxels] for h in harmonics], 1).astype(float)
    fitted = np.linalg.lstsq(design, shift[voxels].astype(float), rcond=None)[0]
    error = rng.normal(1, 0.04, len(fitted))
    shift = shift.copy()
    for coefficient, harmonic in zip(fitted * error, harmonics, strict=True):
        shift -= np.float32(coefficient) * harmonic
    shift *= np.float32(protocol.phase_per_ppm)
    for coefficient, harmonic in zip(rng.normal(0, (1.2, 1.2, 1.2, 1.2, 0.7, 0.7)), harmonics, strict=False):
        shift += np.float32(coefficient) * harmonic
    return shift, [round(float(e), 4) for e in error]


def _scaled_axes(grid: Grid) -> tuple[Array, Array, Array]:
    """Coordinates from the middle of the head in units of 80 mm, ready to broadcast."""
    x, y, z = grid.axes
    middle = (z[0] + z[-1]) / 2
    return (
        (x / 80).astype(np.float32)[:, None, None],
        ((y + 14) / 80).astype(np.float32)[None, :, None],
        ((z - middle) / 80).astype(np.float32)[None, None, :],
    )


def _harmonics(grid: Grid) -> list[Array]:
    """Spherical harmonics up to second order."""
    x, y, z = _scaled_axes(grid)
    one = np.ones((1, 1, 1), np.float32)
    return [one, x, y, z, x * x - y * y, 2 * z * z - x * x - y * y, x * y, x * z, y * z]


def receive_bias(rng: np.random.Generator, grid: Grid, factor: float) -> Array:
    """Smooth non-uniformity of the receive coils: brighter near the surface, tilted."""
    x, y, z = _scaled_axes(grid)
    tilt = factor * rng.normal(0, 0.22, 2)
    dip = np.float32(0.3 * factor) * np.exp(-(x * x + y * y + z * z) / np.float32(0.25))
    bias: Array = np.exp(np.float32(tilt[0]) * x + np.float32(tilt[1]) * y - dip)
    return bias
