import numpy as np
import pytest

from cmb_toolkit.simulation.grid import Grid
from cmb_toolkit.simulation.vessels import Vessel, through_landmarks, vessel_fraction


@pytest.mark.parametrize("radius", [0.15, 0.3, 0.8, 2.0, 3.5])
def test_the_fraction_of_a_straight_vessel_adds_up_to_its_volume(radius):
    grid = Grid((-8.0, -8.0, 0.0), (0.5, 0.5, 0.5), (33, 33, 41))
    line = np.stack([np.full(50, 0.13), np.full(50, -0.21), np.linspace(-6, 26, 50)], 1)
    fraction = vessel_fraction([Vessel(line, np.full(50, radius), "sulcal")], grid)
    assert fraction.max() <= 1
    length = grid.shape[2] * grid.spacing[2]
    assert fraction.sum() * 0.125 == pytest.approx(np.pi * radius**2 * length, rel=0.25)


def test_a_vessel_outside_the_grid_leaves_nothing():
    grid = Grid((0.0, 0.0, 0.0), (0.5, 0.5, 0.5), (8, 8, 8))
    far = Vessel(np.array([[50.0, 50, 50], [60, 50, 50]]), np.array([1.0, 1.0]), "sulcal")
    assert vessel_fraction([far], grid).max() == 0
    assert vessel_fraction([], grid).max() == 0


def test_a_line_through_landmarks_starts_and_ends_near_them_and_has_no_corners():
    line = through_landmarks([(0, 0, 0), (10, 0, 0), (10, 10, 0)], 100, 6)
    assert line.shape == (100, 3)
    assert np.linalg.norm(line[0]) < 1.5
    assert np.linalg.norm(line[-1] - (10, 10, 0)) < 1.5
    steps = np.diff(line, axis=0)
    cosines = (steps[1:] * steps[:-1]).sum(1) / (np.linalg.norm(steps[1:], axis=1) * np.linalg.norm(steps[:-1], axis=1))
    assert cosines.min() > 0.9
