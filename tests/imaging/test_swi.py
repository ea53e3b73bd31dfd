"""The phase mask, the SWI and its minimum-intensity projection."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cmb_toolkit.imaging.swi import extreme_phase, minip, phase_mask, swi


def test_mask_at_known_phases():
    phase = np.array([-np.pi, -1.0, 0.0, np.pi / 2, np.pi, 4.0], np.float32)
    np.testing.assert_allclose(phase_mask(phase), [1, 1, 1, 0.5, 0, 0], atol=1e-6)


def test_swi_at_known_phases():
    phase = np.array([-np.pi / 2, 0.0, np.pi / 2, np.pi], np.float32)
    np.testing.assert_allclose(swi(np.full(4, 8.0, np.float32), phase_mask(phase)), [8, 8, 0.5, 0], atol=1e-5)
    np.testing.assert_allclose(swi(np.full(4, 8.0, np.float32), phase_mask(phase), power=1), [8, 8, 4, 0], atol=1e-5)


def test_paramagnetic_blood_is_dark_and_calcification_is_not():
    magnitude = np.full(2, 100.0, np.float32)
    vein, calcification = swi(magnitude, phase_mask(np.array([0.8, -0.8], np.float32)))
    assert vein < 50
    assert calcification == 100


def test_other_polarity_and_scale():
    phase = np.array([-np.pi / 2, 0.0, 1.0, 2.0], np.float32)
    np.testing.assert_allclose(phase_mask(phase, polarity=-1), [0.5, 1, 1, 1])
    np.testing.assert_allclose(phase_mask(phase, full=2.0), [1, 1, 0.5, 0])
    inside = np.array([True, True, True, False])
    assert extreme_phase(phase, inside) == pytest.approx(1.0)
    assert extreme_phase(phase, inside, polarity=-1) == pytest.approx(np.pi / 2)
    assert extreme_phase(np.zeros(4, np.float32), inside) == pytest.approx(np.pi)


@given(arrays(np.float32, 20, elements=st.floats(-4, 4, width=32)))
def test_mask_falls_with_phase_and_stays_in_range(phase):
    mask = phase_mask(np.sort(phase))
    assert ((mask >= 0) & (mask <= 1)).all()
    assert (np.diff(mask) <= 1e-7).all()


@pytest.mark.parametrize("slices", [1, 2, 3, 4, 5])
def test_minip_takes_the_lowest_of_neighbours(slices):
    volume = np.random.default_rng(slices).uniform(1, 2, (3, 4, 9)).astype(np.float32)
    below, above = (slices - 1) // 2, slices // 2
    expected = np.stack([volume[:, :, max(0, k - below) : k + above + 1].min(2) for k in range(9)], 2)
    np.testing.assert_array_equal(minip(volume, slices), expected)


def test_minip_ignores_the_background():
    volume = np.full((2, 2, 5), 7.0, np.float32)
    mask = np.ones(volume.shape, bool)
    mask[0, 0, :2] = False
    mask[1, 1] = False
    volume[~mask] = 0
    projected = minip(volume, 3, mask)
    assert (projected[1, 1] == 0).all()
    assert projected[0, 0].tolist() == [0, 7, 7, 7, 7]


def haacke(magnitude: np.ndarray, phase: np.ndarray, times: int) -> np.ndarray:
    """Haacke 2004 as its text has it, voxel by voxel, for left-handed phase: veins are negative.

    f(x) = (pi + phi(x)) / pi for -pi < phi(x) < 0, else 1; rho'(x) = f(x)^m rho(x).
    """
    result = np.empty(len(phase))
    for n, (rho, phi) in enumerate(zip(magnitude, phase, strict=True)):
        f = (np.pi + phi) / np.pi if -np.pi < phi < 0 else 1.0
        for _ in range(times):
            rho = f * rho  # noqa: PLW2901
        result[n] = rho
    return result


@given(arrays(np.float64, 30, elements=st.floats(-3.14, 3.14)), st.integers(1, 8))
def test_the_published_formula_on_phase_of_the_other_hand(phase, times):
    """Written out from the publication for its own sign of phase, and applied to ours turned round."""
    magnitude = np.linspace(1, 900, 30)
    ours = swi(magnitude.astype(np.float32), phase_mask(phase.astype(np.float32)), times)
    np.testing.assert_allclose(ours, haacke(magnitude, -phase, times), rtol=1e-4, atol=1e-3)
