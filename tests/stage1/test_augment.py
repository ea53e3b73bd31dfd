import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmb_toolkit.errors import UsageError
from cmb_toolkit.stage1.augment import IDENTITY, VARIANTS, augment_boxes, augment_image


def test_variants_are_the_eight_symmetries_of_the_square_each_once():
    corners = np.array([[0, 1], [3, 2]])
    made = {tuple(augment_image(corners, variant).ravel()) for variant in VARIANTS}
    assert len(made) == len(VARIANTS) == 8
    # neighbours along an edge stay neighbours: a symmetry, not any permutation
    for top_left, top_right, bottom_left, bottom_right in made:
        ring = (top_left, top_right, bottom_right, bottom_left)
        assert all((b - a) % 4 in (1, 3) for a, b in itertools.pairwise(ring))


def test_identity_first_and_names_fit_file_stems():
    image = np.arange(12).reshape(2, 2, 3)
    assert VARIANTS[0] == IDENTITY
    assert np.array_equal(augment_image(image, IDENTITY), image)
    assert all(name.isalnum() for name in VARIANTS)


def test_rotation_is_counter_clockwise_and_flips_mirror():
    image = np.array([[1, 2], [3, 4]])
    assert augment_image(image, "rot090").tolist() == [[2, 4], [1, 3]]
    assert augment_image(image, "rot000h").tolist() == [[2, 1], [4, 3]]
    assert augment_image(image, "rot000v").tolist() == [[3, 4], [1, 2]]


@given(st.data(), st.integers(2, 40), st.sampled_from(VARIANTS))
def test_boxes_are_carried_along(data, size, variant):
    left, right = sorted(data.draw(st.tuples(st.integers(0, size), st.integers(0, size))))
    top, bottom = sorted(data.draw(st.tuples(st.integers(0, size), st.integers(0, size))))
    image = np.zeros((size, size, 3), np.uint8)
    image[top:bottom, left:right] = (1, 2, 3)
    moved = augment_image(image, variant)
    ((left, top, right, bottom),) = augment_boxes([(left, top, right, bottom)], variant, size).astype(int)
    wanted = np.zeros_like(image)
    wanted[top:bottom, left:right] = (1, 2, 3)
    assert np.array_equal(moved, wanted)


def test_no_boxes_stay_no_boxes():
    assert augment_boxes(np.empty((0, 4)), "rot090", 10).shape == (0, 4)


def test_unknown_variant():
    with pytest.raises(UsageError, match="rot045"):
        augment_image(np.zeros((2, 2)), "rot045")
