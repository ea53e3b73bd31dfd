"""The phase mask, the SWI and its minimum-intensity projection."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cmb_toolkit.imaging.highpass import gaussian_highpass
from cmb_toolkit.imaging.swi import extreme_phase, minip, phase_mask, swi
from cmb_toolkit.imaging.unwrap import unwrap_path


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


# ---- the formulas of two other tools, written out anew, on the same filtered phase


def sepia(magnitude: np.ndarray, phase: np.ndarray, threshold: float = np.pi, times: int = 4) -> np.ndarray:
    """SEPIA's SWI of positive phase: a line from 1 at 0 rad to 0 at the threshold, to the power of `times`."""
    falling = np.interp(phase, [0.0, threshold], [1.0, 0.0])
    return magnitude * falling**times


def clear_swi(magnitude: np.ndarray, phase: np.ndarray, mask: np.ndarray, strength: float = 4.0) -> np.ndarray:
    """CLEAR-SWI's default (Eckstein 2021): a sigmoid around the scan's own median of positive phase, once."""
    middle = np.median(phase[mask & (phase > 0)]) * 10 / strength
    return magnitude * 0.5 * (1 + np.tanh(1 - phase / middle))


@pytest.fixture(scope="module")
def filtered(head):
    return gaussian_highpass(unwrap_path(head.phase, head.brain), head.brain, head.zooms)


def test_sepia_gives_the_same_image(head, filtered):
    ours = swi(head.magnitude, phase_mask(filtered))
    np.testing.assert_allclose(ours, sepia(head.magnitude, filtered), rtol=1e-4, atol=1e-6)


def test_clear_swi_darkens_the_same_and_harder(head, filtered):
    """A sigmoid at the scan's own median saturates early; it is less than 1 at 0 rad and rises for negative phase."""
    vessels = head.brain & (head.magnitude < 0.6) & (filtered > 0.5)
    tissue = head.brain & (np.abs(filtered) < 0.02)
    negative = head.brain & (filtered < -0.1)
    assert min(vessels.sum(), tissue.sum(), negative.sum()) > 100
    ours, theirs = (
        image / np.median(image[tissue])
        for image in (swi(head.magnitude, phase_mask(filtered)), clear_swi(head.magnitude, filtered, head.brain))
    )
    plain = head.magnitude / np.median(head.magnitude[tissue])
    assert np.median(theirs[vessels]) < np.median(ours[vessels]) < 0.6 * np.median(plain[vessels])
    np.testing.assert_allclose(ours[negative], plain[negative], rtol=0.05)
    assert np.median(theirs[negative] / plain[negative]) > 1.08
    # both only ever put voxels in one order: the more positive, the darker
    phase = np.linspace(-1, np.pi, 50)
    for weight in (phase_mask(phase.astype(np.float32)), clear_swi(np.ones(50), phase, np.ones(50, bool))):
        assert (np.diff(weight) <= 1e-7).all()
