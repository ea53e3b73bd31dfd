"""Bright voxels that overflowed int16 are counted; what is negative for another reason is not."""

import numpy as np
import pytest

from cmb_toolkit.imaging.overflow import overflowed


@pytest.fixture
def bright():
    """A head whose brightest vessel goes past 32767."""
    i, j, _ = np.indices((40, 40, 8))
    signal = 20000.0 * (np.hypot(i - 20, j - 20) < 15) + 20000 * np.exp(-((i - 15) ** 2 + (j - 20) ** 2) / 8)
    return signal + 200 * np.random.default_rng(0).standard_normal(signal.shape)


def test_wrapped_voxels_are_counted(bright):
    wrapped = np.abs(bright).astype(np.int64).astype(np.int16)
    count = int((np.abs(bright) > 32767.5).sum())
    assert count > 20
    assert overflowed(wrapped.astype(np.float32)) == pytest.approx(count, abs=count * 0.1)
    assert overflowed(wrapped.astype(np.float32) * 0.01) == overflowed(wrapped.astype(np.float32)), "whatever the slope"


def test_one_voxel_is_enough(bright):
    signal = np.minimum(np.abs(bright), 32767).astype(np.float32)
    signal[15, 20, 4] = -32760
    assert overflowed(signal) == 1


@pytest.mark.parametrize("kind", ["rings", "phase", "masked phase", "isolated"])
def test_other_negative_values(bright, kind):
    rng = np.random.default_rng(1)
    head = np.abs(bright) > 5000
    if kind == "rings":
        values = np.where(head, np.abs(bright), -0.05 * np.abs(bright) - 300)
    elif kind == "isolated":  # negative, but nothing bright beside
        values = np.where(head, np.abs(bright), 0)
        values[2, 2, 2] = -30000
    else:
        values = rng.uniform(-4096, 4095, bright.shape) * (head if kind == "masked phase" else 1)
    assert overflowed(values.astype(np.float32)) == 0
