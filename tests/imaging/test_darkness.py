"""Marks on dark spots are told from marks that are not, by comparison with brain and not with air."""

import numpy as np
import pytest

from cmb_toolkit.imaging.darkness import darkest_neighbours, drops, has_tissue_around, random_spots, ranks, tissue

ZOOMS = (0.5, 0.8, 2.0)
SPOT, BESIDE = (31, 30, 2), [(30, 30, 2), (31, 31, 2), (31, 30, 3)]
AIR, BONE, SCALP, EDGE = (3, 3, 2), (31, 6, 2), (31, 2, 2), (0, 0, 0)


@pytest.fixture(scope="module")
def volume():
    """A head of 62 x 60 voxels: scalp, bone, brain with a vein and a dark spot; noise everywhere."""
    rng = np.random.default_rng(0)
    i, j = np.indices((62, 60))
    radius = np.hypot((i - 31) * 0.5 / 15, (j - 30) * 0.8 / 23)
    plane = np.where(radius < 0.72, 100.0, np.where(radius < 0.88, 8, np.where(radius < 1, 80, 0)))
    data = np.repeat(plane[:, :, None], 4, axis=2)
    data[40, 20:35] = 60
    data[29:34, 29:32, 2] = 20
    return np.hypot(data + 3 * rng.standard_normal(data.shape), 3 * rng.standard_normal(data.shape)).astype(np.float32)


@pytest.fixture(scope="module")
def within(volume):
    return tissue(volume, ZOOMS)


def test_tissue_is_brain_and_scalp_with_dark_spots_filled(volume, within):
    assert within[SPOT]
    assert within[31, 40, 0]
    assert within[40, 30, 1]
    assert not within[AIR]
    assert not within[BONE]


def test_of_masked_volumes_tissue_is_what_is_left(volume):
    i, j = np.indices(volume.shape[:2])
    brain = np.hypot((i - 31) * 0.5 / 15, (j - 30) * 0.8 / 23) < 0.7
    found = tissue(np.where(brain[:, :, None], volume, 0), ZOOMS)
    assert (found == brain[:, :, None]).mean() > 0.98


def test_drops(volume, within):
    found = drops(volume, within, [SPOT, (31, 30, 0), AIR, BONE, EDGE, (99, 0, 0), (0, 0, -1)], ZOOMS)
    assert found[0] == pytest.approx(0.8, abs=0.05)
    assert found[1] == pytest.approx(0, abs=0.05)
    assert np.isnan(found[2:]).all()
    assert drops(1e-4 * volume, within, [SPOT], ZOOMS) == pytest.approx(found[:1], rel=1e-4)


def test_ranks(volume, within):
    spots = random_spots(within, ZOOMS, 500, np.random.default_rng(1))
    usual = drops(volume, within, spots, ZOOMS)
    found = ranks(volume, within, [SPOT, (45, 40, 0), AIR], ZOOMS, usual)
    assert found[0] < 0.02
    assert found[1] > 0.1
    assert found[2] == 1
    again = ranks(volume, within, spots, ZOOMS, usual)
    assert np.mean(again <= 0.1) == pytest.approx(0.1, abs=0.01)
    assert ranks(volume, within, [SPOT], ZOOMS, np.empty(0)).tolist() == [1.0]


def test_random_spots_are_deep_in_the_brain(within):
    spots = random_spots(within, ZOOMS, 300, np.random.default_rng(0))
    assert len(np.unique(spots, axis=0)) == len(spots)
    radius = np.hypot((spots[:, 0] - 31) * 0.5 / 15, (spots[:, 1] - 30) * 0.8 / 23)
    assert radius.max() < 0.6
    nowhere = random_spots(np.zeros((4, 4, 4), bool), ZOOMS, 5, np.random.default_rng(0))
    assert nowhere.shape == (0, 3)
    assert len(random_spots(np.ones((4, 4, 4), bool), ZOOMS, 5, np.random.default_rng(0))) == 5


def test_marks_in_air_in_bone_and_at_the_edge_have_no_tissue_around(within):
    assert has_tissue_around(within, [SPOT, (31, 40, 0), AIR, BONE, EDGE], ZOOMS).tolist() == [True, True] + [False] * 3
    assert has_tissue_around(within, np.empty((0, 3)), ZOOMS).shape == (0,)


def test_the_middle_of_a_spot_is_found_from_beside_it(volume):
    data = 100 + np.zeros((30, 30, 6), np.float32)
    i, j, k = np.indices(data.shape)
    data -= 80 * np.exp(-((i - 15) ** 2 + (j - 14) ** 2 + 4 * (k - 3) ** 2) / 6)
    marks = np.array([(15, 14, 3), (14, 14, 3), (16, 15, 3), (15, 14, 2), (14, 13, 4), (25, 25, 1), (0, 0, 0)])
    expected = [(0, 0, 0), (1, 0, 0), (-1, -1, 0), (0, 0, 1), (1, 1, -1)]
    assert darkest_neighbours(data, marks, (1, 1, 1))[:5].tolist() == [list(step) for step in expected]


def test_no_signal():
    empty = np.zeros((20, 20, 3), np.float32)
    assert not tissue(empty, ZOOMS).any()
    assert np.isnan(drops(empty, tissue(empty, ZOOMS), [(5, 5, 1)], ZOOMS)).all()
