import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmb_toolkit.simulation.shapes import capsule_chain, partial_volume, rotated_about_z, smooth_minimum, superellipsoid

coordinate = st.floats(-30, 30)


def at(*point):
    return [np.array([p], np.float32) for p in point]


@given(coordinate, coordinate, coordinate)
def test_a_superellipsoid_with_equal_axes_is_a_ball_near_its_surface(x, y, z):
    radius = np.sqrt(x * x + y * y + z * z)
    if abs(radius - 10) < 2:
        assert superellipsoid(at(x, y, z), (0, 0, 0), (10, 10, 10))[0] == pytest.approx(radius - 10, abs=1e-3)


def test_the_two_sides_of_a_lopsided_body_have_their_own_axes():
    def body(*p):
        return superellipsoid(at(*p), (1, 2, 3), (5, 6, 7), negative_side=(8, 9, 10), power=2.2)[0]

    for point in ((6, 2, 3), (-7, 2, 3), (1, 8, 3), (1, -7, 3), (1, 2, 10), (1, 2, -7)):
        assert body(*point) == pytest.approx(0, abs=1e-3)


@given(coordinate, coordinate, coordinate)
def test_a_chain_with_one_radius_is_a_capsule(x, y, z):
    chain = capsule_chain(at(x, y, z), [(0, 0, -5), (0, 0, 0), (0, 0, 5)], [2, 2, 2])[0]
    beyond = max(abs(z) - 5, 0)
    assert chain == pytest.approx(np.sqrt(x * x + y * y + beyond**2) - 2, abs=1e-3)


@given(st.floats(-20, 20), st.floats(-20, 20))
def test_a_smooth_minimum_is_the_minimum_but_for_the_crease(a, b):
    smooth = float(smooth_minimum(np.float32(a), np.float32(b), 4.0))
    assert min(a, b) - 1 - 1e-4 <= smooth <= min(a, b) + 1e-4
    if abs(a - b) > 4:
        assert smooth == pytest.approx(min(a, b), abs=1e-4)


def test_partial_volumes_add_up_to_the_volume_of_a_ball():
    axis = np.arange(-12, 13).astype(np.float32)
    points = np.meshgrid(axis, axis, axis, indexing="ij")
    volume = partial_volume(superellipsoid(points, (0.3, 0, 0.2), (9, 9, 9))).sum()
    assert volume == pytest.approx(4 / 3 * np.pi * 9**3, rel=0.01)


@given(coordinate, coordinate, st.floats(-180, 180))
def test_a_turn_keeps_the_distance_to_its_axis(x, y, angle):
    turned = rotated_about_z(at(x, y, 7), (1, 2, 0), angle)
    assert np.hypot(turned[0] - 1, turned[1] - 2)[0] == pytest.approx(np.hypot(x - 1, y - 2), abs=1e-3)
    assert turned[2][0] == 7
