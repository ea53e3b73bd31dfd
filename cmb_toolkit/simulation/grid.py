"""Regular grids in scanner millimetres, linear interpolation on them, and smooth random fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.fft
from scipy import ndimage

from .signal import Array

__all__ = ["Grid", "PeriodicNoise", "band_noise"]


@dataclass(frozen=True)
class Grid:
    """A regular grid: x to the right, y to anterior, z to superior [mm].

    Attributes
    ----------
    origin : 3 floats
        Centre of voxel (0, 0, 0) [mm].
    spacing : 3 floats
        Voxel size [mm].
    shape : 3 ints
    """

    origin: tuple[float, float, float]
    spacing: tuple[float, float, float]
    shape: tuple[int, int, int]

    @classmethod
    def covering(cls, low: Sequence[float], high: Sequence[float], spacing: Sequence[float]) -> Grid:
        """The smallest grid of this spacing whose voxels cover the box from `low` to `high` [mm]."""
        shape = [int(np.ceil((b - a) / h - 1e-6)) for a, b, h in zip(low, high, spacing, strict=True)]
        origin = [a + h / 2 for a, h in zip(low, spacing, strict=True)]
        return cls(_triple(origin), _triple(spacing), (shape[0], shape[1], shape[2]))

    def axis(self, a: int) -> Array:
        """Voxel centres along one axis [mm]."""
        return self.origin[a] + self.spacing[a] * np.arange(self.shape[a])

    @property
    def axes(self) -> tuple[Array, Array, Array]:
        return self.axis(0), self.axis(1), self.axis(2)

    def index(self, points: npt.ArrayLike) -> Array:
        """Fractional voxel indices (..., 3) of points [mm]."""
        indices: Array = (np.asarray(points, float) - self.origin) / self.spacing
        return indices

    def position(self, indices: npt.ArrayLike) -> Array:
        """Points [mm] (..., 3) of fractional voxel indices."""
        points: Array = np.asarray(indices, float) * self.spacing + self.origin
        return points

    def lookup(self, volume: Array, points: Array) -> Array:
        """Linear interpolation of a volume on this grid at points (n, 3) [mm]; the edge value beyond the edge."""
        values: Array = ndimage.map_coordinates(volume, self.index(points).T, order=1, mode="nearest", prefilter=False)
        return values

    def direction(self, volume: Array, points: Array, step_mm: float = 0.75) -> Array:
        """Unit gradient (n, 3) of a volume on this grid at points (n, 3)."""
        gradient = np.empty_like(points)
        for a in range(3):
            offset = np.zeros(3)
            offset[a] = step_mm
            gradient[:, a] = self.lookup(volume, points + offset) - self.lookup(volume, points - offset)
        unit: Array = gradient / np.maximum(np.linalg.norm(gradient, axis=1, keepdims=True), 1e-6)
        return unit

    def resample(self, volume: Array, axes: Sequence[Array]) -> Array:
        """Linear interpolation of a volume on this grid at the points of another axis-parallel grid.

        Parameters
        ----------
        volume : array of this grid's shape
        axes : 3 arrays
            Wanted coordinates along x, y, z [mm].

        Returns
        -------
        array (len(x), len(y), len(z)), float32
        """
        places = [(np.asarray(axes[a], float) - self.origin[a]) / self.spacing[a] for a in range(3)]
        for a, n in enumerate(self.shape):  # only what is needed
            first = int(np.clip(np.floor(places[a].min()), 0, n - 2))
            last = int(np.clip(np.ceil(places[a].max()), first + 1, n - 1))
            volume = np.moveaxis(np.moveaxis(volume, a, 0)[first : last + 1], 0, a)
            places[a] = places[a] - first
        for a in (2, 0, 1):  # z first: most calls ask for few planes
            volume = _interpolated(volume, a, places[a])
        return volume

    def box(self, low: Sequence[float], high: Sequence[float]) -> tuple[slice, slice, slice]:
        """The voxels whose centres lie between two corners [mm], clipped to the grid."""
        first = np.ceil(self.index(low)).astype(int)
        last = np.floor(self.index(high)).astype(int) + 1
        i, j, k = (
            slice(max(0, int(a)), max(0, min(n, int(b)))) for a, b, n in zip(first, last, self.shape, strict=True)
        )
        return i, j, k


def _interpolated(volume: Array, axis: int, indices: Array) -> Array:
    """Linear interpolation along one axis at fractional indices, clamped to the ends."""
    clamped = np.clip(indices, 0, volume.shape[axis] - 1)
    low = np.minimum(clamped.astype(int), volume.shape[axis] - 2)
    share = (clamped - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
    first: Array = np.take(volume, low, axis)
    result: Array = np.take(volume, low + 1, axis)
    result -= first
    result *= share
    result += first
    return result


def band_noise(
    rng: np.random.Generator,
    shape: Sequence[int],
    spacing_mm: float,
    wavelength_mm: float,
    bandwidth: float = 0.35,
) -> Array:
    """Periodic Gaussian noise of unit variance whose waves are about `wavelength_mm` long.

    Parameters
    ----------
    bandwidth : float
        Standard deviation of the spatial frequencies, relative to the central one.
    """
    spectrum = scipy.fft.rfftn(rng.standard_normal(tuple(shape), dtype=np.float32))
    kx, ky = (np.fft.fftfreq(n, spacing_mm) for n in shape[:2])
    kz = np.fft.rfftfreq(shape[2], spacing_mm)
    frequency = np.sqrt((kx**2)[:, None, None] + (ky**2)[None, :, None] + (kz**2)[None, None, :])
    centre = 1 / wavelength_mm
    spectrum *= np.exp(-0.5 * ((frequency - centre) / (bandwidth * centre)) ** 2).astype(np.float32)
    noise = scipy.fft.irfftn(spectrum, s=tuple(shape), overwrite_x=True)
    unit: Array = (noise / noise.std()).astype(np.float32)
    return unit


@dataclass(frozen=True)
class PeriodicNoise:
    """Band noise that can be asked for its value anywhere in space."""

    values: Array
    spacing_mm: float

    @classmethod
    def make(
        cls, rng: np.random.Generator, size: int, spacing_mm: float, wavelength_mm: float, bandwidth: float
    ) -> PeriodicNoise:
        """A cube of `size` samples a side, repeated for ever."""
        return cls(band_noise(rng, (size,) * 3, spacing_mm, wavelength_mm, bandwidth), spacing_mm)

    def __call__(self, x: Array, y: Array, z: Array) -> Array:
        indices = [np.asarray(p, np.float32) / np.float32(self.spacing_mm) for p in (x, y, z)]
        values: Array = ndimage.map_coordinates(self.values, indices, order=1, mode="grid-wrap", prefilter=False)
        return values

    def on(self, grid: Grid, shift_mm: float = 0.0) -> Array:
        """The noise on a whole grid, read `shift_mm` further along every axis (fast: one axis after the other)."""
        volume = np.pad(self.values, ((0, 1),) * 3, mode="wrap")
        for a in (2, 0, 1):
            places = np.mod((grid.axis(a) + shift_mm) / self.spacing_mm, self.values.shape[a])
            volume = _interpolated(volume, a, places)
        return np.ascontiguousarray(volume)


def _triple(values: Sequence[float]) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])
