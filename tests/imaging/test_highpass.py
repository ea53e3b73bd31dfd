"""High-pass filters: slow fields vanish, small lesions stay."""

from __future__ import annotations

import numpy as np
import pytest

from cmb_toolkit.imaging.gaussian import in_plane_mean
from cmb_toolkit.imaging.highpass import gaussian_highpass, homodyne_highpass

ZOOMS = (0.5, 0.5, 2.0)
X, Y, Z = np.mgrid[:128, :120, :3].astype(np.float32)
MASK = (X - 64) ** 2 + (Y - 60) ** 2 < 50**2
CORE = (X - 64) ** 2 + (Y - 60) ** 2 < 28**2
RAMP = 0.2 * X - 0.1 * Y + 0.5 * Z
LESION = (X == 64) & (Y == 60) & (Z == 1)


def wrap(x):
    return np.angle(np.exp(1j * x)).astype(np.float32)


def test_homodyne_of_a_ramp_is_nearly_zero():
    filtered = homodyne_highpass(MASK.astype(np.float32), wrap(RAMP * 0.2), MASK, ZOOMS)
    assert np.abs(filtered[CORE]).max() < 0.1
    assert (filtered[~MASK] == 0).all()


@pytest.mark.parametrize("axis", [0, 1])
def test_homodyne_does_not_mix_opposite_borders(axis):
    """A crop whose phase differs by pi from one border to the other: a Fourier transform takes them for neighbours."""
    n = X.shape[axis]
    ramp = (np.pi / n * (X if axis == 0 else Y)).astype(np.float32)
    filtered = homodyne_highpass(np.ones_like(X), ramp, np.ones_like(MASK), ZOOMS)
    assert np.abs(filtered).max() < 0.2


def test_gaussian_of_a_ramp_is_nearly_zero_away_from_the_rim():
    filtered = gaussian_highpass(RAMP, MASK, ZOOMS)
    assert np.abs(filtered[CORE]).max() < 0.01
    assert (filtered[~MASK] == 0).all()


@pytest.mark.parametrize("method", ["homodyne", "gaussian"])
def test_lesion_keeps_sign_and_most_of_its_phase(method):
    phase = 0.04 * X + np.where(LESION, 1.0, 0)
    if method == "homodyne":
        filtered = homodyne_highpass(np.ones_like(X), wrap(phase), MASK, ZOOMS)
    else:
        filtered = gaussian_highpass(phase, MASK, ZOOMS)
    assert filtered[64, 60, 1] > 0.9
    assert np.abs(filtered[64, 60, [0, 2]]).max() < 0.05  # in-plane: nothing leaks into the neighbours


def test_filter_is_odd_in_the_phase():
    phase = RAMP + np.random.default_rng(0).normal(0, 0.3, X.shape).astype(np.float32)
    np.testing.assert_allclose(
        gaussian_highpass(-phase, MASK, ZOOMS), -gaussian_highpass(phase, MASK, ZOOMS), atol=1e-5
    )
    one, other = (homodyne_highpass(np.ones_like(X), wrap(s * phase), MASK, ZOOMS) for s in (1, -1))
    np.testing.assert_allclose(other, -one, atol=1e-4)


def test_gaussian_does_not_see_whole_cycles_or_the_outside():
    base = gaussian_highpass(RAMP, MASK, ZOOMS)
    np.testing.assert_allclose(gaussian_highpass(RAMP + 4 * np.pi, MASK, ZOOMS), base, atol=1e-3)
    loud = np.where(MASK, RAMP, 1e3).astype(np.float32)
    np.testing.assert_allclose(gaussian_highpass(loud, MASK, ZOOMS), base, atol=1e-4)


def test_strong_values_are_cut_not_wrapped():
    filtered = gaussian_highpass(np.where(LESION, 9.0, 0).astype(np.float32), MASK, ZOOMS)
    assert filtered[64, 60, 1] == pytest.approx(np.pi)


def test_width_is_in_millimetres():
    """The same object on two grids is filtered alike."""
    fine = np.mgrid[:256, :256, :1].astype(np.float32)
    image = lambda i, j, v: 0.8 * np.sin(2 * np.pi * 0.08 * i * v) * np.cos(2 * np.pi * 0.05 * j * v)  # noqa: E731
    ones = np.ones((256, 256, 1), bool)
    one = homodyne_highpass(ones.astype(np.float32), image(*fine[:2], 0.5), ones, (0.5, 0.5, 2))
    two = homodyne_highpass(
        ones[::2, ::2].astype(np.float32), image(*fine[:2, ::2, ::2], 0.5), ones[::2, ::2], (1.0, 1.0, 2)
    )
    np.testing.assert_allclose(one[::2, ::2][16:-16, 16:-16], two[16:-16, 16:-16], atol=0.02)


def test_empty_mask_gives_zero():
    assert not gaussian_highpass(RAMP, np.zeros_like(MASK), ZOOMS).any()
    assert not homodyne_highpass(np.ones_like(RAMP), wrap(RAMP), np.zeros_like(MASK), ZOOMS).any()


def test_mean_of_a_constant_is_the_constant_under_any_weight():
    weight = np.random.default_rng(0).uniform(0, 1, X.shape).astype(np.float32)
    np.testing.assert_allclose(in_plane_mean(np.full_like(X, 3.0), weight, ZOOMS, 2.0), 3.0, rtol=1e-4)


def test_mean_is_wider_along_finer_voxels():
    point = np.zeros((41, 41, 1), np.float32)
    point[20, 20] = 1
    mean = in_plane_mean(point, np.ones_like(point), (0.5, 1.0, 2.0), 2.0)[..., 0]
    spread = [np.sqrt((mean.sum(1 - a) * (np.arange(41) - 20.0) ** 2).sum() / mean.sum()) for a in (0, 1)]
    assert spread[0] == pytest.approx(4.0, rel=0.05)
    assert spread[1] == pytest.approx(2.0, rel=0.05)
