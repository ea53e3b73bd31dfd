"""A volume on the frames of a series, by world coordinates alone."""

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings
from nibabel.affines import apply_affine
from scipy.spatial.transform import Rotation

from cmb_toolkit.exports.dicom.placing import MOST_OFF, placed

ORDERS = ((0, 1, 2), (1, 0, 2), (2, 0, 1), (2, 1, 0), (0, 2, 1), (1, 2, 0))


@st.composite
def stacks(draw):
    """Frames of any direction, and a volume of the same voxels with its axes in any order and direction."""
    shape = tuple(draw(st.integers(2, 9)) for _ in range(3))  # columns, rows, frames
    spacing = np.array([draw(st.floats(0.3, 4)) for _ in range(3)])
    turn = Rotation.from_euler("xyz", [draw(st.floats(-180, 180)) for _ in range(3)], degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn * spacing
    affine[:3, 3] = [draw(st.floats(-300, 300)) for _ in range(3)]
    order = draw(st.sampled_from(ORDERS))
    flips = [draw(st.booleans()) for _ in range(3)]
    to_stack = np.zeros((4, 4))  # from the volume's voxels to column, row, frame
    to_stack[3, 3] = 1
    for axis, along in enumerate(order):
        to_stack[along, axis] = -1 if flips[axis] else 1
        to_stack[along, 3] = shape[along] - 1 if flips[axis] else 0
    return affine, shape, affine @ to_stack, tuple(shape[along] for along in order)


def frame(affine, number):
    own = affine.copy()
    own[:3, 3] = apply_affine(affine, (0, 0, number))
    return own


@given(stacks(), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_every_pixel_has_the_value_of_the_voxel_at_its_place(stack, seed):
    affine, (columns, rows, frames), volume_affine, volume_shape = stack
    values = np.random.default_rng(seed).integers(0, 1000, volume_shape)
    seen = set()
    for number in range(frames):
        lying = placed(frame(affine, number), (columns, rows), volume_affine, volume_shape)
        assert lying.off < 1e-6
        assert lying.slice >= 0
        seen.add((lying.axis, lying.slice))
        plane = lying.of(values)
        for column, row in ((0, 0), (columns - 1, 0), (columns // 2, rows - 1)):
            voxel = np.linalg.solve(volume_affine, [*apply_affine(affine, (column, row, number)), 1])[:3]
            assert plane[column, row] == values[tuple(np.rint(voxel).astype(int))]
    assert len(seen) == frames, "each is another plane"


@given(stacks(), st.integers(0, 2), st.floats(0.011, 0.49))
@settings(max_examples=30, deadline=None)
def test_how_far_off_a_frame_lies_is_said(stack, axis, off):
    affine, (columns, rows, _), volume_affine, volume_shape = stack
    moved = affine.copy()
    moved[:3, 3] += off * affine[:3, axis]
    lying = placed(moved, (columns, rows), volume_affine, volume_shape)
    assert abs(lying.off - off) < 1e-6
    assert lying.off > MOST_OFF


def test_other_voxels_parts_and_planes_outside_are_no_planes_of_the_volume():
    shape = (6, 5, 4)
    assert placed(np.diag([2.0, 1, 1, 1]), (3, 5), np.eye(4), shape).off == np.inf, "every second voxel"
    oblique = np.eye(4)
    oblique[:3, :3] = Rotation.from_euler("z", 45, degrees=True).as_matrix()
    assert placed(oblique, (6, 5), np.eye(4), shape).off > MOST_OFF
    assert placed(np.eye(4), (6, 4), np.eye(4), shape).slice == -1, "a part of a plane"
    assert placed(frame(np.eye(4), 4), (6, 5), np.eye(4), shape).slice == -1, "beside the volume"
    assert placed(frame(np.eye(4), 3), (6, 5), np.eye(4), shape).slice == 3
