"""Whether a phase was high-passed before."""

from __future__ import annotations

import numpy as np
import pytest

from cmb_toolkit.imaging.highpass import gaussian_highpass, homodyne_highpass
from cmb_toolkit.imaging.slow_phase import FILTERED_RAD, slow_phase

SHAPE, ZOOMS = (96, 112, 6), (1.0, 1.0, 2.0)


def head(field_rad_per_mm=0.15, offset=0.0, noise=0.05):
    """Magnitude, unwrapped phase and mask: a brain in air, with a curved field, vessels and noise."""
    rng = np.random.default_rng(0)
    x, y = ((np.arange(n) - (n - 1) / 2)[:, None] for n in SHAPE[:2])
    radius2 = ((x / 40) ** 2 + (y.T / 48) ** 2)[:, :, None] + np.zeros(SHAPE)
    mask = radius2 < 1
    magnitude = np.where(mask, 1.0, 0.02)
    phase = field_rad_per_mm * (x + 0.01 * y.T**2)[:, :, None] + offset + np.zeros(SHAPE)
    for i, j in zip(rng.integers(20, 76, 40), rng.integers(20, 92, 40), strict=True):
        phase[i, j] += 1.0
        magnitude[i, j] = 0.5
    phase += noise * rng.standard_normal(SHAPE)
    phase = np.where(mask, phase, rng.uniform(-np.pi, np.pi, SHAPE))
    return magnitude.astype(np.float32), phase.astype(np.float32), mask


def wrapped(phase):
    return np.angle(np.exp(1j * phase)).astype(np.float32)


@pytest.mark.parametrize("noise", [0.02, 0.3])
@pytest.mark.parametrize("field", [0.03, 0.15, 0.5])
def test_an_unfiltered_phase_varies_over_centimetres(field, noise):
    magnitude, phase, mask = head(field, noise=noise)
    varies = slow_phase(wrapped(phase), magnitude, mask, ZOOMS)
    assert varies.is_unfiltered
    assert not varies.is_filtered
    again = slow_phase(phase, magnitude, mask, ZOOMS)  # unwrapped is the same
    assert (again.slow, again.fast) == pytest.approx((varies.slow, varies.fast), abs=1e-4)


def test_the_little_phase_of_a_short_echo_is_not_taken_for_filtered():
    magnitude, phase, mask = head(0.03, noise=0.02)
    assert not slow_phase(phase * 0.1, magnitude, mask, ZOOMS).is_filtered


def test_an_offset_is_no_filter():
    magnitude, phase, mask = head(0.001, offset=1.0)
    assert slow_phase(wrapped(phase), magnitude, mask, ZOOMS).is_unfiltered


@pytest.mark.parametrize("noise", [0.05, 0.3])
@pytest.mark.parametrize("field", [0.03, 0.15])
def test_what_a_filter_leaves(field, noise):
    magnitude, phase, mask = head(field, noise=noise)
    for sigma in (2.5, 5.0):
        filtered = gaussian_highpass(phase, mask, ZOOMS, sigma_mm=sigma)
        varies = slow_phase(filtered, magnitude, mask, ZOOMS)
        assert varies.slow < FILTERED_RAD / 2
        assert varies.is_filtered
    everywhere = np.ones_like(mask)  # as scanners filter, with the noise outside left as it is
    for width in (0.25, 0.125):
        filtered = homodyne_highpass(magnitude, wrapped(phase), everywhere, ZOOMS, width=width)
        assert slow_phase(filtered, magnitude, mask, ZOOMS).is_filtered
        assert slow_phase(filtered, magnitude, everywhere, ZOOMS).is_filtered  # air does not count


def test_too_small_to_tell():
    magnitude, phase, mask = head()
    mask[4:] = False
    for few in (mask, np.zeros_like(mask)):
        varies = slow_phase(phase, magnitude, few, ZOOMS)
        assert np.isnan(varies.slow)
        assert not varies.is_filtered
        assert not varies.is_unfiltered
