"""Boxes of one lesion, and of two."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cmb_toolkit.imaging.frame import make_frame, to_image
from cmb_toolkit.stage1.candidates import candidate_table, place_boxes
from cmb_toolkit.stage1.lesions import LARGEST_MM, lesion_numbers, reach

FRAME = make_frame((448, 512))
VOXEL = 0.5


def boxes_at(places, thickness):
    """Boxes of 20 px with centres at voxels i, j on slices k."""
    rows = []
    for i, j, k, confidence in places:
        x, y = to_image(FRAME, (i, j))
        rows.append(("sub-1", "test", k, x - 10, y - 10, x + 10, y + 10, confidence))
    names = ["participant_id", "role", "k", "left", "top", "right", "bottom", "confidence"]
    affine = np.diag([VOXEL, VOXEL, thickness, 1.0])
    return pd.DataFrame(rows, columns=names), {"sub-1": FRAME}, {"sub-1": affine}


def lesions_of(places, thickness):
    return candidate_table(place_boxes(*boxes_at(places, thickness), by_lesion=True))


def seen(i, j, z_mm, thickness, slices, rng, jitter_mm=1.0):
    """Boxes on the slices nearest to a lesion's middle, weaker further off, never quite in place."""
    middle = z_mm / thickness
    nearest = sorted(range(200), key=lambda k: abs(k - middle))[:slices]
    return [
        (
            i + rng.uniform(-jitter_mm, jitter_mm) / VOXEL,
            j + rng.uniform(-jitter_mm, jitter_mm) / VOXEL,
            k,
            np.exp(-0.5 * ((k - middle) / (slices / 2)) ** 2),
        )
        for k in nearest
    ]


thicknesses = st.floats(0.8, 3.0)


@given(thicknesses, st.floats(20, 60), st.integers(0, 10**6))
@settings(max_examples=20)
def test_a_lesion_on_four_slices_is_one_in_its_place(thickness, z_mm, seed):
    rng = np.random.default_rng(seed)
    places = seen(200, 220, z_mm, thickness, 4, rng)
    (lesion,) = lesions_of(places, thickness).to_dict("records")
    assert abs(lesion["z_mm"] - z_mm) <= thickness / 2
    assert abs(lesion["k"] - z_mm / thickness) <= 1
    assert np.hypot(lesion["i"] - 200, lesion["j"] - 220) * VOXEL <= np.sqrt(2)
    assert (lesion["boxes"], lesion["last_k"] - lesion["first_k"]) == (4, 3)
    assert lesion["confidence"] == max(place[3] for place in places)


apart_8_mm = st.sampled_from([(16, 0, 0), (0, 16, 0), (9.3, 0, 6.5), (-9.3, 0, 6.5)])


@given(st.floats(0.8, 2.5), apart_8_mm, st.integers(0, 10**6))
@example(1.7, (9.3, 0, 6.5), 2)
@settings(max_examples=20)
def test_two_lesions_8_mm_apart_stay_two(thickness, apart, seed):
    """16 voxels of 0.5 mm in the plane, or some of it across the slices: two thick slices cannot part that."""
    rng = np.random.default_rng(seed)
    slices = min(4, max(1, int(6 / thickness)))
    i, j, z = apart
    here, there = (seen(a, b, c, thickness, slices, rng) for a, b, c in ((200, 220, 40), (200 + i, 220 + j, 40 + z)))
    found = lesions_of(here + there, thickness)
    assert len(found) == 2
    for centre in ((100, 110, 40), (100 + i / 2, 110 + j / 2, 40 + z)):
        away = np.linalg.norm(found[["x_mm", "y_mm", "z_mm"]].to_numpy() - centre, axis=1)
        assert away.min() <= 3, "each is still a hit"


@given(st.integers(0, 10**6))
@settings(max_examples=20)
def test_the_order_of_the_boxes_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    places = [(*rng.integers(190, 230, 2), int(rng.integers(8)), float(rng.choice([0.1, 0.2, 0.3]))) for _ in range(40)]
    again = [places[n] for n in rng.permutation(len(places))]
    pd.testing.assert_frame_equal(lesions_of(places, 2.0), lesions_of(again, 2.0))


@given(st.integers(0, 10**6), st.floats(0.5, 6))
@settings(max_examples=20)
def test_no_box_is_further_from_the_strongest_than_a_microbleed_reaches(seed, thickness):
    """The definition, box by box: near in the plane and across it, and taken by the strongest that may."""
    rng = np.random.default_rng(seed)
    places, k = rng.uniform(0, 25, (60, 2)), rng.integers(0, 12, 60)
    confidence = rng.permutation(60) / 60 + 0.01
    number = lesion_numbers(places, k, confidence, thickness)
    assert sorted(set(number)) == list(range(number.max() + 1))
    strongest = [max(np.flatnonzero(number == n), key=lambda m: confidence[m]) for n in range(number.max() + 1)]
    assert np.all(np.diff(confidence[strongest]) < 0)
    for n, seed_box in enumerate(strongest):
        mine = number == n
        assert (np.linalg.norm(places[mine] - places[seed_box], axis=1) <= LARGEST_MM / 2 + 1e-6).all()
        assert (np.abs(k[mine] - k[seed_box]) <= 2 * reach(thickness)).all()
    for box, n in enumerate(number):
        aside = np.linalg.norm(places[strongest[:n]] - places[box], axis=1) / (LARGEST_MM / 2)
        assert (aside**2 + ((k[strongest[:n]] - k[box]) / (reach(thickness) + 0.5)) ** 2 > 1).all()


def test_a_large_lesion_whose_strongest_box_is_off_its_middle_is_one():
    """Seven slices of 2 mm, the strongest the third: the last lies further from it than three slices."""
    confidence = [0.8, 0.9, 0.99, 0.98, 0.97, 0.96, 0.9]
    (found,) = lesions_of([(200, 220, k, c) for k, c in enumerate(confidence, 10)], 2.0).to_dict("records")
    assert (found["k"], found["first_k"], found["last_k"]) == (13, 10, 16)


@given(st.floats(0.8, 3.0), st.floats(6, 9), st.integers(0, 10**6))
@settings(max_examples=20)
def test_a_large_lesion_whose_ends_alone_have_boxes_is_one_in_its_place(thickness, size_mm, seed):
    rng = np.random.default_rng(seed)
    ends = [round((40 + side * size_mm / 2) / thickness) for side in (-1, 1)]
    places = [(200 + rng.uniform(-2, 2), 220 + rng.uniform(-2, 2), k, rng.uniform(0.7, 1)) for k in ends]
    (found,) = lesions_of(places, thickness).to_dict("records")
    assert np.linalg.norm([found["x_mm"] - 100, found["y_mm"] - 110, found["z_mm"] - 40]) <= 3, "it is a hit"


@pytest.mark.parametrize(("aside_mm", "across_mm"), [(0, 12), (3.5, 8), (5, 7)])
def test_boxes_of_two_lesions_that_nearly_lie_above_each_other_stay_two(aside_mm, across_mm):
    above = (200 + aside_mm / VOXEL, 220, 10 + across_mm, 0.8)
    assert len(lesions_of([(200, 220, 10, 0.9), above], 1.0)) == 2


@given(st.integers(0, 10**6), st.floats(0.05, 0.95))
@settings(max_examples=40)
def test_a_threshold_leaves_the_same_lesions_before_and_after(seed, threshold):
    rng = np.random.default_rng(seed)
    places, k, confidence = rng.uniform(0, 25, (60, 2)), rng.integers(0, 12, 60), rng.random(60)
    above = confidence >= threshold
    before = lesion_numbers(places, k, confidence, 2.0)[above]
    assert before.tolist() == lesion_numbers(places[above], k[above], confidence[above], 2.0).tolist()


def test_a_candidate_lies_at_the_mean_of_its_boxes_weighted_by_confidence():
    (found,) = lesions_of([(200, 220, 10, 0.6), (203, 220, 11, 0.2), (200, 224, 11, 0.2)], 2.0).to_dict("records")
    assert (found["i"], found["j"], found["z_mm"]) == pytest.approx((200.6, 220.8, 20.8))
    assert found["k"] == 10
    assert (found["left"] + found["right"]) / 2 == pytest.approx(to_image(FRAME, (200.6, 220.8))[0])
    assert found["right"] - found["left"] == pytest.approx(20)


def test_nothing_is_no_lesion():
    assert lesion_numbers(np.zeros((0, 2)), np.zeros(0, int), np.zeros(0), 2.0).tolist() == []


def test_a_box_on_the_rim_of_the_image_lies_in_the_volume():
    """Its centre is on the edge of the outermost voxel, which is no voxel's nearest place."""
    affine = np.diag([VOXEL, VOXEL, 2.0, 1.0])
    rows = [("sub-1", "test", 3, -10, -10, 10, 10, 0.9), ("sub-1", "test", 3, 438, 438, 458, 458, 0.8)]
    names = ["participant_id", "role", "k", "left", "top", "right", "bottom", "confidence"]
    frame = make_frame((112, 128), 448, "resize")
    placed = place_boxes(pd.DataFrame(rows, columns=names), {"sub-1": frame}, {"sub-1": affine})
    assert placed[["i", "j"]].to_numpy().tolist() == [[111, 127], [0, 0]]
