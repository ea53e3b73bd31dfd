import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmb_toolkit.errors import DataError, UsageError
from cmb_toolkit.imaging.normalise import phase_channel, swi_channel
from cmb_toolkit.stage2.patches import beside, cut, patches_of

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


SPACING = (0.5, 0.5, 1.0)
SMALL, LARGE = (20, 30, 15), (60, 40, 16)


@pytest.fixture(scope="module")
def scan():
    """A brain with balls of 3 and of 7 mm, dark and of positive phase, the larger one at the corner of eight voxels."""
    places = np.stack(np.indices((81, 64, 33)), -1)
    small = np.linalg.norm((places - SMALL) * SPACING, axis=-1) <= 1.5
    large = np.linalg.norm((places - np.array(LARGE) - 0.5) * SPACING, axis=-1) <= 3.5
    mask = np.ones(small.shape, bool)
    mask[:, :4] = False
    swi = np.where(mask, np.where(small | large, 100, 500), 0).astype(np.float32)
    return swi, np.where(mask, 1.5 * (small | large), 0).astype(np.float32), mask


def look(scan, centres, shrink_from):
    return patches_of(*scan, SPACING, np.array(centres, float), scale="fixed", size=16, shrink_from=shrink_from)


def test_what_looks_large_is_shown_shrunk_and_nothing_else_is(scan):
    swi, phase, mask = scan
    centres = [SMALL, LARGE, (40, 20, 8)]
    plain = beside(cut(swi_channel(swi, mask, "fixed"), centres), cut(phase_channel(phase, mask, "fixed"), centres))
    assert np.array_equal(look(scan, centres, 0), plain)
    shown = look(scan, centres, 5)
    assert np.array_equal(shown[[0, 2]], plain[[0, 2]])
    both = np.stack([swi_channel(swi, mask, "fixed"), phase_channel(phase, mask, "fixed")])
    means = np.pad(both, ((0, 0), (0, 1), (0, 0), (0, 1))).reshape(2, 41, 2, 32, 2, 17, 2).mean((2, 4, 6))
    i, j, k = (n // 2 for n in LARGE)
    around = means[:, i - 8 : i + 8, j - 8 : j + 8, k - 8 : k + 8]
    np.testing.assert_allclose(shown[1], np.concatenate(list(around), axis=1), atol=1e-6)
    dark = shown[1][:, :16] < shown[1][:, :16].max() / 2
    assert 3.0 < 2 * (3 * dark.sum() * np.prod(SPACING) / (4 * np.pi)) ** (1 / 3) < 4.0, "a ball of 7 mm as one of 3.5"


def test_what_is_small_beside_something_large_is_shown_as_it_is(scan):
    i, j, k = LARGE
    for off, shrunk in ((0, True), (4, True), (7, False)):  # 2.1 and 3.8 mm from its middle
        same = np.array_equal(*(look(scan, [(i - off, j, k)], least) for least in (0, 5)))
        assert same != shrunk


def test_how_large_is_chosen(scan):
    shown = [look(scan, [LARGE], least) for least in (0, 6, 8)]
    assert np.array_equal(shown[0], shown[2])
    assert not np.array_equal(shown[0], shown[1])


@given(st.tuples(*(st.floats(-0.5, n - 0.51) for n in (81, 64, 33))))
def test_every_place_of_a_volume_has_a_shrunk_patch(scan, centre):
    assert look(scan, [centre], 1e-6).shape == (1, 16, 32, 16)


def test_no_candidate_of_a_scan_is_no_patch(scan):
    assert look(scan, np.empty((0, 3)), 5).shape == (0, 16, 32, 16)
