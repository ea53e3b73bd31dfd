"""From DICOM to SEG and SR with one command, whatever the scanner."""

import gzip
import sys

import nibabel as nib
import numpy as np
import pandas as pd
import pydicom
import pytest
from dicom_series import ge, ge_complex, philips, siemens
from hand_made_model import content
from hand_made_model import model as make_model
from nibabel.affines import apply_affine

from cmb_toolkit.bundle.content import Point
from cmb_toolkit.detect.recipe import Detecting
from cmb_toolkit.errors import DataError
from cmb_toolkit.exports.dicom.recipe import DicomOut
from cmb_toolkit.io.dicom_frames import series_in
from cmb_toolkit.simulation.scan import simulate_scan
from cmb_toolkit.steps.dicom import write_dicom
from cmb_toolkit.study.scan import Scan

WORLD = ["x_mm", "y_mm", "z_mm"]
IDENTIFYING = (b"Planted", b"19400401", b"20260102", b"1940-04-01", b"2026-01-02", b"101500", b"1.2.826")
TO_LPS = (-1, -1, 1)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A detector of dark spots that keeps few of them."""
    points = content().points | {"balanced": Point(0.3, 0.5, (0.8, 0.7, 0.9), (0.5, 0.2, 0.9))}
    return make_model(tmp_path_factory.mktemp("model") / "ours.cmbtk", points=points)


@pytest.fixture(scope="module")
def simulated():
    return simulate_scan(7, "tiny", microbleeds=5, difficulty="easy")


@pytest.fixture(scope="module")
def run(typed):
    """`cmbtk detect`."""
    return lambda *words, code=0: typed("detect", *words, code=code)


def lesions(folder):
    return pd.read_csv(folder / "lesions.tsv", sep="\t", na_values="n/a", keep_default_na=False)


def points(path):
    """Positions in a report, as world coordinates."""
    import highdicom as hd

    groups = hd.sr.srread(path).content.get_planar_roi_measurement_groups()
    return np.array([group.roi.value[0] for group in groups]) * TO_LPS


def segments(path):
    """World coordinates of the voxels of each segment."""
    import highdicom as hd

    volume = hd.seg.segread(path).get_volume(combine_segments=True)
    places = np.argwhere(volume.array)
    world = apply_affine(volume.affine, places) * TO_LPS
    numbers = volume.array[tuple(places.T)]
    return {int(number): world[numbers == number] for number in np.unique(numbers)}


def nobody_is_named(*folders):
    for path in (path for folder in folders for path in folder.rglob("*") if path.is_file()):
        held = path.read_bytes()
        held += gzip.decompress(held) if path.suffix == ".gz" else b""
        assert not [word for word in IDENTIFYING if word in held or word.decode() in path.name], path


@pytest.fixture(scope="module")
def looked(model, simulated, run, tmp_path_factory):
    """A scan of Siemens' looked at, with its objects and pictures."""
    folder = tmp_path_factory.mktemp("siemens")
    siemens(folder / "dicom" / "any^name", simulated.magnitude, simulated.phase, simulated.affine)
    words = [model, folder / "dicom", "-o", folder / "out", "--phase-sign", "+1", "--dicom-out", folder / "archive"]
    return folder, words, run(*words, "--dicom-pages")


@pytest.mark.parametrize("vendor", [philips, ge_complex])
def test_the_same_places_whatever_the_scanner(looked, model, simulated, run, tmp_path, vendor):
    tags = {"alternating": True} if vendor is ge_complex else {}
    vendor(tmp_path / "dicom" / "p1", simulated.magnitude, simulated.phase, simulated.affine, **tags)
    words = ["--phase-sign", "+1", "--fix-ge-phase", "--dicom-out", tmp_path / "archive"]
    run(model, tmp_path / "dicom", "-o", tmp_path / "out", *words)
    check(tmp_path)
    own, other = (points(folder / "archive/sub-001/sr.dcm") for folder in (looked[0], tmp_path))
    away = np.linalg.norm(own[:, None] - other, axis=2).min(axis=1)
    assert (away < 0.1).mean() > 0.8, "what is rounded otherwise may be kept otherwise, at the threshold"


def test_swan_goes_the_same_way(model, simulated, run, tmp_path):
    ge(tmp_path / "dicom" / "p1", simulated.magnitude, simulated.phase, simulated.affine)
    words = ["--phase-sign", "+1", "--dicom-out", tmp_path / "archive"]
    run(model, tmp_path / "dicom", "-o", tmp_path / "out", *words)
    check(tmp_path)


def test_findings_are_where_they_are_in_the_table_and_the_label_map(looked):
    folder, _, said = looked
    check(folder)
    assert "of 1 scan; it names the patient" in said
    assert pydicom.dcmread(folder / "archive/sub-001/page-01.dcm").PatientName == "Planted^Name"


def check(folder):
    """Points and segments against what `cmbtk detect` wrote."""
    out, archive = folder / "out/sub-001", folder / "archive/sub-001"
    table = lesions(out)
    assert len(table) > 2
    np.testing.assert_allclose(points(archive / "sr.dcm"), table[WORLD], atol=0.01)
    image = nib.load(out / "microbleeds.nii.gz")
    labels, found = np.asarray(image.dataobj), segments(archive / "seg.dcm")
    assert set(found) == set(np.unique(labels)) - {0}
    for number, world in found.items():
        expected = apply_affine(image.affine, np.argwhere(labels == number))
        away = np.linalg.norm(world[:, None] - expected, axis=2)
        assert len(world) == len(expected)
        assert away.min(axis=1).max() < 0.01
    seg, report = (pydicom.dcmread(archive / name) for name in ("seg.dcm", "sr.dcm"))
    assert seg.PatientName == report.PatientName == "Planted^Name"
    nobody_is_named(out)
    assert not [word for word in IDENTIFYING if word in (folder / "archive/sub-001.json").read_bytes()]


def test_what_is_there_is_left_alone_and_what_is_gone_is_made_again(looked, run):
    folder, words, _ = looked
    written = folder / "archive/sub-001"
    before = {path: path.stat().st_mtime_ns for path in written.iterdir()}
    run(*words, "--dicom-pages")
    assert {path: path.stat().st_mtime_ns for path in written.iterdir()} == before
    uid = pydicom.dcmread(written / "sr.dcm").SOPInstanceUID
    (written / "sr.dcm").unlink()
    run(*words, "--dicom-pages")
    assert pydicom.dcmread(written / "sr.dcm").SOPInstanceUID == uid, "an archive takes it for the same"


def test_from_files_that_were_converted_before(looked, model, run, tmp_path):
    folder, _, _ = looked
    scan = folder / "out/converted/sub-001"
    words = ["--magnitude", scan / "magnitude.nii.gz", "--phase", scan / "phase.nii.gz", "--phase-sign", "+1"]
    archive = ["--dicom-out", tmp_path / "archive", "--dicom-from", folder / "dicom"]
    run(model, *words, "-o", tmp_path / "out", *archive)
    np.testing.assert_allclose(
        points(tmp_path / "archive/sub-scan/sr.dcm"), lesions(tmp_path / "out")[WORLD], atol=0.01
    )


def test_none_found_is_a_report_and_no_segmentation(looked, model, run, tmp_path):
    folder, _, _ = looked
    words = ["-o", tmp_path / "out", "--phase-sign", "+1", "--operating", "specific"]
    said = run(model, folder / "dicom", *words, "--dicom-out", tmp_path / "archive")
    assert "sub-001: nothing was found: an SR that says so, and no SEG, which cannot be empty" in said
    assert [path.name for path in (tmp_path / "archive/sub-001").iterdir()] == ["sr.dcm"]


def test_one_scan_without_its_series_does_not_stop_the_others(looked, tmp_path):
    folder, _, _ = looked
    own = {kind: folder / f"out/converted/sub-001/{kind}.nii.gz" for kind in ("magnitude", "phase")}
    moved = {kind: tmp_path / path.name for kind, path in own.items()}
    for kind, path in own.items():
        image = nib.load(path)
        affine = image.affine.copy()
        affine[0, 3] += 40
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj), affine), moved[kind])
    scans = [Scan("sub-1", **moved), Scan("sub-2", **own), Scan("sub-3", **own)]
    results = dict.fromkeys(("sub-1", "sub-2"), folder / "out/sub-001")
    wanted = DicomOut(dicom_out=tmp_path / "archive")
    with pytest.raises(DataError, match=r"sub-1: .*none of 2 DICOM series lies on its voxels\. Give .* --dicom-from"):
        write_dicom(scans, results, series_in(folder / "dicom"), wanted, Detecting())
    assert [path.name for path in (tmp_path / "archive").iterdir() if path.is_dir()] == ["sub-2"]


def test_what_cannot_be_done_is_said_before_anything_is(looked, model, run, tmp_path, monkeypatch):
    folder, _, _ = looked
    dicom, out = folder / "dicom", tmp_path / "out"
    assert "goes with --dicom-out DIR" in run(model, dicom, "-o", out, "--dicom-pages", code=2)
    assert "is to be free of names" in run(model, dicom, "-o", out, "--dicom-out", out / "archive", code=2)
    scan = folder / "out/converted/sub-001"
    files = ["--magnitude", scan / "magnitude.nii.gz", "--phase", scan / "phase.nii.gz"]
    assert "--dicom-from DIR" in run(model, *files, "-o", out, "--dicom-out", tmp_path / "archive", code=2)
    (tmp_path / "none").mkdir()
    words = ["--dicom-out", tmp_path / "archive", "--dicom-from", tmp_path / "none"]
    assert "holds no MR image in DICOM" in run(model, *files, "-o", out, *words, code=3)
    assert not out.exists()
    siemens(tmp_path / "other", np.ones((6, 5, 4)), np.zeros((6, 5, 4)), np.eye(4))
    words = ["--dicom-out", tmp_path / "archive", "--dicom-from", tmp_path / "other"]
    assert "none of 2 DICOM series lies on its voxels" in run(model, *files, "-o", out, *words, code=5)
    assert not out.exists()
    (tmp_path / "archive/sub-001").mkdir(parents=True)
    (tmp_path / "archive/sub-001/mine.txt").write_text("mine")
    said = run(model, dicom, "-o", folder / "out", "--phase-sign", "+1", "--dicom-out", tmp_path / "archive", code=2)
    assert "would be replaced. Choose another --dicom-out." in said
    monkeypatch.setitem(sys.modules, "highdicom", None)
    said = run(model, dicom, "-o", out, "--dicom-out", tmp_path / "new", code=3)
    assert "highdicom: not found, and --dicom-out needs it. Install it with `pip install" in said
