"""One brain laid on another: the map is found, is the same every time, and bad ones can be told."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.affines import apply_affine
from scipy import ndimage

from cmb_toolkit.errors import MissingError
from cmb_toolkit.regions.brain import AROUND_MM, Brain, coarse
from cmb_toolkit.regions.registration import check_installed, lay
from cmb_toolkit.regions.template import template

PLACES = np.array([(0, -20, 5), (45, 20, 20), (-45, -60, 10), (10, 60, 0), (-8, -30, -35), (5, -40, 65)], float)


def turned(degrees):
    a, b, c = np.deg2rad(degrees)
    about = [
        [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]],
        [[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]],
        [[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]],
    ]
    return np.linalg.multi_dot(about)


def moved(brain, matrix, affine, shape, change=lambda image: image):
    """What a scanner sees of a brain that lies elsewhere; `matrix` leads from its world to the brain's."""
    places = apply_affine(np.linalg.inv(brain.affine) @ matrix @ affine, np.moveaxis(np.indices(shape), 0, -1))
    image = ndimage.map_coordinates(brain.image, np.moveaxis(places, -1, 0), order=1)
    return Brain(np.where(image > 0.05, change(image), 0).astype(np.float32), affine)


@pytest.fixture(scope="module")
def half():
    """The template on voxels of 4 mm, which is quick."""
    whole = template()
    return coarse(whole.image, whole.mask, whole.affine, 4.0)


def grid(degrees, mm, at):
    affine = np.eye(4)
    affine[:3, :3] = turned(degrees) @ np.diag(mm)
    affine[:3, 3] = at
    return affine


def test_an_affine_map_is_found_whatever_the_contrast_and_the_same_twice(half):
    there = np.eye(4)
    there[:3, :3] = turned((8, -4, 5)) @ np.diag([1.06, 0.95, 1.03])
    there[:3, 3] = 9, -14, 20
    mine = moved(half, there, grid((12, 0, -3), (3, 3, 5), (-100, -120, -100)), (70, 75, 42), lambda v: 1.3 - v)
    laid = lay(mine, half, "affine")
    start = apply_affine(np.linalg.inv(there), PLACES)
    off = np.linalg.norm(apply_affine(laid.matrix, start) - PLACES, axis=1)
    assert off.max() < 2.5
    assert laid.similarity > 0.7
    np.testing.assert_array_equal(lay(mine, half, "affine").matrix, laid.matrix)


def test_a_rigid_map_is_found_between_grids_that_are_turned(half):
    there = np.eye(4)
    there[:3, :3] = turned((-9, 3, 6))
    there[:3, 3] = -6, 10, -15
    mine = moved(half, there, grid((15, 0, 0), (3, 3, 4), (-100, -110, -90)), (70, 75, 55))
    laid = lay(mine, half, "rigid")
    off = np.linalg.norm(apply_affine(laid.matrix, apply_affine(np.linalg.inv(there), PLACES)) - PLACES, axis=1)
    assert off.max() < 1.0
    np.testing.assert_allclose(laid.matrix[:3, :3] @ laid.matrix[:3, :3].T, np.eye(3), atol=1e-6)


def test_what_is_no_brain_is_little_alike(half):
    ball = np.linalg.norm(np.indices((50, 50, 50)) - 24.5, axis=0) < 22
    half_of_it = np.zeros((50, 50, 50), np.float32)
    half_of_it[ball] = 1
    half_of_it[25:] = 0
    laid = lay(Brain(half_of_it, grid((0, 0, 0), (4, 4, 4), (-100, -100, -100))), half, "rigid")
    assert laid.similarity < 0.4


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(*[st.integers(9, 20)] * 3),
    st.tuples(*[st.floats(0.4, 3.0)] * 3),
    st.tuples(*[st.floats(-30, 30)] * 3),
    st.integers(0, 1000),
)
def test_coarse_voxels_are_where_the_fine_ones_were(shape, mm, degrees, seed):
    rng = np.random.default_rng(seed)
    affine = grid(degrees, mm, rng.uniform(-50, 50, 3))
    image = rng.uniform(1, 2, shape).astype(np.float32)
    mask = np.zeros(shape, bool)
    mask[2:-2, 3:-1, 1:-3] = True
    brain = coarse(image, mask, affine)
    factors = np.array([max(1, round(2 / side)) for side in mm])
    low = np.maximum([2, 3, 1] - np.ceil(AROUND_MM / np.array(mm)).astype(int), 0)
    for voxel in rng.permutation(np.argwhere(brain.mask))[:5]:
        first = low + voxel * factors
        block = tuple(slice(a, b) for a, b in zip(first, first + factors, strict=True))
        inside = mask[block]
        assert brain.image[tuple(voxel)] == pytest.approx(image[block][inside].mean(), rel=1e-4)
        middle = apply_affine(affine, first + (factors - 1) / 2)
        np.testing.assert_allclose(apply_affine(brain.affine, voxel), middle, atol=1e-6)


def test_what_is_not_installed_is_said_with_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    with pytest.raises(MissingError, match=r"--regions needs SimpleITK, .*`pip install .*`"):
        check_installed("--regions")
