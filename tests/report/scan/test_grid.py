"""Slices are called as the scan's own file calls them, whatever its axes and however far it was resampled."""

import numpy as np
import pytest
from toy_scan import affine

from cmb_toolkit.report.scan.grid import slice_numbers


def test_a_file_from_above_downwards():
    grid = affine(15.0)
    file = grid @ [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, -1, 19], [0, 0, 0, 1]]
    assert slice_numbers(grid, (60, 70, 20), file, 2) == tuple(range(20, 0, -1))


def test_a_file_whose_first_axis_counts_slices():
    grid = affine(15.0)
    file = grid @ [[0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]]
    assert slice_numbers(grid, (60, 70, 20), file, 0) == tuple(range(1, 21))


@pytest.mark.parametrize("angle", [0.0, 20.0])
def test_a_grid_with_other_slices(angle):
    file = affine(angle, mm=(0.5, 0.5, 3.0))
    grid = file @ np.diag([1.6, 1.6, 2 / 3, 1])
    assert slice_numbers(grid, (30, 30, 7), file, 2) == (1, 2, 2, 3, 4, 4, 5)
