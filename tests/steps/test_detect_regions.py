"""`cmbtk detect --regions` and `--prior`: tables, summary, page; what is said where it cannot be done."""

import json
import sys
from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from dicom_series import siemens
from hand_made_model import model as make_model
from nibabel.affines import apply_affine

from cmb_toolkit.cli.detect import _since
from cmb_toolkit.cli.main import cli
from cmb_toolkit.errors import MissingError, UsageError
from cmb_toolkit.exports.dicom.codes import REGIONS
from cmb_toolkit.regions.atlas import GROUP_OF
from cmb_toolkit.schema import CHANGED, GONE, LESIONS, PLACED
from cmb_toolkit.simulation.acquisition import PROTOCOLS
from cmb_toolkit.simulation.scan import simulate_scan

WHOLE = replace(PROTOCOLS["tiny"], matrix=(112, 128, 48))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("model") / "ours.cmbtk")


@pytest.fixture(scope="module")
def whole():
    return simulate_scan(7, WHOLE, microbleeds=8, difficulty="easy")


def write(folder, scan):
    """Its files with a brain mask, and a table that names them."""
    folder.mkdir()
    for name, data in (("magnitude", 1000 * scan.magnitude), ("phase", 1000 * scan.phase), ("mask", scan.intracranial)):
        nib.save(nib.Nifti1Image(np.rint(data).astype(np.int16), scan.affine), folder / f"{name}.nii.gz")
    return folder


def table(path):
    return pd.read_csv(path, sep="\t", na_values="n/a", keep_default_na=False)


def run(*words):
    return CliRunner().invoke(cli, ["detect", *map(str, words)], catch_exceptions=False)


def sites(folder):
    """Where the report of a scan says that its findings are."""
    import highdicom as hd

    groups = hd.sr.srread(folder / "sr.dcm").content.get_planar_roi_measurement_groups()
    return [[site.value.meaning for site in group.finding_sites] for group in groups]


def files(folder):
    names = ("magnitude", "phase", "mask")
    return [word for name in names for word in (f"--{name}", folder / f"{name}.nii.gz")]


@pytest.mark.slow
def test_a_later_scan_says_what_is_new_and_what_gone(model, tmp_path):
    scans = {n: simulate_scan(7, "tiny", microbleeds=n, difficulty="easy") for n in (4, 6)}
    for n, scan in scans.items():
        write(tmp_path / f"files-{n}", scan)
    results = tmp_path / "earlier"
    asked = ("--operating", "specific", "--phase-sign", "+1")
    assert run(model, *files(tmp_path / "files-4"), "-o", results / "sub-01", *asked).exit_code == 0
    later = run(model, *files(tmp_path / "files-6"), "-o", tmp_path / "out", *asked, "--prior", results / "sub-01")
    assert later.exit_code == 0, later.output
    lesions = table(tmp_path / "out" / "lesions.tsv")
    assert list(lesions) == LESIONS.names + CHANGED.names
    assert "unchanged" in set(lesions["change"])
    old = table(results / "sub-01" / "lesions.tsv").set_index("id")
    same = lesions[lesions["change"] == "unchanged"]
    places = [f"{axis}_mm" for axis in "xyz"]
    away = same[places].to_numpy(float) - old.loc[same["earlier_id"].astype(int), places].to_numpy(float)
    assert np.linalg.norm(away, axis=1).max() <= 3.5
    gone = table(tmp_path / "out" / "gone.tsv")
    assert list(gone) == GONE.names
    assert set(gone["id"]) == set(old.index) - set(same["earlier_id"])
    said = json.loads((tmp_path / "out" / "summary.json").read_text())["since"]
    assert (said["unchanged"], said["gone"] + said["unseen now"]) == (len(same), len(gone))
    assert f"{len(same)} unchanged" in later.output
    assert f"{len(same)} unchanged" in (tmp_path / "out" / "report.html").read_text()

    with pytest.raises(UsageError, match="own results"):
        run(model, *files(tmp_path / "files-6"), "-o", tmp_path / "out", "--prior", tmp_path / "out")
    with pytest.raises(MissingError, match=r"has no candidates\.tsv"):
        run(model, *files(tmp_path / "files-6"), "-o", tmp_path / "other", "--prior", tmp_path / "files-4")
    (tmp_path / "scans.tsv").write_text("participant_id\tmagnitude\tphase\n01\tm.nii.gz\tp.nii.gz\n")
    with pytest.raises(UsageError, match="is of one scan"):
        run(model, tmp_path / "scans.tsv", "-o", tmp_path / "many", "--prior", results / "sub-01")


def test_what_to_think_of_before_believing_a_change_is_said():
    numbers = {"new": 2, "unchanged": 1, "gone": 0, "unseen": 0, "unseen now": 0}
    assert _since({**numbers, "note": "is it the same person?"}).endswith("0 unseen now (is it the same person?)")
    assert _since({**numbers, "note": ""}).endswith("0 unseen now")
    assert _since({"doubt": "there is no earlier scan"}) == "not known: there is no earlier scan"


@pytest.mark.slow
def test_of_several_scans_each_says_its_regions_or_why_not(model, whole, tmp_path):
    slab = simulate_scan(7, "tiny", microbleeds=5, difficulty="easy")
    folders = {"01": write(tmp_path / "a", whole), "02": write(tmp_path / "b", slab)}
    lines = ["participant_id\tmagnitude\tphase\tmask\tphase_sign"]
    lines += [f"{n}\t{f}/magnitude.nii.gz\t{f}/phase.nii.gz\t{f}/mask.nii.gz\t1" for n, f in folders.items()]
    (tmp_path / "scans.tsv").write_text("\n".join(lines) + "\n")
    for name, scan in (("01", whole), ("02", slab)):
        siemens(tmp_path / "dicom" / name, scan.magnitude, scan.phase, scan.affine)
    archive = ("--dicom-out", tmp_path / "archive", "--dicom-from", tmp_path / "dicom")
    done = run(model, tmp_path / "scans.tsv", "-o", tmp_path / "out", "--regions", "--operating", "specific", *archive)
    assert done.exit_code == 0, done.output

    lesions = table(tmp_path / "out" / "sub-01" / "lesions.tsv")
    assert list(lesions) == LESIONS.names + PLACED.names
    assert lesions["group"].tolist() == lesions["region"].map(GROUP_OF).tolist()
    summary = json.loads((tmp_path / "out" / "sub-01" / "summary.json").read_text())
    assert [summary["regions"][group] for group in ("lobar", "deep", "infratentorial")] == [
        (lesions["group"] == group).sum() for group in ("lobar", "deep", "infratentorial")
    ]
    assert summary["regions"]["similarity"] > 0.55
    assert "The atlas on slice" in (tmp_path / "out" / "sub-01" / "report.html").read_text()
    below = apply_affine(whole.affine, [p.position for p in whole.microbleeds if p.lesion.region == "infratentorial"])
    places = lesions[["x_mm", "y_mm", "z_mm"]].to_numpy()
    near = np.linalg.norm(places[:, None] - below, axis=2).min(axis=1) < 3
    assert near.any()
    assert set(lesions["group"][near]) == {"infratentorial"}

    said = [[each.region, *([each.next_region] if each.border else [])] for each in lesions.itertuples()]
    assert sites(tmp_path / "archive" / "sub-01") == [[REGIONS[name][2] for name in names] for names in said]
    assert {tuple(names) for names in sites(tmp_path / "archive" / "sub-02")} == {("Brain",)}

    assert table(tmp_path / "out" / "sub-02" / "candidates.tsv")["region"].isna().all()
    doubt = json.loads((tmp_path / "out" / "sub-02" / "summary.json").read_text())["regions"]["doubt"]
    assert "less than 110 mm" in doubt
    assert doubt in (tmp_path / "out" / "sub-02" / "report.html").read_text()
    cohort = table(tmp_path / "out" / "cohort.tsv").set_index("participant_id")
    assert cohort.loc["sub-01", "infratentorial"] == summary["regions"]["infratentorial"]
    assert cohort.loc["sub-02", ["lobar", "deep", "infratentorial"]].isna().all()


def test_what_is_not_installed_is_said_before_anything_is_done(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    with pytest.raises(MissingError, match="--regions needs SimpleITK"):
        run(model, "--magnitude", "m.nii.gz", "--phase", "p.nii.gz", "-o", tmp_path / "out", "--regions")
    assert not list(tmp_path.iterdir())
