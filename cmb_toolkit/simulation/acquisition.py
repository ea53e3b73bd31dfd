"""How a scan is taken: protocols, scanners, difficulty, k-space and noise, and how a scanner stores its phase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.fft

from .constants import Tissue
from .signal import Array, phase_per_ppm, spoiled_gradient_echo

__all__ = [
    "DIFFICULTIES",
    "PROTOCOLS",
    "SCANNERS",
    "Difficulty",
    "Protocol",
    "Scanner",
    "StoredPhase",
    "acquire",
    "draw_motion",
    "kspace_support",
    "moved",
    "store_phase",
]


@dataclass(frozen=True)
class Protocol:
    """A 3-D spoiled gradient-echo protocol and how finely it is simulated.

    Attributes
    ----------
    matrix, voxel_mm : 3 ints, 3 floats
        Image matrix and voxel size along x (left-right, phase encoding), y (anterior-posterior, readout), z (slices).
    echo_time_ms, repetition_time_ms, flip_angle_deg : float
    snr : float
        Magnitude of white matter over the noise's standard deviation.
    phase_resolution, slice_resolution : float
        Share of k-space acquired along x and z; the rest is filled with zeros.
    phase_partial, slice_partial : float
        Partial Fourier factors along x and z.
    microbleed_radius_mm : float
        Median physical radius of a microbleed.
    minimum_contrast, minimum_snr : float
        What a microbleed must show at least to count as one that a radiologist could mark: largest relative loss of
        magnitude, and matched-filter signal to noise.
    slab_centre_mm, slab_spread_mm : float
        Where the middle slice lies above the anatomy's origin (the anterior commissure), and its standard deviation.
    fine : 3 ints
        Sub-voxels along each axis for veins and dephasing.
    lesion_fine : 3 ints
        Sub-voxels along each axis round lesions; about 0.17 mm is converged (docs/simulator.md).
    anatomy_mm : 3 floats
        Grid of the anatomy.
    """

    name: str
    matrix: tuple[int, int, int]
    voxel_mm: tuple[float, float, float]
    echo_time_ms: float
    repetition_time_ms: float
    flip_angle_deg: float
    snr: float
    phase_resolution: float
    slice_resolution: float
    phase_partial: float
    slice_partial: float
    microbleed_radius_mm: float
    minimum_contrast: float
    minimum_snr: float
    slab_centre_mm: float
    slab_spread_mm: float
    fine: tuple[int, int, int]
    lesion_fine: tuple[int, int, int]
    anatomy_mm: tuple[float, float, float]

    @property
    def phase_per_ppm(self) -> float:
        """[rad/ppm]"""
        return phase_per_ppm(self.echo_time_ms)

    def signal(self, tissue: Tissue) -> float:
        """Signal of a tissue in units of proton density."""
        return spoiled_gradient_echo(
            tissue.t1_ms,
            tissue.t2star_ms,
            tissue.proton_density,
            repetition_time_ms=self.repetition_time_ms,
            echo_time_ms=self.echo_time_ms,
            flip_angle_deg=self.flip_angle_deg,
        )


_PAPER_HR: dict[str, Any] = {
    "echo_time_ms": 20.0,
    "repetition_time_ms": 27.0,
    "flip_angle_deg": 15.0,
    "snr": 20.0,
    "phase_resolution": 1.0,
    "slice_resolution": 1.0,
    "phase_partial": 0.75,
    "slice_partial": 1.0,
    "microbleed_radius_mm": 0.70,
    "minimum_contrast": 0.12,
    "minimum_snr": 5.0,
    "slab_centre_mm": 6.0,
    "fine": (1, 1, 4),
    "lesion_fine": (3, 3, 12),
    "voxel_mm": (0.5, 0.5, 2.0),
}

_PAPER_LR: dict[str, Any] = {
    "voxel_mm": (0.8, 0.8, 2.0),
    "echo_time_ms": 13.7,
    "repetition_time_ms": 40.0,
    "flip_angle_deg": 15.0,
    "snr": 24.0,
    "phase_resolution": 0.8,
    "slice_resolution": 0.75,
    "phase_partial": 0.75,
    "slice_partial": 0.75,
    "microbleed_radius_mm": 0.62,
    "minimum_contrast": 0.12,
    "minimum_snr": 5.0,
    "slab_centre_mm": 6.0,
    "fine": (2, 2, 3),
    "lesion_fine": (5, 5, 12),
}

PROTOCOLS: dict[str, Protocol] = {
    "HR": Protocol(
        name="HR",
        matrix=(448, 512, 72),
        slab_spread_mm=3.0,
        anatomy_mm=(1.0, 1.0, 1.0),
        **_PAPER_HR,
    ),
    "LR": Protocol(
        name="LR",
        matrix=(252, 288, 72),
        slab_spread_mm=3.0,
        anatomy_mm=(1.0, 1.0, 1.0),
        **_PAPER_LR,
    ),
    "slab": Protocol(
        name="slab",
        matrix=(448, 512, 14),
        slab_spread_mm=2.0,
        anatomy_mm=(1.0, 1.0, 2.0),
        **_PAPER_HR,
    ),
    "slab-lr": Protocol(
        name="slab-lr",
        matrix=(252, 288, 14),
        slab_spread_mm=2.0,
        anatomy_mm=(1.0, 1.0, 2.0),
        **_PAPER_LR,
    ),
    "tiny": Protocol(
        name="tiny",
        matrix=(112, 128, 24),
        voxel_mm=(1.8, 1.8, 3.0),
        echo_time_ms=20.0,
        repetition_time_ms=27.0,
        flip_angle_deg=15.0,
        snr=30.0,
        phase_resolution=1.0,
        slice_resolution=1.0,
        phase_partial=1.0,
        slice_partial=1.0,
        microbleed_radius_mm=1.7,
        minimum_contrast=0.25,
        minimum_snr=8.0,
        slab_centre_mm=6.0,
        slab_spread_mm=2.0,
        fine=(1, 1, 2),
        lesion_fine=(5, 5, 8),
        anatomy_mm=(2.0, 2.0, 2.0),
    ),
}
"""The paper's two protocols (HR, LR), a slab of each for demonstrations, and a tiny head for tests."""


@dataclass(frozen=True)
class Scanner:
    """What differs from scanner to scanner.

    Attributes
    ----------
    snr_factor, bias_factor : float
        Times the protocol's SNR, and times the usual receive non-uniformity.
    phase_sign : int
        +1: files hold paramagnetic-positive phase; -1: the opposite (left-handed).
    phase_storage : str
        ``siemens``: int16 0..4095 with slope 2 and intercept -4096; ``milliradians``: int16.
    axes : str
        Axis order in which volumes are written.
    white_matter : int
        Stored magnitude of white matter.
    """

    name: str
    snr_factor: float
    bias_factor: float
    phase_sign: Literal[1, -1]
    phase_storage: Literal["siemens", "milliradians"]
    axes: str
    white_matter: int


SCANNERS: dict[str, Scanner] = {
    "scanner-a": Scanner("scanner-a", 1.0, 1.0, 1, "siemens", "RAS", 500),
    "scanner-b": Scanner("scanner-b", 0.85, 1.4, -1, "milliradians", "LPS", 900),
}


@dataclass(frozen=True)
class Difficulty:
    """How hard detection is made; everything is relative to the protocol."""

    name: str
    vein_density: float
    snr_factor: float
    radius_factor: float
    visibility_factor: float


DIFFICULTIES: dict[str, Difficulty] = {
    "easy": Difficulty("easy", 0.7, 1.3, 1.6, 2.4),
    "paper": Difficulty("paper", 1.0, 1.0, 1.0, 1.0),
    "hard": Difficulty("hard", 1.3, 0.8, 0.9, 0.8),
}
"""``paper``: the microbleeds are as small and as faint as it takes for the radial symmetry transform to need as many
false positives as the paper's did (docs/simulator.md)."""


def kspace_support(nx: int, nz: int, protocol: Protocol) -> Array:
    """Which spatial frequencies along x (phase) and z (slice) are acquired, with a mild taper.

    Reduced resolution, partial Fourier filled with zeros, and an elliptical shutter.

    Returns
    -------
    array (nx, nz), float32
        Weights 0..1 in the order of `numpy.fft.fftfreq`.
    """
    kx, kz = np.fft.fftfreq(nx), np.fft.fftfreq(nz)
    limit_x, limit_z = 0.5 * protocol.phase_resolution, 0.5 * protocol.slice_resolution
    weight_x = _taper(kx, limit_x) * _partial(kx, protocol.phase_partial, protocol.phase_resolution)
    weight_z = _taper(kz, limit_z) * _partial(kz, protocol.slice_partial, protocol.slice_resolution)
    shutter = (kx / limit_x)[:, None] ** 2 + (kz / limit_z)[None, :] ** 2 <= 1.15
    support: Array = (weight_x[:, None] * weight_z[None, :] * shutter).astype(np.float32)
    return support


def _taper(k: Array, limit: float) -> Array:
    weight: Array = np.where(np.abs(k) <= limit, np.clip((limit - np.abs(k)) / (0.1 * limit) + 0.3, 0, 1), 0)
    return weight


def _partial(k: Array, fraction: float, resolution: float) -> npt.NDArray[np.bool_]:
    if fraction >= 1:
        return np.ones(len(k), bool)
    missing: npt.NDArray[np.bool_] = k >= -(fraction - 0.5) * resolution * 1.0001
    return missing


def acquire(
    image: npt.NDArray[np.complex64],
    protocol: Protocol,
    *,
    noise: float = 0.0,
    rng: np.random.Generator | None = None,
) -> npt.NDArray[np.complex64]:
    """Pass an image through the protocol's k-space and add noise.

    Parameters
    ----------
    image : complex array (ni, nj, nk)
        Noise-free image on the acquisition grid.
    noise : float
        Standard deviation of the noise in each of the real and the imaginary part of the result; for SNR well above 1
        that is also the standard deviation of the magnitude.
    rng : Generator
        Needed with noise.

    Returns
    -------
    complex64 array
        Noise is correlated as k-space leaves it; the magnitude's background is Rician.
    """
    support = kspace_support(image.shape[0], image.shape[2], protocol)
    white = np.float32(noise / np.sqrt(np.mean(support**2)))
    result = np.empty_like(image)
    block = 64
    for start in range(0, image.shape[1], block):
        part = image[:, start : start + block]
        if noise:
            if rng is None:
                raise TypeError("acquire needs a generator for its noise")
            real = rng.standard_normal(part.shape, dtype=np.float32)
            imaginary = rng.standard_normal(part.shape, dtype=np.float32)
            part = part + white * (real + np.complex64(1j) * imaginary)
        spectrum = scipy.fft.fftn(part, axes=(0, 2))
        spectrum *= support[:, None, :]
        result[:, start : start + block] = scipy.fft.ifftn(spectrum, axes=(0, 2), overwrite_x=True)
    return result


def draw_motion(rng: np.random.Generator, lines: int, rms_mm: float) -> Array:
    """Where the head is while each line of k-space is taken: a slow drift and one to three sudden nods.

    Parameters
    ----------
    lines : int
        Phase-encoding steps, taken one after the other from the lowest to the highest frequency.
    rms_mm : float
        Root mean square of the distance from the mean position.

    Returns
    -------
    array (lines, 3)
        [mm] along x, y, z.
    """
    drift = np.cumsum(rng.standard_normal((lines, 3)), axis=0) / np.sqrt(lines)
    path: Array = drift * 0.5
    for start in rng.integers(0, lines, rng.integers(1, 4)):
        path[start:] += rng.normal(0, (0.5, 0.7, 1.0))
    path -= path.mean(0)
    scale = np.sqrt((path**2).sum(1).mean())
    return path * (rms_mm / scale if scale else 0.0)


def moved(image: npt.NDArray[np.complex64], path_mm: Array, voxel_mm: Sequence[float]) -> npt.NDArray[np.complex64]:
    """The image of a head that shifts between the lines of k-space along x (its turning is left out).

    A shift is a phase ramp on the lines taken meanwhile (Fourier shift theorem); the ghosts come out by themselves.

    Parameters
    ----------
    path_mm : array (ni, 3)
        From :func:`draw_motion`.
    """
    spectrum = scipy.fft.fftn(image)
    kx, ky, kz = (np.fft.fftfreq(n, v) for n, v in zip(image.shape, voxel_mm, strict=True))
    for line, position in zip(np.argsort(kx), path_mm, strict=True):
        x, y, z = (np.exp(-2j * np.pi * k * d) for k, d in zip((kx[line], ky, kz), position, strict=True))
        spectrum[line] *= (x * y[:, None] * z[None, :]).astype(np.complex64)
    shifted: npt.NDArray[np.complex64] = scipy.fft.ifftn(spectrum, overwrite_x=True)
    return shifted


@dataclass(frozen=True)
class StoredPhase:
    """Phase as a file holds it: ``value = slope * data + intercept``; `full_cycle` is 2 pi in those values."""

    data: npt.NDArray[np.int16]
    slope: float
    intercept: float
    full_cycle: float


def store_phase(phase: Array, scanner: Scanner) -> StoredPhase:
    """Phase (paramagnetic positive [rad]) in a scanner's own sign and units."""
    signed = scanner.phase_sign * phase
    if scanner.phase_storage == "siemens":
        steps = np.round((signed + np.pi) / (2 * np.pi) * 4096).astype(np.int32) % 4096
        return StoredPhase(steps.astype(np.int16), 2.0, -4096.0, 8192.0)
    return StoredPhase(np.round(signed * 1000).astype(np.int16), 1.0, 0.0, float(2000 * np.pi))
