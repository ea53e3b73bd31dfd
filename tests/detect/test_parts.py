"""Planes around the brain, dark regions, labels on the scan's own voxels."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.affines import apply_affine

from cmb_toolkit.detect.lesions import described, extents, labels_on, probabilities_on
from cmb_toolkit.detect.volume import OnGrid, in_plane
from cmb_toolkit.imaging.clean import Cleaned
from cmb_toolkit.imaging.extent import extent

SHAPE, SPACING = (64, 72, 16), (0.6, 0.6, 2.0)
AFFINE = np.diag([*SPACING, 1.0])


def scan(*balls, shape=SHAPE):
    """A bright brain with dark balls (voxel, diameter in mm)."""
    places = np.stack(np.indices(shape), -1)
    swi = np.full(shape, 100, np.float32)
    for centre, diameter in balls:
        swi[np.linalg.norm((places - centre) * SPACING, axis=-1) <= diameter / 2] = 10
    return OnGrid(Cleaned(np.ones(shape, bool), {"swi": swi}), AFFINE, False)


@given(st.integers(8, 40), st.integers(8, 40), st.integers(0, 10**6))
@settings(max_examples=60)
def test_planes_hold_the_brain_wherever_it_lies_if_they_can(ni, nj, seed):
    rng = np.random.default_rng(seed)
    mask = np.zeros((24, 30, 3), bool)
    low = rng.integers(0, 20, 2)
    high = np.minimum(low + rng.integers(1, 12, 2), mask.shape[:2])
    mask[low[0] : high[0], low[1] : high[1]] = True
    volume = rng.random(mask.shape).astype(np.float32)
    cut, brain, first, whole = in_plane({"swi": volume}, mask, (ni, nj))
    assert cut["swi"].shape == brain.shape == (ni, nj, 3)
    assert whole == (high[0] - low[0] <= ni and high[1] - low[1] <= nj)
    if whole:
        assert brain.sum() == mask.sum()
    for index in np.argwhere(brain):
        assert cut["swi"][tuple(index)] == volume[tuple(index + first)]
    if (ni, nj) == mask.shape[:2]:
        assert not first.any(), "what fits is left as it is"


@pytest.mark.parametrize("diameter", [3.0, 5.0, 8.0])
def test_a_dark_ball_is_as_large_as_it_is(diameter):
    found = extent(scan(((30, 34, 8), diameter)).cleaned.volumes["swi"], np.ones(SHAPE, bool), (31, 33, 8), SPACING)
    assert found.diameter_mm == pytest.approx(diameter, abs=0.8)
    assert np.linalg.norm((found.centre - (30, 34, 8)) * SPACING) < 0.3
    assert not found.long


@pytest.mark.parametrize("diameter", [2.0, 4.0])
def test_a_blurred_ball_is_as_large_as_it_is_and_a_faint_vein_beside_it_does_not_count(diameter):
    """Between the middle of its depth and 0.45 of it, the ball's region would run along the vein."""
    places = np.stack(np.indices(SHAPE), -1)
    distance = np.linalg.norm((places - (30, 34, 8)) * SPACING, axis=-1)
    swi = (100 - 80 / (1 + np.exp((distance - diameter / 2) / 0.15))).astype(np.float32)
    swi[34:60, 34, 8] = np.minimum(swi[34:60, 34, 8], 58)
    swi[30:34, 34, 8] = np.minimum(swi[30:34, 34, 8], 58)
    found = extent(swi, np.ones(SHAPE, bool), (30, 34, 8), SPACING)
    assert found.diameter_mm == pytest.approx(diameter, abs=0.45)
    assert np.linalg.norm((found.centre - (30, 34, 8)) * SPACING) < 0.3


def test_a_vein_is_long_and_a_bright_place_is_nothing():
    vein = scan()
    vein.cleaned.volumes["swi"][10:60, 36, 8] = 10
    found = extent(vein.cleaned.volumes["swi"], vein.cleaned.mask, (30, 36, 8), SPACING)
    assert found.long
    assert np.isnan(found.diameter_mm)
    nothing = extent(np.full(SHAPE, 5, np.float32), np.ones(SHAPE, bool), (30, 36, 8), SPACING)
    assert len(nothing.voxels) == 0
    assert nothing.centre.tolist() == [30, 36, 8]


@given(st.floats(-25, 25), st.sampled_from([(1, 1, 1), (-1, -1, 1), (-1, 1, 1)]), st.floats(0.4, 1.0))
@settings(max_examples=20)
def test_labels_come_back_to_the_scans_own_voxels(degrees, flips, side):
    """Each place is in a voxel of its own number, on turned, flipped and other voxels."""
    looked = scan(((20, 24, 5), 4), ((44, 50, 10), 5))
    table = pd.DataFrame({"i": [20, 44], "j": [24, 50], "k": [5, 10]}, dtype=float)
    regions = extents(looked, table)
    world = apply_affine(AFFINE, table.to_numpy())
    a = np.deg2rad(degrees)
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    own = np.eye(4)
    own[:3, :3] = turn @ np.diag(np.array(flips) * (side, side, 1.5))
    shape = np.array((120, 120, 24))
    own[:3, 3] = world.mean(axis=0) - own[:3, :3] @ (shape / 2)
    labels = labels_on(looked, world, regions, tuple(shape), own)
    for number, place in enumerate(world, 1):
        assert labels[tuple(np.rint(apply_affine(np.linalg.inv(own), place)).astype(int))] == number
        mine = apply_affine(own, np.argwhere(labels == number))
        assert np.linalg.norm(mine.mean(axis=0) - place) < 1.0
        volume = len(mine) * abs(np.linalg.det(own))
        assert 0.5 < volume / regions[number - 1].volume_mm3 < 2, "a ball of few voxels"
    assert set(np.unique(labels)) == {0, 1, 2}
    assert probabilities_on(labels, np.array([0.7, 0.2])).max() == np.float32(0.7)


def test_of_two_that_overlap_the_likelier_has_the_voxels():
    looked = scan(((30, 34, 8), 6))
    table = pd.DataFrame({"i": [30, 31], "j": [34, 34], "k": [8, 8]}, dtype=float)
    labels = labels_on(looked, apply_affine(AFFINE, table.to_numpy()), extents(looked, table), SHAPE, AFFINE)
    assert labels[30, 34, 8] == 1
    assert labels[31, 34, 8] == 2, "the voxel that holds a place is its own"
    assert (labels == 2).sum() == 1


@pytest.mark.parametrize("sure", [True, False])
def test_calcium_is_flagged_by_its_phase_where_its_sign_is_sure(sure):
    looked = scan(((20, 20, 8), 4), ((45, 50, 8), 4))
    looked.cleaned.sign_is_sure = sure
    along = AFFINE[:3, 2] / np.linalg.norm(AFFINE[:3, 2])
    phase = np.zeros(SHAPE)
    for sign, centre in ((1, (20, 20, 8)), (-1, (45, 50, 8))):
        offsets = (np.moveaxis(np.indices(SHAPE), 0, -1) - centre) @ AFFINE[:3, :3].T
        away = np.maximum(np.linalg.norm(offsets, axis=-1), 1)
        phase += sign * (3 * (offsets[..., 2] / away) ** 2 - 1) / away**3
    assert along[2] == pytest.approx(1)
    looked.cleaned.volumes["phase"] = phase.astype(np.float32)
    table = pd.DataFrame({"i": [20.0, 45], "j": [20.0, 50], "k": [8.0, 8]})
    table[["x_mm", "y_mm", "z_mm"]] = apply_affine(AFFINE, table[["i", "j", "k"]].to_numpy())
    table = table.assign(confidence=0.5, network_probability=0.6, score=[0.7, 0.6], probability=np.nan)
    found = described(looked, table, extents(looked, table), 0.5, AFFINE, 2)
    if sure:
        assert (found["dipole"] * [1, -1] > 0.9).all()
        assert found["flags"].tolist() == ["", "diamagnetic, as calcium is"]
    else:
        assert found["dipole"].isna().all()
        assert found["flags"].tolist() == ["", ""]


def test_what_is_said_of_candidates():
    looked = scan(((20, 20, 8), 4), ((45, 50, 8), 11.5))
    looked.cleaned.mask[:3] = False
    table = pd.DataFrame({"i": [20.0, 45, 5], "j": [20.0, 50, 34], "k": [8.0, 8, 8]})
    table[["x_mm", "y_mm", "z_mm"]] = apply_affine(AFFINE, table[["i", "j", "k"]].to_numpy())
    table = table.assign(confidence=0.5, network_probability=0.6, score=[0.7, 0.3, 0.1], probability=np.nan)
    flipped = AFFINE @ np.array([[-1, 0, 0, SHAPE[0] - 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    found = described(looked, table, extents(looked, table), 0.5, flipped, 2)
    assert found["id"].tolist() == [1, 2, 3]
    assert found["kept"].tolist() == [True, False, False]
    assert found["i"].tolist() == [SHAPE[0] - 1 - 20, SHAPE[0] - 1 - 45, SHAPE[0] - 1 - 5]
    assert found["slice"].tolist() == [9, 9, 9]
    assert found["flags"].tolist() == ["", "larger than 10 mm", "at the edge of the brain; not dark on SWI"]
