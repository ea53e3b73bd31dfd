"""Grey values to 0..1 inside the brain."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cmb_toolkit.imaging.normalise import complement, minmax

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
