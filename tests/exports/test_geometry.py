"""What is exported lies where the findings are, whatever the scan's grid."""

import json

import hypothesis.strategies as st
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from nibabel.affines import apply_affine
from scipy.ndimage import center_of_mass
from scipy.spatial.transform import Rotation

from cmb_toolkit.errors import DataError
from cmb_toolkit.exports.labelmap import Labelmap, spheres
from cmb_toolkit.exports.points import Points
from cmb_toolkit.io.nifti import write_labels

ORDERS = ((0, 1, 2), (1, 0, 2), (2, 0, 1), (2, 1, 0))
FLIPS = ((1, 1, 1), (-1, 1, 1), (-1, -1, -1))


@st.composite
def grids(draw):
    """Affine of a grid of any orientation, spacing and place, and a shape of which no side is short."""
    order, flips = draw(st.sampled_from(ORDERS)), draw(st.sampled_from(FLIPS))
    spacing = np.array([draw(st.floats(0.4, 3)) for _ in range(3)])
    turn = Rotation.from_euler("xyz", [draw(st.floats(-40, 40)) for _ in range(3)], degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(flips)[:, list(order)] * spacing
    affine[:3, 3] = [draw(st.floats(-200, 200)) for _ in range(3)]
    shape = tuple(np.ceil(24 / spacing).astype(int) + 4)
    # three findings that do not touch, anywhere between voxels, far from the volume's sides
    middle = (np.array(shape) - 1) / 2
    aside = np.array([draw(st.floats(-0.5, 0.5)) for _ in range(9)]).reshape(3, 3)
    places = middle + aside + np.array([[0, 0, 0], [7, 0, 0], [0, -7, 0]]) / spacing
    return affine, shape, apply_affine(affine, places)


def table(centres):
    frame = pd.DataFrame(centres, columns=["x_mm", "y_mm", "z_mm"])
    names = [f"sub-1_cand-{n}" for n in range(len(frame))]
    return frame.assign(id=range(1, len(frame) + 1), candidate_id=names, probability=0.9, kept=True)


@given(grids(), st.floats(0.2, 3))
@settings(max_examples=40, deadline=None)
def test_the_middle_of_a_label_is_the_finding_s_place(tmp_path_factory, grid, radius):
    affine, shape, centres = grid
    folder = tmp_path_factory.mktemp("scan")
    scan = nib.Nifti1Image(np.zeros((*shape, 2), np.int16), affine)
    scan.set_qform(affine, 1)
    scan.set_sform(affine, 2)
    nib.save(scan, folder / "scan.nii.gz")
    Labelmap(radius=radius).write(table(centres), folder / "scan.nii.gz", folder / "labels.nii.gz")
    scan, made = nib.load(folder / "scan.nii.gz"), nib.load(folder / "labels.nii.gz")
    assert made.shape == shape
    assert made.get_data_dtype() == np.int16
    for form in ("get_qform", "get_sform"):
        (expected, code), (found, got) = (getattr(image.header, form)(coded=True) for image in (scan, made))
        assert code == got
        assert np.allclose(expected, found, atol=1e-4)
    labels = np.asarray(made.dataobj)
    assert set(np.unique(labels)) == {0, 1, 2, 3}
    found = center_of_mass(labels > 0, labels, [1, 2, 3])
    expected = apply_affine(np.linalg.inv(scan.affine), centres)
    assert np.abs(np.array(found) - expected).max() <= 0.5 + 1e-3
    Points().write(table(centres), folder / "scan.nii.gz", folder / "points.mrk.json")
    (markup,) = json.loads((folder / "points.mrk.json").read_text())["markups"]
    assert markup["coordinateSystem"] == "LPS"
    back = np.array([point["position"] for point in markup["controlPoints"]]) * (-1, -1, 1)
    assert np.abs(back - centres).max() < 1e-3
    assert [point["label"] for point in markup["controlPoints"]] == ["1", "2", "3"]


def test_a_label_is_a_sphere_in_mm_and_the_first_of_two_keeps_its_voxels():
    affine = np.diag([0.5, 1.0, 2.0, 1])
    labels = spheres([[5, 5, 8], [6, 5, 8]], (24, 12, 9), affine, 2.0)
    i, j, k = np.indices(labels.shape)
    first = (i * 0.5 - 5) ** 2 + (j - 5) ** 2 + (k * 2 - 8) ** 2 <= 4
    second = (i * 0.5 - 6) ** 2 + (j - 5) ** 2 + (k * 2 - 8) ** 2 <= 4
    first[12, 5, 4] = False  # the voxel that holds the other
    assert np.array_equal(labels == 1, first)
    assert np.array_equal(labels == 2, (second & ~first))
    assert (spheres([[5.2, 5.3, 8.7]], (24, 12, 9), affine, 0.1) == 1).nonzero() == ([10], [5], [4])


def test_a_finding_outside_the_scan_is_refused():
    with pytest.raises(DataError, match=r"a finding at \(50, 5, 5\) mm lies outside this scan"):
        spheres([[50, 5, 5]], (24, 12, 9), np.eye(4), 2.0)


@pytest.mark.parametrize(
    ("codes", "most", "dtype"), [((0, 0), 3, np.int16), ((0, 1), 40000, np.uint16), ((1, 0), 3, np.int16)]
)
def test_codes_and_kind_of_numbers(tmp_path, codes, most, dtype):
    affine = np.diag([-0.8, 0.8, 2, 1])
    scan = nib.Nifti1Image(np.zeros((5, 6, 7), np.int16), affine)
    scan.header["descrip"] = b"Somebody, 1950"
    scan.set_qform(affine, codes[0])
    scan.set_sform(affine, codes[1])
    nib.save(scan, tmp_path / "scan.nii")
    labels = np.zeros((5, 6, 7), np.uint16)
    labels[1, 2, 3] = most
    write_labels(tmp_path / "labels.nii", labels, tmp_path / "scan.nii")
    scan, made = nib.load(tmp_path / "scan.nii"), nib.load(tmp_path / "labels.nii")
    assert (made.header["qform_code"], made.header["sform_code"]) == codes
    assert np.allclose(made.affine, scan.affine)
    assert made.get_data_dtype() == dtype
    assert made.dataobj[1, 2, 3] == most
    assert not bytes(made.header["descrip"]).strip(b"\0")
