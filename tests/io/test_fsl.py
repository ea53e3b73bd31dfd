"""FSL's bet as a program: a stand-in for it really runs, on files, and does right or wrong."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from cmb_toolkit.errors import CmbError, DataError, MissingError
from cmb_toolkit.io import fsl
from cmb_toolkit.io.fsl import bet_argv, find_bet
from cmb_toolkit.io.nifti import read_volume

FAKE = f"""#!{sys.executable}
import json, os, sys
import nibabel as nib, numpy as np
source, target, *options = sys.argv[1:]
assert os.environ["FSLOUTPUTTYPE"] == "NIFTI_GZ"
assert os.path.isdir(os.environ["FSLDIR"])
image = nib.load(source + ".nii.gz")
data = image.get_fdata()
fraction = float(options[options.index("-f") + 1])
assert "-m" in options and "-n" in options and "-g" in options
mask = (data > fraction * data.max()).astype(np.int16)
WHAT
"""
RIGHT = 'nib.save(nib.Nifti1Image(mask, image.affine), target + "_mask.nii.gz")'
WRONG = {
    "nothing": 'print("image is \\a empty"); sys.exit(0)',
    "fails": 'print("cannot open volume", file=sys.stderr); sys.exit(1)',
    "empty": 'nib.save(nib.Nifti1Image(mask * 0, image.affine), target + "_mask.nii.gz")',
    "other grid": 'nib.save(nib.Nifti1Image(mask[:-1], image.affine), target + "_mask.nii.gz")',
    "moved": 'nib.save(nib.Nifti1Image(mask, image.affine + 1), target + "_mask.nii.gz")',
    "damaged": 'open(target + "_mask.nii.gz", "w").write("mask")',
}


def install(root: Path, what: str = RIGHT, version: str | None = "6.0.7.4:5c2d7c3") -> Path:
    """A folder like FSL's, with a program called bet."""
    program = root / "bin" / "bet"
    program.parent.mkdir(parents=True)
    program.write_text(FAKE.replace("WHAT", what))
    program.chmod(0o755)
    if version is not None:
        (root / "etc").mkdir()
        (root / "etc" / "fslversion").write_text(version + "\n")
    return program


@pytest.fixture
def magnitude(tmp_path):
    """Grows along the file's first axis, which is not the canonical one."""
    data = np.mgrid[:6, :7, :8][0].astype(np.float32) + 1
    image = nib.Nifti1Image(data, np.diag([1, 1, 2, 1])).as_reoriented(np.array([[2, -1], [0, 1], [1, -1]]))
    nib.save(image, tmp_path / "mag.nii.gz")
    return read_volume(tmp_path / "mag.nii.gz")


def test_command_line():
    assert bet_argv(Path("/opt/fsl/bin/bet"), fraction=0.35, gradient=-0.1) == [
        "/opt/fsl/bin/bet", "magnitude", "brain", "-f", "0.35", "-g", "-0.1", "-m", "-n",
    ]  # fmt: skip


def test_mask_comes_back_on_canonical_axes(tmp_path, magnitude):
    install(tmp_path / "fsl")
    bet = find_bet({"FSLDIR": str(tmp_path / "fsl")})
    assert bet.describe() == "FSL 6.0.7.4 bet"
    mask = bet.mask(magnitude, fraction=0.6)
    np.testing.assert_array_equal(mask, magnitude.data > 0.6 * magnitude.data.max())
    assert 0 < mask.sum() < bet.mask(magnitude, fraction=0.3).sum()


def test_fsldir_goes_before_the_path(tmp_path):
    one, two = install(tmp_path / "one"), install(tmp_path / "two", version=None)
    path = str(two.parent)
    assert find_bet({"FSLDIR": str(tmp_path / "one"), "PATH": path}).program == one
    found = find_bet({"PATH": path})
    assert found.program == two
    assert found.describe() == "FSL bet"
    assert find_bet({"FSLDIR": str(tmp_path / "gone"), "PATH": path}).program == two


def test_a_link_on_the_path_leads_to_fsl(tmp_path, magnitude, monkeypatch):
    program = install(tmp_path / "fsl")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "bet").symlink_to(program)
    monkeypatch.delenv("FSLDIR", raising=False)
    bet = find_bet({"PATH": str(tmp_path / "bin")})
    assert bet.root == (tmp_path / "fsl").resolve()
    assert bet.version == "6.0.7.4"
    assert bet.mask(magnitude).any()


@pytest.mark.parametrize(
    ("environment", "said"),
    [({}, "FSLDIR is not set"), ({"FSLDIR": "/opt/fsl"}, "FSLDIR is /opt/fsl, and /opt/fsl/bin/bet")],
)
def test_not_installed(environment, said):
    with pytest.raises(MissingError, match=rf"bet was not found \({said}.*--brain-mask own") as caught:
        find_bet({**environment, "PATH": "/nowhere"})
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        (
            "nothing",
            CmbError,
            r"wrote no mask for mag\.nii\.gz\. Its last words:\n  image is  empty\n.*--brain-mask own",
        ),
        ("fails", CmbError, r"wrote no mask.*\n  cannot open volume\n"),
        ("empty", DataError, "cannot be used .*the mask is empty"),
        ("other grid", DataError, "cannot be used .*shapes 6 x 7 x 8 and 5 x 7 x 8 disagree"),
        ("moved", DataError, "cannot be used .*corners lie up to .* voxels apart"),
        ("damaged", DataError, "cannot be used .*(damaged|not a NIfTI)"),
    ],
)
def test_what_it_can_do_wrong(tmp_path, magnitude, how, error, message):
    install(tmp_path / "fsl", WRONG[how])
    with pytest.raises(error, match=message) as caught:
        find_bet({"FSLDIR": str(tmp_path / "fsl")}).mask(magnitude)
    assert type(caught.value) is error


def test_a_program_that_does_not_start(tmp_path, magnitude):
    program = install(tmp_path / "fsl")
    program.write_text("#!/nowhere/python\n")
    with pytest.raises(CmbError, match="does not start"):
        find_bet({"FSLDIR": str(tmp_path / "fsl")}).mask(magnitude)


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path, magnitude, monkeypatch):
    monkeypatch.setattr(fsl, "_PATIENCE_S", 1.0)
    program = install(tmp_path / "fsl")
    program.write_text(f"#!/bin/sh\nsleep 600 & echo $! > {tmp_path}/child\nwait\n")
    with pytest.raises(CmbError, match="said nothing for 1 s, so it hangs"):
        find_bet({"FSLDIR": str(tmp_path / "fsl")}).mask(magnitude)
    child = Path(f"/proc/{(tmp_path / 'child').read_text().strip()}/stat")
    for _ in range(100):
        if not child.exists() or child.read_text().split()[2] == "Z":
            return
        time.sleep(0.05)
    pytest.fail(f"{child} still runs, of {os.getpid()}")
