"""Marks counted another way: what was meant is among the ways, whatever was said when they were imported."""

import nibabel as nib
import numpy as np
import pytest

from cmb_toolkit.io.marks import labels_to_canonical, voxels_to_canonical, world_to_canonical
from cmb_toolkit.io.orient import canonical_grid, inside
from cmb_toolkit.io.recount import Counting, base_step, counting_of, other_ways

RAS_SHAPE = (20, 30, 8)
LABELS = np.array([(3, 5, 7), (6, 12, 11), (8, 2, 15)])  # slice, x, y


def grid(axes):
    """Shape and affine of a file stored along these axes."""
    image = nib.Nifti1Image(np.zeros(RAS_SHAPE, np.uint8), np.diag([0.8, 0.8, 2.0, 1]) + np.eye(4, k=3) * 5)
    ornt = nib.orientations
    turned = image.as_reoriented(ornt.ornt_transform(ornt.axcodes2ornt("RAS"), ornt.axcodes2ornt(axes)))
    return turned.shape, turned.affine


@pytest.mark.parametrize("axes", ["RAS", "LPS", "LAS", "RPI"])
@pytest.mark.parametrize("meant", ["voxel", "array", "image"])
@pytest.mark.parametrize("said", ["voxel", "array", "image"])
def test_labels_counted_along_other_axes(axes, meant, said):
    shape, affine = grid(axes)
    for base in (0, 1):
        truth = labels_to_canonical(LABELS, shape, affine, base=1, axes=meant)
        taken = labels_to_canonical(LABELS, shape, affine, base=base, axes=said)
        ways = list(other_ways(taken, shape, affine, Counting("authors", base, said)))
        options = f"--label-base 1 --label-axes {meant}"
        found = {way.name: voxels for way, voxels in ways}
        if meant == said:
            assert not any(options in name for name in found), "a voxel off is another question"
            step = base_step(shape, affine, Counting("authors", base, said))
            if base == 0:
                assert (taken + step == truth).all()
            continue
        assert (found[f"as `cmbtk import authors {options}` does"] == truth).all()


@pytest.mark.parametrize("axes", ["RAS", "LPS", "RPI"])
def test_voxels_of_a_table(axes):
    shape, affine = grid(axes)
    own = np.array([(1, 2, 3), (10, 9, 5)])
    said = voxels_to_canonical(own, shape, affine)
    ways = {way.name: voxels for way, voxels in other_ways(said, shape, affine, Counting("table"))}
    turned = {
        "from the other end of the first axis": np.c_[shape[0] - 1 - own[:, 0], own[:, 1:]],
        "from the other end of the slice axis": np.c_[own[:, :2], shape[2] - 1 - own[:, 2]],
        "with the first and the second axis exchanged": own[:, [1, 0, 2]],
    }
    for name, voxels in turned.items():
        assert (ways[name] == voxels_to_canonical(voxels, shape, affine)).all(), name
    assert len(ways) == 16
    step = base_step(shape, affine, Counting("table", 0))
    assert (voxels_to_canonical(own - 1, shape, affine) == said + step).all()
    assert (base_step(shape, affine, Counting("table", 1)) == -step).all()


def test_world_positions_in_lps():
    shape, affine = grid("LPS")
    _, canonical = canonical_grid(shape, affine)
    truth = np.array([(4, 6, 2), (9, 20, 5)])
    world = truth @ canonical[:3, :3].T + canonical[:3, 3]
    taken = world_to_canonical(world * (-1, -1, 1), shape, affine)
    way, voxels = next(iter(other_ways(taken, shape, affine, Counting("table"))))
    assert (voxels == truth).all()
    assert "flip the sign of x_mm and y_mm (LPS)" in way.remedy
    assert not inside(taken, RAS_SHAPE).all()


def test_how_marks_were_imported_is_read_from_their_record():
    def record(**parameters):
        return {"step": "import", "parameters": parameters}

    said = record(layout="authors", label_base=1, label_axes="image")
    assert counting_of(said) == Counting("authors", 1, "image")
    assert counting_of(record(layout="table", label_base=0)) == Counting("table", 0, "voxel")
    for unknown in (
        None,
        {"step": "simulate", "parameters": {}},
        record(layout="x"),
        record(layout="table", label_base=7),
    ):
        assert counting_of(unknown) == Counting()


def test_voxels_of_another_file():
    # a magnitude stored RAS, an SWI stored LAS, and marks that count the voxels of either
    files = {"magnitude": grid("RAS"), "swi": grid("LAS")}
    own = np.array([(1, 2, 3), (10, 9, 5)])
    for said, meant in (("magnitude", "swi"), ("swi", "magnitude")):
        taken, truth = (voxels_to_canonical(own, *files[role]) for role in (said, meant))
        ways = list(other_ways(taken, *files[said], Counting("table", on=said), {meant: files[meant]}))
        way, voxels = ways[0]
        assert (voxels == truth).all()
        assert way.name == f"as `cmbtk import table --marks-on {meant}` does"
    same = other_ways(own, *files["swi"], Counting("table", on="swi"), {"phase": files["swi"]})
    assert not any("--marks-on" in way.name for way, _ in same), "a file stored alike settles nothing"
