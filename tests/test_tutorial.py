"""docs/tutorial.md from DICOM to a report: its lines, as they stand there, on simulated scans. Only the training is
left out (README's lines have it, in another test): a model made by hand lies where it would be."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import dcm2niix
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from dicom_series import siemens
from hand_made_model import model
from nibabel.affines import apply_affine

from cmb_toolkit.imaging.phase import phase_scale, to_radians

TEXT = (Path(__file__).parents[1] / "docs" / "tutorial.md").read_text("utf-8")
TABLE = "participant_id\t"
IDENTIFYING = (b"Planted", b"19400401", b"20260102", b"1940-04-01", b"2026-01-02")


def blocks():
    """What stands between the fences, in the order of the page."""
    return re.findall(r"^```\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def _scan(study, subject):
    """Magnitude (one for the brightest), phase [radians, positive in veins] and affine of a simulated subject."""
    magnitude, phase = (
        nib.load(study / "scans" / subject / f"{subject}_part-{part}_T2starw.nii.gz") for part in ("mag", "phase")
    )
    values = np.asarray(phase.dataobj)
    bright = np.asarray(magnitude.dataobj)
    sign = pd.read_csv(study / "participants.tsv", sep="\t").set_index("participant_id").at[subject, "phase_sign"]
    return bright / bright.max(), sign * to_radians(values, phase_scale(values)), magnitude.affine


@pytest.fixture
def group(tiny_study, tmp_path, monkeypatch):
    """A folder as a group has it: DICOM of two people, one scanned twice, their marks, and a new patient's files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(dcm2niix.bin).parent}{os.pathsep}{os.environ['PATH']}")
    people = {"01_a": ("sub-001", "01", "1"), "01_b": ("sub-002", "01", "2"), "02": ("sub-003", "02", "n/a")}
    scans = {folder: _scan(tiny_study, subject) for folder, (subject, *_) in people.items()}
    for folder, (magnitude, phase, affine) in scans.items():
        siemens(tmp_path / "dicom" / folder, 2 * magnitude, phase, affine)
    truth = pd.read_csv(tiny_study / "microbleeds.tsv", sep="\t")
    marks = [
        (person, session, mark.x_mm, mark.y_mm, mark.z_mm)
        for subject, person, session in people.values()
        for mark in truth[truth["participant_id"] == subject].itertuples()
    ]
    assert len(marks) > 3
    columns = ["participant_id", "session_id", "x_mm", "y_mm", "z_mm"]
    pd.DataFrame(marks, columns=columns).to_excel(tmp_path / "marks.xlsx", index=False)
    magnitude, phase, affine = _scan(tiny_study, "sub-004")
    Path("new").mkdir()
    for name, data in (("mag", magnitude), ("ph", phase)):
        nib.save(nib.Nifti1Image(np.rint(1000 * data).astype(np.int16), affine), f"new/{name}.nii.gz")
    model(tmp_path / "ours.cmbtk")
    table = f"{TABLE}magnitude\tphase\n03\tnew/mag.nii.gz\tnew/ph.nii.gz\n"
    Path("new-scans.tsv").write_text(table, "utf-8")
    return scans, marks


def test_the_tutorials_lines_lead_from_dicom_to_a_report(group, typed, tmp_path):
    scans, marks = group
    said = {}
    for block in blocks():
        if block.startswith(TABLE):
            Path("scans.tsv").write_text(block, "utf-8")
            continue
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if words[0] != "cmbtk":
                subprocess.run(["bash", "-c", line], check=True, capture_output=True)
            elif words[1] != "train":
                said[line] = typed(*words[1:])

    images = {path.name for path in Path("nii").glob("*.nii.gz")}
    assert images == set(re.findall(r"nii/(\S+\.nii\.gz)", Path("scans.tsv").read_text("utf-8")))
    for folder, (magnitude, _, affine) in scans.items():
        image = nib.load(f"nii/{folder}_2_Mag_Images.nii.gz")
        there = np.unravel_index(magnitude.argmax(), magnitude.shape)
        voxel = np.rint(apply_affine(np.linalg.inv(image.affine) @ affine, there)).astype(int)
        np.testing.assert_allclose(apply_affine(image.affine, voxel), apply_affine(affine, there), atol=0.01)
        assert np.asarray(image.dataobj)[tuple(voxel)] == 2000
    check = next(text for line, text in said.items() if line.startswith("cmbtk check"))
    assert "3 scans: no errors" in check
    assert len(pd.read_csv("study/microbleeds.tsv", sep="\t")) == len(marks)
    assert len(pd.read_csv("result/candidates.tsv", sep="\t")) > 0
    assert Path("result/report.html").stat().st_size > 10_000
    assert len(pd.read_csv("results/cohort.tsv", sep="\t")) == 1
    left = [path for top in ("nii", "study", "result", "results") for path in Path(top).rglob("*") if path.is_file()]
    assert not [path for path in left if any(word in path.read_bytes() for word in IDENTIFYING)]
