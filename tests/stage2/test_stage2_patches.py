import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmb_toolkit.errors import DataError, UsageError
from cmb_toolkit.stage2.patches import beside, cut

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
    with pytest.raises(DataError, match=r"outside the volume of 20 x 18 x 9 voxels.*find candidates again"):
        cut(np.zeros(SHAPE, np.float32), [(3, 3, 3), centre])


@pytest.mark.parametrize("size", [0, 15, -2])
def test_sizes_that_cannot_be(size):
    with pytest.raises(UsageError, match="even number"):
        cut(np.zeros(SHAPE, np.float32), [(3, 3, 3)], size)
