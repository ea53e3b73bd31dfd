"""A microbleed and a calcification with known physics go through the whole chain.

Each is a sphere with a uniform susceptibility; its field outside is the analytic dipole (Lorentz-corrected: none
inside). Voxels are taller than wide, so that a voxel's mean is ruled by the poles (Xu and Haacke, 2006).
"""

from __future__ import annotations

import numpy as np
import pytest

from cmb_toolkit.imaging.highpass import gaussian_highpass, homodyne_highpass
from cmb_toolkit.imaging.swi import phase_mask, swi
from cmb_toolkit.imaging.unwrap import unwrap_path

ZOOMS = (0.5, 0.5, 2.0)
SHAPE = (80, 90, 11)
RAD_PER_PPM = 2 * np.pi * 42.577 * 3.0 * 0.020  # 3 T, 20 ms
FINE = (3, 3, 12)
BLEED, CALCIFICATION = (26, 45, 5), (54, 45, 5)


def sphere_phase(x, y, z, radius, ppm):
    """Phase [rad] around a sphere at 0; B0 along z."""
    distance = np.sqrt(x**2 + y**2 + z**2)
    outside = distance > radius
    safe = np.where(outside, distance, 1)
    return np.where(outside, ppm / 3 * (radius / safe) ** 3 * (3 * (z / safe) ** 2 - 1), 0) * RAD_PER_PPM


@pytest.fixture(scope="module")
def phantom():
    """Complex voxel values: tissue of 1, nothing inside the spheres, a wrapping background and noise."""
    rng = np.random.default_rng(0)
    axes = [
        (np.arange(n * f) - f / 2 + 0.5) / f * size for n, f, size in zip(SHAPE, FINE, ZOOMS, strict=True)
    ]  # of sub-voxels, from the middle of the first voxel [mm]
    x, y, z = np.meshgrid(*(a.astype(np.float32) for a in axes), indexing="ij", sparse=True)
    phase, signal = 0.25 * x - 0.2 * y + 0 * z, np.ones((x.size, y.size, z.size), np.float32)
    for (i, j, k), radius, ppm in ((BLEED, 1.2, 1.3), (CALCIFICATION, 1.2, -1.3)):
        dx, dy, dz = x - i * ZOOMS[0], y - j * ZOOMS[1], z - k * ZOOMS[2]
        phase = phase + sphere_phase(dx, dy, dz, radius, ppm)
        signal[dx**2 + dy**2 + dz**2 < radius**2] = 0.2
    values = (signal * np.exp(1j * phase)).astype(np.complex64)
    voxels = values.reshape(SHAPE[0], FINE[0], SHAPE[1], FINE[1], SHAPE[2], FINE[2]).mean((1, 3, 5))
    return voxels + 0.02 * (rng.standard_normal(SHAPE) + 1j * rng.standard_normal(SHAPE))


@pytest.mark.parametrize("method", ["gaussian", "homodyne"])
def test_iron_is_bright_on_phase_and_dark_on_swi_and_calcium_the_other_way_round(phantom, method):
    magnitude, wrapped = np.abs(phantom).astype(np.float32), np.angle(phantom).astype(np.float32)
    everywhere = np.ones(SHAPE, bool)
    assert np.ptp(wrapped) > 6, "the background wraps"
    if method == "gaussian":
        filtered = gaussian_highpass(unwrap_path(wrapped, everywhere), everywhere, ZOOMS)
    else:
        filtered = homodyne_highpass(magnitude, wrapped, everywhere, ZOOMS)
    cores = {name: filtered[i, j, k - 1 : k + 2].mean() for name, (i, j, k) in (("b", BLEED), ("c", CALCIFICATION))}
    assert cores["b"] > 0.3
    assert cores["c"] < -0.3
    image = swi(magnitude, phase_mask(filtered))
    for k in (4, 6):  # beside the sphere, where only its field is
        weight = {name: image[i, j, k] / magnitude[i, j, k] for name, (i, j, _) in (("b", BLEED), ("c", CALCIFICATION))}
        assert weight["b"] < 0.6
        assert weight["c"] == pytest.approx(1)
    tissue = np.median(np.abs(filtered[8:-8, 8:-8]))
    assert tissue < 0.05


def test_the_blooming_is_larger_than_the_sphere(phantom):
    """What SWI shows of a microbleed of 2.4 mm: dephasing and the phase mask widen it."""
    magnitude, wrapped = np.abs(phantom).astype(np.float32), np.angle(phantom).astype(np.float32)
    everywhere = np.ones(SHAPE, bool)
    image = swi(magnitude, phase_mask(gaussian_highpass(unwrap_path(wrapped, everywhere), everywhere, ZOOMS)))
    i, j, k = BLEED
    near = image[i - 12 : i + 13, j - 12 : j + 13, k]
    diameter = 2 * np.sqrt((near < 0.7).sum() * ZOOMS[0] * ZOOMS[1] / np.pi)
    assert 2.4 < diameter < 5
