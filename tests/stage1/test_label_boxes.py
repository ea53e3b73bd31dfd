import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cmb_toolkit.imaging.frame import make_frame
from cmb_toolkit.stage1.label_boxes import choose_negatives, clip_boxes, label_slices, microbleed_boxes


def test_box_is_20_pixels_about_the_centre_of_the_marked_pixel():
    frame = make_frame((448, 512))
    (box,) = microbleed_boxes(frame, [(447 - 100, 511 - 32 - 200)])  # column 100, row 200 of the image
    assert box.tolist() == [90.5, 190.5, 110.5, 210.5]


def test_box_stays_20_pixels_when_the_plane_is_scaled():
    frame = make_frame((252, 288))
    boxes = microbleed_boxes(frame, [(0, 0), (100, 30)])
    assert np.allclose(boxes[:, 2:] - boxes[:, :2], 20)


def test_clipping_at_the_border():
    assert clip_boxes([(-5, 3, 15, 23), (440, 440, 460, 460)], 448).tolist() == [[0, 3, 15, 23], [440, 440, 448, 448]]


def test_reach():
    assert list(label_slices(3, 10, 0)) == [3]
    assert list(label_slices(0, 10, 1)) == [0, 1]
    assert list(label_slices(9, 10, 2)) == [7, 8, 9]


@given(
    st.lists(st.integers(0, 29), max_size=5),
    st.lists(st.integers(0, 400), min_size=30, max_size=30),
    st.integers(0, 40),
    st.integers(0, 2**32 - 1),
)
def test_negatives_are_far_from_marks_and_hold_brain(marked, brain, count, seed):
    chosen = choose_negatives(marked, brain, count, np.random.default_rng(seed))
    assert len(set(chosen.tolist())) == len(chosen) <= count
    for k in chosen:
        assert brain[k] > 0
        assert brain[k] >= 0.1 * max(brain)
        assert all(abs(k - m) >= 2 for m in marked)
    fit = [
        k for k in range(30) if 0 < brain[k] >= 0.1 * max(brain) and all(abs(k - m) >= 2 for m in marked)
    ]  # as many as there are
    assert len(chosen) == min(count, len(fit))
    again = choose_negatives(marked, brain, count, np.random.default_rng(seed))
    assert np.array_equal(chosen, again)
