"""Readers' marks: tables as people make them, and their way onto the canonical grid."""

from itertools import permutations, product

import hypothesis.strategies as st
import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings

from cmb_toolkit.errors import DataError
from cmb_toolkit.imaging.frame import apply, make_frame
from cmb_toolkit.io.marks import (
    canonical_grid,
    inside,
    labels_to_canonical,
    read_marks,
    voxels_to_canonical,
    world_to_canonical,
)
from cmb_toolkit.model import LABEL_AXES

# -- tables -----------------------------------------------------------------------------------------------------


def test_marks_by_voxel_or_world(tmp_path):
    path = tmp_path / "marks.tsv"
    path.write_text("participant_id\treader\ti\tj\tk\n007\tA\t1\t2\t3\n")
    frame = read_marks(path)
    assert list(frame.columns) == ["participant_id", "i", "j", "k"]
    assert frame.iloc[0].tolist() == ["007", 1, 2, 3]
    path.write_text("participant_id\tx_mm\ty_mm\tz_mm\n1\t-1.5\t2\t3\n")
    assert read_marks(path).iloc[0].tolist() == ["1", -1.5, 2.0, 3.0]
    path.write_text("participant_id\tx_mm\ty_mm\tz_mm\n")
    assert read_marks(path).empty


def test_headings_in_capitals_and_both_kinds_of_columns(tmp_path):
    path = tmp_path / "marks.tsv"
    path.write_text("Participant_ID\tI\tJ\tK\tX_mm\tY_MM\tz_mm\nNA\t1\t2\t3\t.5\t1\t1.5\n")
    assert read_marks(path).to_dict("records") == [
        {"participant_id": "NA", "i": 1, "j": 2, "k": 3, "x_mm": 0.5, "y_mm": 1, "z_mm": 1.5}
    ]


def test_every_bad_line_is_named(tmp_path):
    path = tmp_path / "marks.tsv"
    path.write_text("participant_id\ti\tj\tk\na\t1\t2\t\na\t1\t2\t3\nb\t1.5\t2\t3\n")
    with pytest.raises(DataError, match=r"line 2 holds a, 1, 2, n/a(.|\n)*line 4 holds b, 1.5, 2, 3"):
        read_marks(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("participant_id\ti\tj\n1\t2\t3\n", "expected participant_id and either i, j, k"),
        ("id\ti\tj\tk\n", "column participant_id missing"),
        ("participant_id\ti\tI\tj\tk\n", "column 'i' stands twice"),
        ("participant_id\ti\tj\tk\tx_mm\n1\t2\t3\t4\t5\n", "expected participant_id and either i, j, k"),
        ("participant_id\ti\tj\tk\n1\tTrue\tTrue\tTrue\n", "line 2: i is 'True'"),
        ("participant_id\tI\tj\tk\n1\t12,0\t3\t4\n", "line 2: i is '12,0'"),
        ("participant_id\ti\tj\tk\n1\t2\t3\t4\n1\t2\t3.5\t4\n", "line 3 holds 1, 2.*3.5.*whole voxel"),
        ("participant_id\ti\tj\tk\n1\t2\tx\t4\n", "line 2: j is 'x'"),
        ("participant_id\ti\tj\tk\nn/a\t2\t3\t4\n", "line 2: participant_id is 'n/a'; expected a name"),
        ("participant_id\tx_mm\ty_mm\tz_mm\n1\t2\tn/a\t4\n", "line 2 holds .*millimetres"),
        ("participant_id\tx_mm\ty_mm\tz_mm\n1\t2\tinf\t4\n", "line 2: y_mm is 'inf'"),
    ],
)
def test_bad_marks_are_named(tmp_path, text, expected):
    (tmp_path / "marks.tsv").write_text(text)
    with pytest.raises(DataError, match=expected) as caught:
        read_marks(tmp_path / "marks.tsv")
    assert "marks.tsv" in str(caught.value)


# -- geometry ---------------------------------------------------------------------------------------------------

CODES = ["".join(pick) for order in permutations(("LR", "AP", "SI")) for pick in product(*order)]


@st.composite
def grids(draw):
    """A file's grid: shape, and an affine with any axis order and some obliqueness."""
    shape = tuple(draw(st.integers(2, 12)) for _ in range(3))
    zooms = np.array([draw(st.floats(0.3, 3)) for _ in range(3)])
    ornt = nib.orientations.axcodes2ornt(tuple(draw(st.sampled_from(CODES))))
    rotation = np.zeros((3, 3))
    for axis, (canonical, direction) in enumerate(ornt):
        rotation[int(canonical), axis] = direction
    angle = draw(st.floats(-0.4, 0.4))
    tilt = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    affine = np.eye(4)
    affine[:3, :3] = tilt @ rotation * zooms
    affine[:3, 3] = [draw(st.floats(-100, 100)) for _ in range(3)]
    return shape, affine


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
