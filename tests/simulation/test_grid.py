import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmb_toolkit.simulation.grid import Grid, PeriodicNoise, band_noise

GRID = Grid((-3.0, 2.0, 10.0), (0.5, 1.0, 2.0), (9, 8, 7))


def linear(x, y, z):
    return (2 * x - 3 * y + 0.5 * z + 1).astype(np.float32)


VOLUME = linear(*np.meshgrid(*GRID.axes, indexing="ij"))


@given(
    *(st.lists(st.floats(low, high), min_size=1, max_size=5) for low, high in ((-3, 1), (2, 9), (10, 22))),
)
def test_resampling_and_lookup_are_exact_for_a_linear_volume(x, y, z):
    points = np.stack([g.ravel() for g in np.meshgrid(x, y, z, indexing="ij")], 1)
    expected = linear(*points.T)
    resampled = GRID.resample(VOLUME, [np.array(x), np.array(y), np.array(z)])
    assert resampled.shape == (len(x), len(y), len(z))
    assert resampled.ravel() == pytest.approx(expected, abs=1e-4)
    assert GRID.lookup(VOLUME, points) == pytest.approx(expected, abs=1e-4)


def test_beyond_the_edge_stands_the_edge_value():
    far = GRID.resample(VOLUME, [np.array([-50.0, 50.0]), np.array([5.0]), np.array([16.0])])[:, 0, 0]
    assert far == pytest.approx(linear(np.array([-3.0, 1.0]), 5.0, 16.0))


def test_resampling_does_not_change_its_input():
    before = VOLUME.copy()
    GRID.resample(VOLUME, GRID.axes)
    assert np.array_equal(VOLUME, before)


@given(st.tuples(*[st.floats(-100, 100)] * 3))
def test_index_and_position_are_inverse(point):
    assert GRID.position(GRID.index(point)) == pytest.approx(np.array(point), abs=1e-9)


def test_a_covering_grid_covers():
    grid = Grid.covering((-1, 0, 5), (1, 3, 6), (0.5, 2, 0.3))
    assert grid.shape == (4, 2, 4)
    for a, (low, high) in enumerate(((-1, 1), (0, 3), (5, 6))):
        axis = grid.axis(a)
        assert axis[0] - grid.spacing[a] / 2 == pytest.approx(low)
        assert axis[-1] + grid.spacing[a] / 2 >= high - 1e-9


def test_a_box_holds_the_voxels_between_its_corners_and_clips():
    box = GRID.box((-2.1, 0, 12), (-0.9, 3.5, 100))
    assert GRID.axis(0)[box[0]].tolist() == [-2, -1.5, -1]
    assert GRID.axis(1)[box[1]].tolist() == [2, 3]
    assert GRID.axis(2)[box[2]].tolist() == [12, 14, 16, 18, 20, 22]
    empty = GRID.box((50, 0, 0), (60, 9, 30))
    assert empty[0].stop - empty[0].start <= 0


def test_the_direction_of_a_linear_volume_is_its_gradient():
    inside = np.array([[-1.0, 5.0, 16.0]])
    expected = np.array([[2, -3, 0.5]]) / np.linalg.norm([2, -3, 0.5])
    assert GRID.direction(VOLUME, inside) == pytest.approx(expected, abs=1e-3)


def test_band_noise_has_unit_variance_and_the_wavelength_asked_for():
    noise = band_noise(np.random.default_rng(0), (64, 64, 64), 2.0, 16.0, 0.2)
    assert noise.std() == pytest.approx(1, abs=1e-3)
    power = np.abs(np.fft.fftn(noise)) ** 2
    k = np.fft.fftfreq(64, 2.0)
    radius = np.sqrt((k**2)[:, None, None] + (k**2)[:, None] + k**2)
    assert 1 / (np.sum(radius * power) / np.sum(power)) == pytest.approx(16, rel=0.1)


@settings(max_examples=20)
@given(st.floats(-500, 500), st.floats(-50, 50))
def test_noise_on_a_grid_is_the_noise_at_its_points(origin, shift):
    noise = PeriodicNoise.make(np.random.default_rng(1), 16, 3.0, 20.0, 0.4)
    grid = Grid((origin, 1.0, -7.0), (1.3, 2.0, 0.9), (5, 4, 6))
    x, y, z = np.meshgrid(*(axis + shift for axis in grid.axes), indexing="ij")
    assert noise.on(grid, shift) == pytest.approx(noise(x, y, z), abs=2e-3)
