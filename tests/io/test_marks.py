"""Readers' marks on their way onto the canonical grid."""

import hypothesis.strategies as st
import nibabel as nib
import numpy as np
from grids import grids
from hypothesis import given, settings

from cmb_toolkit.imaging.frame import apply, make_frame
from cmb_toolkit.io.marks import labels_to_canonical, voxels_to_canonical, world_to_canonical
from cmb_toolkit.io.orient import canonical_grid, inside
from cmb_toolkit.model import LABEL_AXES


@given(grids())
@settings(max_examples=60, deadline=None)
def test_voxels_go_where_nibabel_puts_them(grid):
    shape, affine = grid
    data = np.arange(np.prod(shape)).reshape(shape)
    image = nib.as_closest_canonical(nib.Nifti1Image(data.astype(np.int32), affine))
    voxels = np.argwhere(data >= 0)
    turned = voxels_to_canonical(voxels, shape, affine)
    assert (np.asarray(image.dataobj)[tuple(turned.T)] == data[tuple(voxels.T)]).all()
    canonical_shape, canonical_affine = canonical_grid(shape, affine)
    assert canonical_shape == image.shape
    np.testing.assert_allclose(canonical_affine, image.affine, atol=1e-4)
    world = nib.affines.apply_affine(affine, voxels)
    assert (world_to_canonical(world, shape, affine) == turned).all()
    assert inside(turned, canonical_shape).all()


@given(grids(), st.sampled_from([0, 1]), st.sampled_from(LABEL_AXES))
@settings(max_examples=60, deadline=None)
def test_every_convention_reaches_every_voxel_once(grid, base, axes):
    shape, affine = grid
    canonical_shape, _ = canonical_grid(shape, affine)
    if axes == "image":
        ni, nj, nk = canonical_shape
        counts = (nk, ni, nj)
    else:
        counts = (shape[2], *(shape[:2] if axes == "voxel" else shape[1::-1]))
    labels = np.argwhere(np.ones(counts)) + base
    voxels = labels_to_canonical(labels, shape, affine, base=base, axes=axes)
    assert inside(voxels, canonical_shape).all()
    assert len(np.unique(voxels, axis=0)) == len(voxels) == np.prod(shape)


@given(grids(), st.sampled_from([0, 1]))
@settings(max_examples=30, deadline=None)
def test_voxel_and_array_labels_name_voxels_of_the_file(grid, base):
    shape, affine = grid
    data = np.arange(np.prod(shape)).reshape(shape)
    x, y, s = (n // 2 for n in shape)
    for axes, label in (("voxel", (s, x, y)), ("array", (s, y, x))):
        voxel = labels_to_canonical([np.add(label, base)], shape, affine, base=base, axes=axes)
        assert (voxel == voxels_to_canonical([(x, y, s)], shape, affine)).all()
    assert data[x, y, s] == data[x, y, s]


@given(st.sampled_from(["RAS", "LPS", "LAS", "PIR", "ASL", "ARI"]), st.integers(0, 5), st.integers(0, 7))
@settings(max_examples=40, deadline=None)
def test_image_labels_are_columns_and_rows_of_the_network_image(code, column, row):
    """The same place by the toolkit's own image: a bright voxel where the label says shows in that pixel."""
    canonical = nib.Nifti1Image(np.zeros((6, 8, 4), np.float32), np.diag([0.5, 0.5, 2, 1]))
    ornt = nib.orientations.ornt_transform(
        nib.io_orientation(canonical.affine), nib.orientations.axcodes2ornt(tuple(code))
    )
    image = canonical.as_reoriented(ornt)
    ((i, j, k),) = labels_to_canonical([(1, column, row)], image.shape, image.affine, base=0, axes="image")
    data = np.zeros((6, 8))
    data[i, j] = 1
    shown = apply(make_frame((6, 8), 8, "crop"), data)
    assert np.argwhere(shown).tolist() == [[row, column + 1]], "6 columns are centred in 8 pixels"
    assert k == (1 if "S" in code else 2), "slices count in the file's order"


def test_the_conventions_by_hand():
    """An LPS file of 4 x 6 x 3 voxels: its first axis grows to the left, its second to posterior."""
    affine = np.diag([-1.0, -1.0, 2.0, 1.0])
    label = [(3, 2, 5)]  # third slice, x = 2, y = 5
    shape = (4, 6, 3)
    assert labels_to_canonical(label, shape, affine, base=1, axes="voxel").tolist() == [[2, 1, 2]]
    assert labels_to_canonical(label, shape, affine, base=1, axes="image").tolist() == [[2, 1, 2]]
    assert labels_to_canonical([(3, 5, 2)], shape, affine, base=1, axes="array").tolist() == [[2, 1, 2]]
    assert labels_to_canonical(label, shape, affine, base=0, axes="voxel").tolist() == [[1, 0, 3]]


def test_inside():
    assert inside([[0, 0, 0], [3, 5, 2], [4, 0, 0], [0, -1, 0]], (4, 6, 3)).tolist() == [True, True, False, False]
    assert inside(np.empty((0, 3)), (4, 6, 3)).shape == (0,)
