import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmb_toolkit.errors import DataError, UsageError
from cmb_toolkit.stage2.patches import beside, cut, phase_channel, swi_channel

SHAPE = (20, 18, 9)


@given(
    st.tuples(*(st.floats(-0.5, n - 0.51) for n in SHAPE)),
    st.sampled_from([2, 4, 16]),
)
def test_patch_is_the_padded_volume_around_the_nearest_voxel(centre, size):
    volume = np.random.default_rng(0).random(SHAPE).astype(np.float32) + 1
    padded = np.pad(volume, 16)
    i, j, k = (int(np.floor(c + 0.5)) + 16 - size // 2 for c in centre)
    patch = cut(volume, [centre], size)[0]
    assert np.array_equal(patch, padded[i : i + size, j : j + size, k : k + size])


def test_the_centre_stands_at_index_8():
    volume = np.zeros((40, 40, 40), np.float32)
    volume[20, 21, 22] = 1
    patch = cut(volume, [(20.4, 20.5, 22)])[0]
    assert np.argwhere(patch).tolist() == [[8, 8, 8]]


def test_swi_stands_beside_phase():
    swi, phase = np.zeros((3, 16, 16, 16), np.float32), np.ones((3, 16, 16, 16), np.float32)
    both = beside(swi, phase)
    assert both.shape == (3, 16, 32, 16)
    assert (both[:, :, :16] == 0).all()
    assert (both[:, :, 16:] == 1).all()


def test_no_candidates_give_no_patches():
    assert cut(np.zeros(SHAPE, np.float32), np.empty((0, 3))).shape == (0, 16, 16, 16)


@pytest.mark.parametrize("centre", [(-0.6, 3, 3), (3, 18, 3), (3, 3, np.nan)])
def test_centre_outside_the_volume(centre):
    with pytest.raises(DataError, match=r"outside the volume of 20 x 18 x 9 voxels.*stage1-detect"):
        cut(np.zeros(SHAPE, np.float32), [(3, 3, 3), centre])


@pytest.mark.parametrize("size", [0, 15, -2])
def test_sizes_that_cannot_be(size):
    with pytest.raises(UsageError, match="even number"):
        cut(np.zeros(SHAPE, np.float32), [(3, 3, 3)], size)


@pytest.fixture
def brain():
    mask = np.zeros((8, 8, 4), bool)
    mask[2:6, 2:6] = True
    return mask


@pytest.mark.parametrize("scale", ["fixed", "paper"])
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
    assert np.allclose(swi_channel(swi, large)[swi == 60], 0.6)
    assert np.allclose(swi_channel(hot, large)[hot == 60], 0.6)
    phase = np.where(brain, np.linspace(-1, 3, brain.size).reshape(brain.shape), 0).astype(np.float32)
    fixed = phase_channel(phase, brain)
    assert np.allclose(fixed[brain], phase[brain] / (2 * np.pi) + 0.5)


def test_empty_and_black_volumes_give_zeros(brain):
    black = np.zeros(brain.shape, np.float32)
    assert not swi_channel(black, brain).any()
    assert not swi_channel(black + 1, np.zeros_like(brain)).any()


def test_unknown_scale(brain):
    for channel in (swi_channel, phase_channel):
        with pytest.raises(UsageError, match=r"zscore.*fixed, paper"):
            channel(np.zeros(brain.shape, np.float32), brain, "zscore")
