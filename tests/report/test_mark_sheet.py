"""The contact sheet: each mark in the middle of its surroundings, on the side where a reader expects it."""

import numpy as np

from cmb_toolkit.report.mark_sheet import MOST, MarkPicture, draw_marks, slice_of, surroundings

ZOOMS = (0.5, 1.0, 2.0)


def volume():
    data = np.random.default_rng(0).uniform(0.4, 0.6, (80, 60, 5)).astype(np.float32)
    data[70:73, 49:52, 2] = 0
    data[10:13, 10:13, 2] = 1
    return data


def test_the_mark_is_in_the_middle_and_right_is_left():
    near = surroundings(volume(), (71, 50, 2), ZOOMS)
    side = near.shape[0]
    assert near[side // 2, side // 2] == 0
    assert near[side // 2, 2] == near[2, side // 2] == 0, "beyond the volume on the image's left and top"
    assert near[-5, -5] > 0
    whole, (row, column) = slice_of(volume(), (71, 50, 2), ZOOMS)
    assert whole[row, column] < 40
    assert row < whole.shape[0] / 2, "anterior is on top"
    assert column < whole.shape[1] / 2, "the patient's right is on the left"
    assert whole.shape[0] / whole.shape[1] == 60 * 1.0 / (80 * 0.5)


def test_one_mark_and_many(tmp_path):
    data = volume()
    whole, at = slice_of(data, (71, 50, 2), ZOOMS)
    near = surroundings(data, (71, 50, 2), ZOOMS)
    one = MarkPicture("sub-001", (71, 50, 2), whole, at, near, None)
    sizes = [len(draw_marks([one] * n, "a $study", tmp_path / f"{n}.png").read_bytes()) for n in (1, MOST + 50)]
    assert 0 < sizes[0] < sizes[1]
