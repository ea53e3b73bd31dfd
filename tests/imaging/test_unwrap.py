"""Unwrapping of phases that are known, up to whole cycles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmb_toolkit.errors import DataError
from cmb_toolkit.imaging.highpass import gaussian_highpass
from cmb_toolkit.imaging.unwrap import unwrap_laplacian, unwrap_path

X, Y, Z = np.mgrid[:48, :44, :10].astype(np.float32)
BALL = (X - 24) ** 2 + (Y - 22) ** 2 < 20**2
GAUSSIAN = 14 * np.exp(-((X - 20) ** 2 + (Y - 20) ** 2 + 9 * (Z - 5) ** 2) / 300)
RAMP = 0.5 * X - 0.3 * Y + 0.4 * Z


def wrap(x):
    return np.angle(np.exp(1j * x)).astype(np.float32)


@pytest.mark.parametrize("true", [GAUSSIAN, RAMP], ids=["gaussian", "ramp"])
def test_path_recovers_the_phase_up_to_whole_cycles(true):
    found = unwrap_path(wrap(true), BALL)
    cycles = (found - true)[BALL] / (2 * np.pi)
    assert np.ptp(cycles) < 1e-4
    np.testing.assert_allclose(cycles, np.rint(cycles[0]), atol=1e-4)
    assert (found[~BALL] == 0).all()


@given(st.floats(-0.6, 0.6), st.floats(-0.6, 0.6), st.floats(-0.6, 0.6), st.floats(-20, 20))
@settings(max_examples=15, deadline=None)
def test_path_recovers_any_ramp_from_any_offset(a, b, c, offset):
    true = (a * X + b * Y + c * Z + offset).astype(np.float32)
    found = unwrap_path(wrap(true), BALL)
    assert np.ptp((found - true)[BALL]) < 1e-3


def test_path_accepts_zero_to_two_pi():
    found = unwrap_path(np.mod(GAUSSIAN, 2 * np.pi), BALL)
    assert np.ptp((found - GAUSSIAN)[BALL]) < 1e-3


def test_path_ignores_what_is_outside():
    noise = np.random.default_rng(0).uniform(-np.pi, np.pi, GAUSSIAN.shape)
    noisy = np.where(BALL, wrap(GAUSSIAN), noise).astype(np.float32)
    np.testing.assert_allclose(unwrap_path(noisy, BALL), unwrap_path(wrap(GAUSSIAN), BALL), atol=1e-6)


def test_path_of_one_slice():
    found = unwrap_path(wrap(GAUSSIAN)[:, :, 5:6], BALL[:, :, 5:6])
    assert np.ptp((found - GAUSSIAN[:, :, 5:6])[BALL[:, :, 5:6]]) < 1e-3


def test_path_is_deterministic_at_the_ends_of_a_slab():
    """skimage alone puts border voxels in a random order, and a slab's end slices are all border."""
    noisy = wrap(GAUSSIAN + np.random.default_rng(3).normal(0, 1.2, GAUSSIAN.shape))
    everywhere = np.ones_like(BALL)
    first = unwrap_path(noisy, everywhere)
    for _ in range(5):
        np.testing.assert_array_equal(unwrap_path(noisy, everywhere), first)


def test_laplacian_recovers_the_phase_up_to_a_constant():
    true = 9 * np.exp(-((X - 20) ** 2 + (Y - 20) ** 2 + 9 * (Z - 5) ** 2) / 600)
    found = unwrap_laplacian(wrap(true), np.ones_like(BALL), (1.0, 1.0, 2.0))
    assert np.std(found - true) < 0.15  # finite differences of the wrapped field
    assert np.std(wrap(true) - true) > 2


def test_noise_outside_leaves_the_laplacian_with_the_high_pass():
    noise = np.random.default_rng(0).uniform(-np.pi, np.pi, GAUSSIAN.shape)
    quiet, noisy = (
        gaussian_highpass(unwrap_laplacian(np.where(BALL, wrap(GAUSSIAN), other), BALL, (1, 1, 2)), BALL, (1, 1, 2))
        for other in (wrap(GAUSSIAN), noise)
    )
    core = (X - 24) ** 2 + (Y - 22) ** 2 < 12**2
    assert np.std((noisy - quiet)[core]) < 0.05
    assert (noisy[~BALL] == 0).all()


@pytest.mark.parametrize("call", [unwrap_path, lambda p, m: unwrap_laplacian(p, m, (1, 1, 1))])
def test_empty_mask(call):
    with pytest.raises(DataError, match="mask is empty"):
        call(wrap(RAMP), np.zeros_like(BALL))
