"""Scans on other voxels: places stay, what voxels cannot show goes, signs and units are kept."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.affines import apply_affine

from cmb_toolkit.imaging.clean import Acquired, UnusableError
from cmb_toolkit.imaging.recipe import Cleaning
from cmb_toolkit.imaging.regrid import nearest, regrid

SHAPE, SPACING = (48, 52, 20), (0.5, 0.6, 2.0)


def spot(place, sigma_mm=2.0, shape=SHAPE, spacing=SPACING):
    """A Gaussian of 1 at a place [voxel]."""
    away = (np.stack(np.indices(shape), -1) - place) * spacing
    return np.exp(-0.5 * (away**2).sum(-1) / sigma_mm**2).astype(np.float32)


def middle(volume):
    volume = volume**2  # what is far off counts nothing, and no threshold cuts voxels off
    return (np.stack(np.indices(volume.shape), -1) * volume[..., None]).sum((0, 1, 2)) / volume.sum()


def turned(degrees, spacing=SPACING):
    """An affine that is oblique by so much."""
    a = np.deg2rad(degrees)
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(spacing)
    affine[:3, 3] = (-11, 7, 3)
    return affine


@given(
    st.tuples(st.floats(0.35, 0.9), st.floats(0.35, 0.9), st.floats(1.0, 3.0)),
    st.tuples(st.floats(20, 28), st.floats(20, 30), st.floats(8, 11)),
    st.floats(-20, 20),
)
@settings(max_examples=25)
def test_places_stay_within_a_tenth_of_a_voxel(voxel_mm, place, degrees):
    affine = turned(degrees)
    dark = 100 * (1 - 0.8 * spot(place))
    onto = regrid(Acquired(np.zeros(SHAPE, np.float32), dark, SPACING, polar=True), affine, voxel_mm, Cleaning())
    back = apply_affine(np.linalg.inv(affine) @ onto.affine, middle(100 - onto.scan.magnitude))
    assert np.abs(back - middle(100 - dark)).max() <= 0.1
    np.testing.assert_allclose(np.linalg.norm(onto.affine[:3, :3], axis=0), voxel_mm)


def test_magnitude_and_phase_are_averaged_together():
    """Two halves of a voxel that point against each other cancel, as in a scanner with such voxels."""
    shape = (32, 32, 8)
    phase = np.zeros(shape, np.float32)
    phase[::2] = np.pi - 1e-3
    onto = regrid(
        Acquired(phase, np.ones(shape, np.float32), (0.5, 0.5, 2), polar=True), np.eye(4), (1, 0.5, 2), Cleaning()
    )
    assert onto.scan.magnitude[4:-4].max() < 0.05
    smooth = regrid(
        Acquired(np.full(shape, 1.0, np.float32), np.full(shape, 7, np.float32), (0.5, 0.5, 2), polar=True),
        np.eye(4),
        (0.7, 0.4, 1.5),
        Cleaning(),
    ).scan
    np.testing.assert_allclose(smooth.magnitude, 7, rtol=1e-5)
    np.testing.assert_allclose(smooth.phase, 1, rtol=1e-5)


def test_a_wrapped_phase_in_the_files_own_unit_is_understood_and_wraps_no_more_than_before():
    ramp = np.broadcast_to(np.linspace(-9, 9, SHAPE[0])[:, None, None], SHAPE)
    stored = np.rint(1000 * np.angle(np.exp(1j * ramp))).astype(np.float32)
    stored[0, 0, :2] = -3142, 3142
    onto = regrid(Acquired(stored, np.ones(SHAPE, np.float32), SPACING), np.eye(4), (0.4, 0.6, 2), Cleaning())
    assert onto.scale is not None
    assert "milliradians" in onto.scale.unit
    assert onto.scan.polar
    turns = np.diff(np.unwrap(onto.scan.phase[8:-8, 20, 10]))
    np.testing.assert_allclose(turns, 18 / (SHAPE[0] - 1) * 0.8, atol=0.01)


def test_a_phase_that_jumps_from_slice_to_slice_is_refused_or_undone_first():
    phase = np.zeros((40, 40, 12), np.float32)
    phase[:, :, ::2] = np.pi - 0.01
    magnitude = np.ones(phase.shape, np.float32)
    magnitude[10:30, 10:30] = 2
    scan = Acquired(phase, magnitude, (1, 1, 2), polar=True)
    with pytest.raises(UnusableError, match="--fix-ge-phase"):
        regrid(scan, np.eye(4), (1, 1, 1.5), Cleaning())
    mended = regrid(scan, np.eye(4), (1, 1, 1.5), Cleaning(fix_ge_phase=True))
    assert mended.scan.magnitude[12:28, 12:28].min() > 1.9


def test_what_was_not_finite_stays_so():
    invalid = np.zeros(SHAPE, bool)
    invalid[10:14, 10:14, 5] = True
    scan = Acquired(
        np.zeros(SHAPE, np.float32), np.ones(SHAPE, np.float32), SPACING, None, {"magnitude": invalid}, True
    )
    there = regrid(scan, np.eye(4), (0.5, 0.6, 1.5), Cleaning()).scan.invalid["magnitude"]
    assert there[12, 12].any()
    assert not there[30].any()


@given(st.integers(0, 10**6), st.floats(-15, 15))
@settings(max_examples=15)
def test_labels_go_to_the_voxel_that_holds_their_place(seed, degrees):
    rng = np.random.default_rng(seed)
    labels = np.zeros(SHAPE, np.uint16)
    voxel = tuple(rng.integers(6, 12, 3))
    labels[tuple(slice(v - 2, v + 3) for v in voxel)] = 7
    affine, onto = turned(degrees), turned(degrees + 4, (0.7, 0.7, 1.5))
    carried = nearest(labels, affine, (60, 60, 30), onto)
    place = np.rint(apply_affine(np.linalg.inv(onto) @ affine, voxel)).astype(int)
    if ((place >= 0) & (place < carried.shape)).all():
        assert carried[tuple(place)] == 7
    assert set(np.unique(carried)) <= {0, 7}


@given(st.integers(0, 10**6))
@settings(max_examples=30)
def test_labels_on_their_own_voxels_are_turned_as_if_each_were_looked_for(seed):
    """Any order of axes, flipped or not, and moved by whole voxels; the short way gives what the long one does."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 9, (7, 8, 5)).astype(np.uint16)
    affine = turned(10.0, (0.5, 0.6, 2.0))
    change = np.eye(4)
    change[:3, :3] = np.eye(3)[rng.permutation(3)] * rng.choice([-1, 1], 3)
    change[:3, 3] = rng.integers(-2, 9, 3) + rng.uniform(-1e-6, 1e-6, 3)
    shape = tuple(rng.integers(4, 10, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cmb_toolkit.imaging.regrid._SAME", 0)
        expected = nearest(labels, affine, shape, affine @ change)
    np.testing.assert_array_equal(nearest(labels, affine, shape, affine @ change), expected)
