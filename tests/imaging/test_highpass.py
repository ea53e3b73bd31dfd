"""High-pass filters: slow fields vanish, small lesions stay."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmb_toolkit.imaging.gaussian import in_plane_mean, in_plane_trend
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


def test_gaussian_of_a_ramp_is_zero_up_to_the_rim():
    """A mean over the mask leaves half a radian there: the voxels around lie to one side."""
    filtered = gaussian_highpass(RAMP, MASK, ZOOMS)
    assert np.abs(filtered).max() < 1e-3
    assert (filtered[~MASK] == 0).all()


def slow_trend(plane, mask, zooms, sigma_mm, at):
    """The same by least squares of its own, voxel by voxel."""
    i, j = np.nonzero(mask)
    x, y = (i - at[0]) * zooms[0], (j - at[1]) * zooms[1]
    reach = [max(1, int(3 * sigma_mm / size + 0.5)) for size in zooms[:2]]
    near = (np.abs(i - at[0]) <= reach[0]) & (np.abs(j - at[1]) <= reach[1])
    root = np.exp(-(x**2 + y**2) / (4 * sigma_mm**2))[near]
    terms = np.stack([np.ones(near.sum()), x[near], y[near]], 1)
    return np.linalg.lstsq(terms * root[:, None], plane[i, j][near] * root, rcond=1e-6)[0][0]


MASKS = {
    "brain": lambda rng: MASK[:60, :60, 0],
    "few": lambda rng: rng.random((40, 44)) < 0.02,
    "holes": lambda rng: rng.random((40, 44)) < 0.6,
    "row": lambda rng: (np.arange(40) == 20)[:, None] & (np.arange(44) > 7),
    "diagonal": lambda rng: np.eye(40, dtype=bool),
    "block of four": lambda rng: np.kron(np.eye(2, dtype=bool), np.ones((2, 2), bool)),
    "one": lambda rng: np.ones((1, 1), bool),
    "whole": lambda rng: np.ones((40, 44), bool),
}


@pytest.mark.parametrize("shape", MASKS)
@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_gaussian_takes_every_plane_out_of_every_mask(shape, seed):
    rng = np.random.default_rng(seed)
    mask = MASKS[shape](rng)[..., None]
    slope = rng.uniform(-0.5, 0.5, 2)
    i, j = np.indices(mask.shape[:2])
    plane = (rng.uniform(-50, 50) + slope[0] * i + slope[1] * j)[..., None].astype(np.float32)
    zooms = (*rng.uniform(0.4, 2, 2), 2.0)
    assert np.abs(gaussian_highpass(plane, mask, zooms)).max() < 1e-3
    assert np.abs(gaussian_highpass(np.full_like(plane, 7), mask, zooms)).max() < 1e-4


@pytest.mark.parametrize("shape", MASKS)
def test_trend_is_the_least_squares_fit(shape):
    rng = np.random.default_rng(3)
    mask = MASKS[shape](rng)
    plane = rng.normal(5, 1, mask.shape).astype(np.float32)
    zooms = (0.7, 0.9, 2.0)
    trend = in_plane_trend(plane[..., None], mask[..., None].astype(np.float32), zooms, 2.5)[..., 0]
    assert (trend[~mask] == 0).all()
    places = np.argwhere(mask)
    for at in places[rng.permutation(len(places))[:25]]:
        assert trend[tuple(at)] == pytest.approx(slow_trend(plane, mask, zooms, 2.5, at), abs=2e-3), at


def test_deep_inside_the_trend_is_the_mean():
    values = np.random.default_rng(1).normal(0, 1, X.shape).astype(np.float32)
    trend = in_plane_trend(values, MASK.astype(np.float32), ZOOMS, 2.5)
    mean = in_plane_mean(values, MASK.astype(np.float32), ZOOMS, 2.5)
    np.testing.assert_allclose(trend[CORE], mean[CORE], atol=1e-5)


def test_noise_of_a_dark_rim_does_not_reach_the_brain():
    """The mask holds a millimetre of skull, whose phase is anything."""
    rng = np.random.default_rng(2)
    skull = MASK & ((X - 64) ** 2 + (Y - 60) ** 2 >= 48**2)
    phase = np.where(skull, rng.uniform(-np.pi, np.pi, X.shape), RAMP / 4).astype(np.float32)
    magnitude = np.where(skull, 0.1, 1.0).astype(np.float32)
    blind, seeing = (gaussian_highpass(phase, MASK, ZOOMS, magnitude=m) for m in (None, magnitude))
    brain = MASK & ~skull
    assert np.abs(seeing[brain]).mean() < 0.3 * np.abs(blind[brain]).mean()
    assert np.abs(seeing[brain]).max() < 0.5 * np.abs(blind[brain]).max()
    np.testing.assert_allclose(seeing[CORE], blind[CORE], atol=1e-4)


def test_a_dark_vein_inside_counts_in_full():
    vein = (np.abs(X - 64) < 2) & MASK
    phase, magnitude = np.where(vein, 1.0, 0).astype(np.float32), np.where(vein, 0.1, 1).astype(np.float32)
    middle = np.s_[40:90, 40:80]
    np.testing.assert_array_equal(
        gaussian_highpass(phase, MASK, ZOOMS, magnitude=magnitude)[middle],
        gaussian_highpass(phase, MASK, ZOOMS)[middle],
    )


def test_a_dark_tongue_of_the_mask_is_filtered_by_its_own_phase():
    tongue = (np.abs(Y - 60) < 8) & (X > 14) & ~MASK
    mask = MASK | tongue
    magnitude = np.where(tongue, 0.01, 1.0).astype(np.float32)
    assert np.abs(gaussian_highpass(RAMP, mask, ZOOMS, magnitude=magnitude)).max() < 1e-3


def test_what_lies_outside_the_mask_does_not_matter_even_nan():
    filtered = gaussian_highpass(np.where(MASK, RAMP, np.nan).astype(np.float32), MASK, ZOOMS)
    np.testing.assert_array_equal(filtered, gaussian_highpass(RAMP, MASK, ZOOMS))


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
