"""Looking at new scans with a model: what is written, on whose voxels, and what becomes of scans that are unlike."""

import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from dicom_series import siemens
from hand_made_model import content
from hand_made_model import model as make_model
from nibabel.affines import apply_affine

from cmb_toolkit.cli.main import cli
from cmb_toolkit.detect.recipe import Detecting
from cmb_toolkit.errors import DataError, MissingError, UsageError
from cmb_toolkit.io.publish import read_record
from cmb_toolkit.simulation.scan import simulate_scan
from cmb_toolkit.steps.detect import detect, detect_scan
from cmb_toolkit.study.scan import Scan

WORLD = ["x_mm", "y_mm", "z_mm"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A detector of dark spots, in scans as the protocol tiny has them."""
    return make_model(tmp_path_factory.mktemp("model") / "ours.cmbtk")


@pytest.fixture(scope="module")
def simulated():
    return simulate_scan(7, "tiny", microbleeds=5, difficulty="easy")


def write(folder, magnitude, phase, affine):
    """Magnitude and phase as a scanner's files; the phase in milliradians."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in (("magnitude", 1000 * magnitude), ("phase", 1000 * phase)):
        nib.save(nib.Nifti1Image(np.rint(data).astype(np.int16), affine), folder / f"{name}.nii.gz")
    return Scan("sub-scan", folder / "phase.nii.gz", folder / "magnitude.nii.gz", phase_sign=1)


@pytest.fixture(scope="module")
def looked(model, simulated, tmp_path_factory):
    """The scan as it was simulated, and what was found."""
    folder = tmp_path_factory.mktemp("scan")
    scan = write(folder / "files", simulated.magnitude, simulated.phase, simulated.affine)
    detect_scan(model, scan, folder / "out")
    return scan, folder / "out"


def table(out, name="candidates.tsv"):
    return pd.read_csv(out / name, sep="\t", na_values="n/a", keep_default_na=False)


def truth(simulated, affine=None):
    places = np.array([placed.position for placed in simulated.microbleeds])
    return apply_affine(simulated.affine if affine is None else affine, places)


def found(out, marks):
    """How far each mark is from the nearest candidate."""
    places = table(out)[WORLD].to_numpy()
    return np.linalg.norm(marks[:, None] - places[None], axis=2).min(axis=1)


def test_microbleeds_are_found_where_they_are(looked, simulated):
    away = found(looked[1], truth(simulated))
    assert (away <= 3).mean() >= 0.6
    assert np.median(away[away <= 3]) < 1


def test_label_map_table_and_map_say_the_same_on_the_scans_own_voxels(looked):
    scan, out = looked
    image, own = nib.load(out / "microbleeds.nii.gz"), nib.load(scan.magnitude)
    assert image.shape == own.shape
    np.testing.assert_allclose(image.affine, own.affine)
    labels, lesions, every = np.asarray(image.dataobj), table(out, "lesions.tsv"), table(out)
    assert len(lesions) > 0
    assert set(np.unique(labels)) == {0, *lesions["id"]}
    assert lesions["id"].tolist() == list(range(1, len(lesions) + 1))
    assert every["score"].is_monotonic_decreasing
    assert (every["kept"] == (every["score"] >= 0.2)).all()
    pd.testing.assert_frame_equal(every[every["kept"]].reset_index(drop=True), lesions)
    probability = np.asarray(nib.load(out / "probability.nii.gz").dataobj)
    for row in every.itertuples():
        voxel = tuple(np.rint(apply_affine(np.linalg.inv(image.affine), (row.x_mm, row.y_mm, row.z_mm))).astype(int))
        assert voxel == (row.i, row.j, row.k)
        assert row.slice == row.k + 1
        if row.kept:
            assert labels[voxel] == row.id
            assert probability[voxel] == pytest.approx(row.probability, rel=1e-3)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["findings"] == len(lesions)
    assert summary["candidates"] == len(every)
    assert summary["range"] == "green"
    assert "<html" in (out / "report.html").read_text()


def test_nothing_is_done_twice_and_another_threshold_is_another_result(looked, model, tmp_path):
    scan, out = looked
    mine = shutil.copytree(out, tmp_path / "out")
    shutil.copy(out.with_name("out.json"), tmp_path)
    before = {path: path.stat().st_mtime_ns for path in mine.iterdir()}
    assert detect_scan(model, scan, mine).made == 0
    assert {path: path.stat().st_mtime_ns for path in mine.iterdir()} == before
    assert detect_scan(model, scan, mine, Detecting(operating="specific")).made == 1
    assert table(mine, "lesions.tsv").empty
    assert not np.asarray(nib.load(mine / "microbleeds.nii.gz").dataobj).any()
    record = read_record(mine)
    assert record["parameters"]["operating"] == "specific"
    assert {source["role"] for source in record["sources"]} == {"model", "magnitude", "phase"}
    assert (
        str(tmp_path)
        not in json.dumps(record) + (mine / "summary.json").read_text() + (mine / "report.html").read_text()
    )


def test_a_folder_of_dicom_is_looked_at_as_its_images_are(looked, model, simulated, tmp_path):
    siemens(tmp_path / "dicom" / "any^name", simulated.magnitude, simulated.phase, simulated.affine)
    out = tmp_path / "out"
    run = CliRunner().invoke(cli, ["detect", str(model), str(tmp_path / "dicom"), "-o", str(out), "--phase-sign", "+1"])
    assert run.exit_code == 0, run.output
    assert "magnitude=2, phase=3" in run.output
    mine, theirs = table(out / "sub-001"), table(looked[1])
    assert abs(len(mine) - len(theirs)) <= 5, "the phase was rounded otherwise"
    best = theirs.head(3)
    away = np.linalg.norm(best[WORLD].to_numpy()[:, None] - mine[WORLD].to_numpy()[None], axis=2).min(axis=1)
    assert (away < 0.1).all()
    assert not [path for path in out.rglob("*") if path.is_file() and b"any^name" in path.read_bytes()]


@pytest.mark.parametrize("axes", ["LPS", "LAS", "oblique"])
def test_the_same_scan_stored_or_lying_otherwise_gives_the_same_places(looked, model, simulated, tmp_path, axes):
    scan, out = looked
    if axes == "oblique":
        a = np.deg2rad(15)
        turn = np.eye(4)
        turn[:3, :3] = [[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]
        other = write(tmp_path, simulated.magnitude, simulated.phase, turn @ simulated.affine)
    else:
        turn = np.eye(4)
        codes = nib.orientations.axcodes2ornt(axes)
        for path in scan.files.values():
            image = nib.load(path)
            change = nib.orientations.ornt_transform(nib.io_orientation(image.affine), codes)
            nib.save(image.as_reoriented(change), tmp_path / path.name)
        other = Scan("sub-scan", tmp_path / scan.phase.name, tmp_path / scan.magnitude.name, phase_sign=1)
    detect_scan(model, other, tmp_path / "out")
    here, there = table(out), table(tmp_path / "out")
    np.testing.assert_allclose(there[WORLD], apply_affine(turn, here[WORLD].to_numpy()), atol=0.02)
    np.testing.assert_allclose(there["score"], here["score"], atol=1e-4)


def test_other_voxels_are_brought_to_the_models_and_findings_come_back(looked, model, simulated, tmp_path):
    """Larger voxels by leaving out the border of k-space, as a scanner would have acquired them."""
    signal = simulated.magnitude * np.exp(1j * simulated.phase)
    n = np.array(signal.shape)
    fewer = (n * 0.8).astype(int) // 2 * 2
    fewer[2] = n[2]
    space = np.fft.fftshift(np.fft.fftn(signal))
    start = (n - fewer) // 2
    cut = space[tuple(slice(a, a + b) for a, b in zip(start, fewer, strict=True))]
    other = np.fft.ifftn(np.fft.ifftshift(cut)) * np.prod(fewer) / np.prod(n)
    affine = simulated.affine @ np.diag([*(n / fewer), 1.0])
    scan = write(tmp_path, np.abs(other), np.angle(other), affine)
    detect_scan(model, scan, tmp_path / "out")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["resampled"]
    assert summary["looked_at_voxel_mm"] == [1.8, 1.8, 3.0]
    assert summary["range"] == "amber"
    assert "resampled" in summary["reasons"][0]
    before, after = found(looked[1], truth(simulated)), found(tmp_path / "out", truth(simulated))
    assert (after <= 3).sum() >= (before <= 3).sum() - 1
    image = nib.load(tmp_path / "out" / "microbleeds.nii.gz")
    np.testing.assert_allclose(image.affine, affine, atol=1e-5)
    assert image.shape == tuple(fewer)


def test_a_scan_far_from_what_was_learned_is_refused_unless_forced(model, simulated, tmp_path):
    thick = simulated.magnitude.reshape(*simulated.magnitude.shape[:2], -1, 3).mean(axis=3)
    scan = write(tmp_path, thick, simulated.phase[:, :, 1::3], simulated.affine @ np.diag([1, 1, 3, 1]))
    with pytest.raises(
        DataError, match=r"1\.8 x 1\.8 x 9 mm, where the model learned from 1\.8 x 1\.8 x 3 mm.*--force"
    ):
        detect_scan(model, scan, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    detect_scan(model, scan, tmp_path / "out", Detecting(force=True))
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["range"] == "red"


def test_the_brain_mask_of_a_single_scan_may_be_found_otherwise(looked, model, tmp_path):
    """The model's scans are taken whole; a scan with a skull need not be."""
    detect_scan(model, looked[0], tmp_path / "own", Detecting(brain_mask="own", bet_fraction=0.4))
    own, whole = (json.loads((out / "summary.json").read_text()) for out in (tmp_path / "own", looked[1]))
    assert own["brain_mask"].startswith("own BET")
    assert whole["brain_mask"] == "all voxels with signal"
    assert own["brain_ml"] < whole["brain_ml"]


def test_a_model_of_scans_cleaned_with_fsl_asks_for_it(looked, tmp_path, monkeypatch):
    """And does not take another mask in silence; --brain-mask own asks for one."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("FSLDIR", raising=False)
    by_fsl = replace(content().look, preprocessing={"brain_mask": "fsl"})
    other = make_model(tmp_path / "fsl.cmbtk", look=by_fsl)
    with pytest.raises(MissingError, match="bet"):
        detect_scan(other, looked[0], tmp_path / "out")
    detect_scan(other, looked[0], tmp_path / "out", Detecting(brain_mask="own"))


def test_a_folder_of_somebody_else_is_left_alone(looked, model, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"notes\.txt"):
        detect_scan(model, looked[0], tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    (tmp_path / "findings.tsv").write_text("mine")
    with pytest.raises(UsageError, match=r"findings\.tsv"):
        detect(model, [looked[0]], tmp_path)
    assert not (tmp_path / "sub-scan").exists()


def test_a_cohort_is_a_table_and_one_bad_scan_does_not_stop_it(looked, model, tmp_path):
    scan, _ = looked
    lines = ["participant_id\tmagnitude\tphase\tphase_sign"]
    for name in ("01", "02"):
        shutil.copytree(scan.magnitude.parent, tmp_path / f"Jane Doe {name}")
        lines.append(f"{name}\tJane Doe {name}/magnitude.nii.gz\tJane Doe {name}/phase.nii.gz\t1")
    (tmp_path / "Jane Doe 02" / "phase.nii.gz").write_bytes(b"broken")
    (tmp_path / "scans.tsv").write_text("\n".join(lines) + "\n")
    run = CliRunner().invoke(
        cli, ["detect", str(model), str(tmp_path / "scans.tsv"), "-o", str(tmp_path / "out"), "-j", "1"]
    )
    assert isinstance(run.exception, DataError)
    assert "1 scans: 1 looked at" in run.output
    out = tmp_path / "out"
    cohort = table(out, "cohort.tsv").set_index("participant_id")
    assert cohort.loc["sub-01", "range"] == "green"
    assert pd.isna(cohort.loc["sub-02", "range"])
    assert cohort.loc["sub-02", "reasons"].startswith("phase")
    findings = table(out, "findings.tsv")
    assert set(findings["participant_id"]) == {"sub-01"}
    np.testing.assert_allclose(findings[WORLD], table(out / "sub-01")[WORLD])
    for path in out.rglob("*"):
        if path.is_file() and path.suffix != ".gz":
            assert "Jane" not in path.read_text(), path


KILLED = {
    "at its start": "",
    "in the middle of the first scan's files": ".*.tmp.sub-scan/*.nii.gz",
    "in the middle of the second one's": ".*.tmp.sub-b/*.tsv",
}
"""When a run is killed -> what is there then."""


@pytest.mark.slow
def test_killed_at_any_moment_the_same_command_gives_the_same_files(looked, model, tmp_path):
    scan, undisturbed = looked
    rows = "".join(f"{name}\t{scan.magnitude}\t{scan.phase}\t1\n" for name in ("sub-scan", "sub-b"))
    (tmp_path / "scans.tsv").write_text(f"participant_id\tmagnitude\tphase\tphase_sign\n{rows}")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "cmb_toolkit", "detect", str(model), str(tmp_path / "scans.tsv"), "-o", str(out)]
    command += ["--jobs", "1"]
    for moment, pattern in KILLED.items():
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 300
        while pattern and not any(out.glob(pattern)) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        assert process.poll() is None, f"it ended before it could be killed {moment}"
        process.kill()
        process.wait()
    before = {path: path.stat().st_mtime_ns for path in (out / "sub-scan").iterdir()}
    assert not (out / "sub-b").exists()
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    assert "2 scans: 1 looked at, 1 unchanged" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in before} == before
    for name in (path.name for path in undisturbed.iterdir()):
        assert (out / "sub-scan" / name).read_bytes() == (undisturbed / name).read_bytes(), name
    for name in ("microbleeds.nii.gz", "probability.nii.gz", "lesions.tsv"):
        assert (out / "sub-b" / name).read_bytes() == (undisturbed / name).read_bytes(), name
    assert not list(out.glob(".*")), "something unfinished is left"


def test_no_finding_says_so_with_the_best_that_was_rejected(looked, model, tmp_path):
    scan, _ = looked
    words = ["--magnitude", scan.magnitude, "--phase", scan.phase, "--operating", "specific", "-o", tmp_path / "out"]
    run = CliRunner().invoke(cli, ["detect", str(model), *map(str, words)])
    assert run.exit_code == 0, run.output
    assert "Findings    0, at the operating point specific" in run.output
    assert "and 0.9 is needed" in run.output
    assert "report.html" in run.output


@pytest.fixture(scope="module")
def derivative(looked, model, tmp_path_factory):
    """Of a BIDS folder of one subject, scanned twice."""
    scan, _ = looked
    tmp_path = tmp_path_factory.mktemp("bids")
    for session in ("1", "2"):
        folder = tmp_path / "data" / "sub-01" / f"ses-{session}" / "anat"
        folder.mkdir(parents=True)
        for part, path in (("mag", scan.magnitude), ("phase", scan.phase)):
            shutil.copy(path, folder / f"sub-01_ses-{session}_acq-swi_part-{part}_T2starw.nii.gz")
    (tmp_path / "data" / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    derivative = tmp_path / "out"
    words = ["bids", tmp_path / "data", derivative, "participant", "--model", model, "--participant-label", "01"]
    run = CliRunner().invoke(cli, [*map(str, words), "--phase-sign", "+1", "-j", "2"])
    assert run.exit_code == 0, run.output
    return derivative


def test_two_workers_find_the_same(looked, derivative):
    for session in ("1", "2"):
        (found,) = derivative.glob(f"**/*ses-{session}*candidates.tsv")
        pd.testing.assert_frame_equal(table(found.parent, found.name)[WORLD], table(looked[1])[WORLD])


def test_a_bids_folder_becomes_a_derivative(looked, derivative):
    _, out = looked
    stem = derivative / "sub-01" / "ses-2" / "anat" / "sub-01_ses-2_acq-swi"
    found = pd.read_csv(f"{stem}_desc-cmb_dseg.tsv", sep="\t", na_values="n/a", keep_default_na=False)
    lesions = table(out, "lesions.tsv")
    assert found["index"].tolist() == lesions["id"].tolist()
    assert found["name"].tolist() == [f"microbleed {number}" for number in lesions["id"]]
    np.testing.assert_allclose(found[WORLD], lesions[WORLD])
    described = json.loads(Path(f"{stem}_desc-cmb_dseg.json").read_text())
    assert set(found.columns) - {"index", "name"} <= set(described), "those two are the standard's"
    assert described["LearnedFrom"] == "simulated"
    labels = np.asarray(nib.load(f"{stem}_desc-cmb_dseg.nii.gz").dataobj)
    assert set(np.unique(labels)) == {0, *found["index"]}
    assert (derivative / "sub-01_ses-1_acq-swi_report.html").is_file()


def test_the_standards_validator_takes_the_derivative(derivative):
    here = str(Path(sys.executable).parent)
    validator = shutil.which("bids-validator-deno") or shutil.which("bids-validator-deno", path=here)
    if validator is None:
        pytest.skip("no bids-validator-deno here")
    said = subprocess.run([validator, str(derivative)], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
