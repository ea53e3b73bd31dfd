import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmb_toolkit.errors import UsageError
from cmb_toolkit.stage2.augment import epoch, joint_index, symmetries, transform


def distinct(index):
    return len({cube.tobytes() for cube in index})


@pytest.mark.parametrize(
    ("name", "total", "different"), [("paper", 24, 19), ("in-plane", 16, 16), ("drawn", 16, 16), ("none", 1, 1)]
)
def test_numbers_of_copies(name, total, different):
    index = symmetries(name, 4)
    assert index.shape == (total, 4, 4, 4)
    assert distinct(index) == different
    assert np.array_equal(index[0].ravel(), np.arange(64))


def test_each_direction_has_the_eight_symmetries_of_the_square():
    index = symmetries("paper", 4)
    assert [distinct(index[n : n + 8]) for n in (0, 8, 16)] == [8, 8, 8]
    cube = np.random.default_rng(0).random((4, 4, 4))
    turned = cube.ravel()[index]
    for direction, fixed_axis in ((slice(0, 8), 2), (slice(8, 16), 0), (slice(16, 24), 1)):
        # what varies along the fixed axis only is not moved at all
        ramp = np.moveaxis(np.broadcast_to(np.arange(4), (4, 4, 4)), 2, fixed_axis)
        assert (ramp.ravel()[index[direction]] == ramp).all()
    assert np.array_equal(turned[1], np.rot90(cube, 1, (0, 1)))
    assert np.array_equal(turned[8 + 1], np.rot90(cube, 1, (1, 2)))
    assert np.array_equal(turned[16 + 1], np.rot90(cube, 1, (0, 2)))


def test_symmetries_are_distances_kept():
    points = np.indices((4, 4, 4)).reshape(3, -1).T
    for index in (symmetries("paper", 4), symmetries("in-plane", 4)):
        for cube in index.reshape(len(index), -1):
            moved = points[cube]
            assert np.array_equal(
                np.linalg.norm(moved[:, None] - moved[None], axis=2), np.linalg.norm(points[:, None] - points, axis=2)
            )


def test_in_plane_keeps_slices_together():
    index = symmetries("in-plane", 4)
    k = np.broadcast_to(np.arange(4), (4, 4, 4)).ravel()[index]
    assert (k == k[:, :1, :1, :]).all()


@given(st.integers(0, 23), st.integers(0, 2**32 - 1))
def test_halves_are_turned_alike_and_never_mixed(which, seed):
    rng = np.random.default_rng(seed)
    cubes = symmetries("paper", 4)
    swi, phase = rng.random((2, 4, 4, 4)).astype(np.float32)
    patch = np.concatenate([swi, phase], axis=1)[None]
    turned = transform(patch, joint_index(cubes), np.array([which]))[0]
    assert np.array_equal(turned[:, :4], swi.ravel()[cubes[which]])
    assert np.array_equal(turned[:, 4:], phase.ravel()[cubes[which]])


def test_an_epoch_of_24_copies_is_the_papers_augmented_set():
    patch, turn = epoch(np.array([24, 24, 24]), 24, np.random.default_rng(0))
    assert sorted(zip(patch.tolist(), turn.tolist(), strict=True)) == [(p, t) for p in range(3) for t in range(24)]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(1, 24), st.integers(0, 1000))
def test_copies_are_in_different_symmetries_while_there_are_enough(copies, symmetries_, seed):
    copies = np.array(copies)
    patch, turn = epoch(copies, symmetries_, np.random.default_rng(seed))
    assert np.array_equal(np.bincount(patch, minlength=len(copies)), copies)
    assert turn.min() >= 0
    assert turn.max() < symmetries_
    for n, count in enumerate(copies):
        shown = np.bincount(turn[patch == n], minlength=symmetries_)
        assert shown.max() - shown.min() <= 1
        assert (shown > 0).sum() == min(count, symmetries_)


def test_unknown_augmentation():
    with pytest.raises(UsageError, match=r"mirror.*paper, in-plane, drawn, none"):
        symmetries("mirror")
