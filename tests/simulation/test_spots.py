import numpy as np
import pytest

from cmb_toolkit.simulation.spots import dark_spots

SPACING = (0.5, 0.5, 2.0)


def plane_with(*shapes):
    volume = np.ones((80, 90, 5), np.float32)
    i, j = np.meshgrid(np.arange(80), np.arange(90), indexing="ij")
    for (ci, cj), width, height in shapes:
        volume[:, :, 2] -= 0.6 * ((np.abs(i - ci) <= width) & (np.abs(j - cj) <= height))
    return volume


@pytest.mark.parametrize("place", [(20, 30), (41, 55), (60, 12)])
def test_a_dark_dot_is_found_where_it_is(place):
    (spot,) = dark_spots(plane_with((place, 0, 0)), np.ones((80, 90, 5), bool), SPACING)
    assert spot.voxel == (*place, 2)
    assert spot.contrast == pytest.approx(0.6, abs=0.01)


@pytest.mark.parametrize("line", [((40, 45), 0, 30), ((40, 45), 30, 1)])
def test_a_dark_line_is_no_spot(line):
    assert dark_spots(plane_with(line), np.ones((80, 90, 5), bool), SPACING) == []


def test_a_slanting_line_is_no_spot():
    volume = np.ones((80, 90, 1), np.float32)
    for n in range(15, 65):
        volume[n, n, 0] = volume[n, n + 1, 0] = 0.3
    found = dark_spots(volume, np.ones(volume.shape, bool), SPACING)
    assert all(min(abs(spot.voxel[0] - end) for end in (15, 64)) < 4 for spot in found)


def test_a_wide_area_and_a_faint_dot_are_no_spots():
    everywhere = np.ones((80, 90, 5), bool)
    assert dark_spots(plane_with(((40, 45), 10, 10)), everywhere, SPACING) == []
    assert dark_spots(1 - 0.2 * (1 - plane_with(((40, 45), 0, 0))), everywhere, SPACING) == []


def test_only_the_place_asked_for_is_searched_and_the_strongest_comes_first():
    volume = plane_with(((20, 20), 0, 0), ((60, 60), 0, 0))
    volume[60, 60, 2] = 0.1
    everywhere = np.ones(volume.shape, bool)
    assert [spot.voxel for spot in dark_spots(volume, everywhere, SPACING)] == [(60, 60, 2), (20, 20, 2)]
    everywhere[:40] = False
    assert [spot.voxel for spot in dark_spots(volume, everywhere, SPACING)] == [(60, 60, 2)]
