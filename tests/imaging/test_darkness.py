"""Marks on dark spots are told from marks that are not."""

import numpy as np
import pytest

from cmb_toolkit.imaging.darkness import on_dark_spots

ZOOMS = (0.5, 0.8, 2.0)


@pytest.fixture
def volume():
    rng = np.random.default_rng(0)
    data = 100 + 5 * rng.standard_normal((60, 50, 4)).astype(np.float32)
    data[20:23, 20:22, 2] = 40
    data[0:2, 0, 1] = 40
    return data


@pytest.mark.parametrize("mark", [(21, 20, 2), (20, 21, 2), (23, 22, 2), (19, 19, 2), (0, 0, 1), (1, 1, 1)])
def test_on_a_spot_or_its_neighbour(volume, mark):
    assert on_dark_spots(volume, [mark], ZOOMS).tolist() == [True]


@pytest.mark.parametrize("mark", [(21, 20, 1), (21, 20, 3), (30, 20, 2), (21, 30, 2), (59, 49, 3), (0, 0, 2)])
def test_elsewhere(volume, mark):
    assert on_dark_spots(volume, [mark], ZOOMS).tolist() == [False]


def test_scale_does_not_matter_and_order_is_kept(volume):
    marks = [(21, 20, 2), (30, 20, 2), (0, 0, 1)]
    for scale in (1e-4, 1.0, 1e4):
        assert on_dark_spots(scale * volume, marks, ZOOMS).tolist() == [True, False, True]


def test_no_marks_and_no_signal(volume):
    assert on_dark_spots(volume, np.empty((0, 3)), ZOOMS).shape == (0,)
    assert on_dark_spots(0 * volume, [(21, 20, 2)], ZOOMS).tolist() == [False]
