import numpy as np
import pytest

from cmb_toolkit.stage2.drawing import vary


def patches(n=40):
    random = np.random.default_rng(0)
    return random.uniform(0, 1, (n, 16, 32, 16)).astype(np.float32)


def test_the_same_choice_gives_the_same_patches_and_another_others():
    given = patches(3)
    first, again, other = (vary(given, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1
    np.testing.assert_array_equal(given, patches(3), "what was given stays as it was")


def test_values_stay_in_range_and_black_stays_black():
    given = patches()
    given[:, :5] = 0
    drawn = vary(given, np.random.default_rng(0))
    assert (drawn.dtype, drawn.shape, drawn.min()) == (np.float32, given.shape, 0)
    assert drawn.max() <= 1
    assert not drawn[:, :4].any(), "a row further in may have moved out, none further"


@pytest.mark.parametrize("half", [0, 1])
def test_both_halves_are_moved_alike_by_a_voxel_at_most_in_plane(half):
    """A point in a grey cube is found again within a voxel, at the same place of both halves, on the same slice."""
    given = np.full((60, 16, 32, 16), 0.4, np.float32)
    given[:, 8, [7, 23], 5] = 1
    drawn = vary(given, np.random.default_rng(3)).reshape(60, 16, 2, 16, 16)
    places = [np.unravel_index(cube.argmax(), cube.shape) for cube in drawn[:, :, half]]
    others = [np.unravel_index(cube.argmax(), cube.shape) for cube in drawn[:, :, 1 - half]]
    assert places == others
    assert {int(i) - 8 for i, _, _ in places} == {int(j) - 7 for _, j, _ in places} == {-1, 0, 1}
    assert {int(k) for _, _, k in places} == {5}


def test_grey_values_are_bent_and_no_more():
    given = np.full((200, 16, 32, 16), 0.5, np.float32)
    middle = vary(given, np.random.default_rng(5))[:, 4:12, :, :].mean(axis=(1, 3))
    swi, phase = middle[:, :16].mean(1), middle[:, 16:].mean(1)
    lowest, highest = 0.85 * 0.5 ** np.exp(0.25), 1.15 * 0.5 ** np.exp(-0.25)
    for half in (swi, phase):
        assert lowest - 0.01 < half.min() < 0.42
        assert 0.6 < half.max() < highest + 0.01
    assert abs(np.corrcoef(swi, phase)[0, 1]) < 0.3, "each by itself"
