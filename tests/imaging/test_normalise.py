"""Grey values to 0..1 inside the brain."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmb_toolkit.errors import UsageError
from cmb_toolkit.imaging.normalise import complement, minmax, phase_channel, swi_channel

MASK = np.zeros((6, 6, 4), bool)
MASK[1:5, 1:5] = True


@given(st.integers(0, 1000), st.floats(0.1, 1e4), st.floats(-1e3, 1e3))
def test_range_is_zero_to_one_whatever_the_scale(seed, scale, offset):
    volume = (np.random.default_rng(seed).normal(0, 1, MASK.shape) * scale + offset).astype(np.float32)
    result = minmax(volume, MASK)
    assert result[MASK].min() == 0
    assert result[MASK].max() == 1
    assert (result[~MASK] == 0).all()
    order = np.argsort(volume[MASK], kind="stable")
    assert (np.diff(result[MASK][order]) >= 0).all()


def test_background_does_not_count():
    volume = np.where(MASK, np.random.default_rng(0).uniform(5, 6, MASK.shape), -100).astype(np.float32)
    assert minmax(volume, MASK)[MASK].max() == 1
    assert np.median(minmax(volume, MASK)[MASK]) < 0.7


def test_per_slice():
    volume = np.random.default_rng(0).uniform(0, 1, MASK.shape).astype(np.float32) * np.arange(1, 5)
    result = minmax(volume, MASK, per_slice=True)
    for k in range(4):
        assert result[:, :, k][MASK[:, :, k]].min() == 0
        assert result[:, :, k][MASK[:, :, k]].max() == 1
    assert minmax(volume, MASK)[:, :, 0].max() < 0.5


def test_constant_or_empty_gives_zero():
    assert not minmax(np.full(MASK.shape, 3.0, np.float32), MASK).any()
    assert not minmax(np.ones(MASK.shape, np.float32), np.zeros_like(MASK)).any()


def test_complement_is_its_own_inverse_and_keeps_the_background():
    x = minmax(np.random.default_rng(0).normal(0, 1, MASK.shape).astype(np.float32), MASK)
    np.testing.assert_allclose(complement(complement(x, MASK), MASK), x, atol=1e-6)
    np.testing.assert_allclose(complement(x, MASK)[MASK], 1 - x[MASK])
    assert (complement(x, MASK)[~MASK] == 0).all()


def test_the_literal_complement_is_white_outside():
    x = minmax(np.random.default_rng(0).normal(0, 1, MASK.shape).astype(np.float32), MASK)
    np.testing.assert_array_equal(complement(x, MASK, background="white"), 1 - x)
    with pytest.raises(UsageError, match=r"grey.*black, white"):
        complement(x, MASK, background="grey")


@pytest.fixture
def brain():
    mask = np.zeros((8, 8, 4), bool)
    mask[2:6, 2:6] = True
    return mask


@pytest.mark.parametrize("scale", ["fixed", "paper", "slice"])
def test_channels_lie_in_0_to_1_and_are_0_outside(brain, scale):
    rng = np.random.default_rng(1)
    swi, phase = rng.normal(500, 200, brain.shape).astype("f"), rng.normal(0, 2, brain.shape).astype("f")
    for channel in (swi_channel(swi, brain, scale), phase_channel(phase, brain, scale)):
        assert channel.dtype == np.float32
        assert channel.min() >= 0
        assert channel.max() <= 1
        assert (channel[~brain] == 0).all()
        assert channel[brain].std() > 0.1


def test_paper_scale_is_equation_2(brain):
    values = np.linspace(-3, 7, brain.size).reshape(brain.shape).astype(np.float32)
    inside = values[brain]
    expected = (inside - inside.min()) / (inside.max() - inside.min())
    for channel in (swi_channel, phase_channel):
        assert np.allclose(channel(values, brain, "paper")[brain], expected, atol=1e-6)


def test_fixed_scale_withstands_outliers_and_keeps_the_sign(brain):
    swi = np.where(brain, 100.0, 0).astype(np.float32)
    swi[2, 2, :] = 60
    hot = swi.copy()
    large = np.repeat(np.repeat(brain, 8, 0), 8, 1)
    swi, hot = (np.repeat(np.repeat(v, 8, 0), 8, 1) for v in (swi, hot))
    hot[20, 20, 0] = 5000
    assert np.allclose(swi_channel(swi, large, "fixed")[swi == 60], 0.6)
    assert np.allclose(swi_channel(hot, large, "fixed")[hot == 60], 0.6)
    phase = np.where(brain, np.linspace(-1, 3, brain.size).reshape(brain.shape), 0).astype(np.float32)
    fixed = phase_channel(phase, brain, "fixed")
    assert np.allclose(fixed[brain], phase[brain] / (2 * np.pi) + 0.5)


def test_empty_and_black_volumes_give_zeros(brain):
    black = np.zeros(brain.shape, np.float32)
    assert not swi_channel(black, brain, "fixed").any()
    assert not swi_channel(black + 1, np.zeros_like(brain), "fixed").any()


def test_unknown_scale(brain):
    for channel in (swi_channel, phase_channel):
        with pytest.raises(UsageError, match=r"zscore.*paper, slice, fixed"):
            channel(np.zeros(brain.shape, np.float32), brain, "zscore")
