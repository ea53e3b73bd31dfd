"""Names of scans' files may be people's: of all that lies in a study participants.tsv alone holds them."""

import json
import re
import shutil
import subprocess
import sys

import nibabel as nib
import numpy as np
import openpyxl
import pandas as pd
import pytest
from click.testing import CliRunner

from cmb_toolkit.cli.main import cli
from cmb_toolkit.io.publish import read_record
from cmb_toolkit.io.tables import write_tsv
from cmb_toolkit.study.layout import Study
from cmb_toolkit.study.nameless import kept_text, without_names

NAME = "DOE_JANE_19560203"
OTHERS = ("ROE_MARY_19611231", "POE_EDGAR_18090119")
SHAPE = (40, 48, 6)
AFFINE = np.diag([0.8, 0.8, 2.0, 1.0])


def scan(folder, name, seed):
    rng = np.random.default_rng(seed)
    i, j, _ = np.indices(SHAPE)
    brain = ((i - 19.5) / 18) ** 2 + ((j - 23.5) / 22) ** 2 < 1
    magnitude = np.where(brain, 300 + rng.normal(0, 8, SHAPE), 5)
    magnitude[20:22, 24:26, 2:4] = 40
    magnitude[0, 0, 0] = -1  # draws a warning, which names the file
    phase = rng.uniform(-np.pi, np.pi, SHAPE)
    for kind, data in (("mag", magnitude), ("pha", phase), ("mask", brain)):
        path = folder / "Data" / name / f"{name}_{kind}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(data.astype(np.float32), AFFINE), path)


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("named")
    for seed, name in enumerate((NAME, *OTHERS)):
        scan(folder, name, seed)
        (folder / "Data" / name / f"{name}_mag.json").write_text(json.dumps({"EchoTime": 0.02, "PatientName": name}))
        book = openpyxl.Workbook()
        for row in (("slice", "x", "y"), (3, 21, 25)):
            book.active.append(row)
        (folder / "Label").mkdir(exist_ok=True)
        book.save(folder / "Label" / f"{name}.xlsx")
    run("import", "authors", folder, "-o", folder / "study")
    return folder


def run(*words, code=0):
    done = CliRunner().invoke(cli, [*map(str, words)])
    if code is not None:
        assert done.exit_code == code, done.output
    return done


def kept(study):
    """Everything in a study but its table of participants, as bytes, and the names of the files."""
    files = [path for path in study.rglob("*") if path.is_file() and path != study / "participants.tsv"]
    return {path: path.read_bytes() + str(path.relative_to(study)).encode() for path in files}


def assert_nameless(study):
    for path, content in kept(study).items():
        for name in (NAME, *OTHERS):
            for part in name.split("_"):
                assert part.encode() not in content, path


def test_every_step_leaves_the_names_where_they_are(imported):
    study = Study(imported / "study")
    assert NAME in study.participants.read_text()
    warned = run("preprocess", study.root, "--jobs", "1").output
    assert re.search("Warning: sub-001: magnitude: .*negative", warned)
    assert "mag.nii.gz" not in warned
    run("check", study.root, "--jobs", "1", code=None)
    roles = ("train", "validation", "test")
    folds = [("1", f"sub-{n:03d}", role) for n, role in enumerate(roles, 1)]
    write_tsv(pd.DataFrame(folds, columns=["fold", "participant_id", "role"]), study.folds)
    run("prepare-yolo", study.root, "--fold", "1", "--size", "64", "--jobs", "1")
    run("frst", study.root, "--fold", "1", "--jobs", "1", "--size", "64")
    assert any(path.suffix == ".png" for path in kept(study.root))
    assert_nameless(study.root)
    record = read_record(study.subject("sub-001"))
    assert [source["role"] for source in record["sources"]] == [
        "magnitude",
        "phase",
        "mask",
        "sidecar of the magnitude",
    ]
    assert run("preprocess", study.root, "--jobs", "1").output.count("3 unchanged") == 1


def test_a_study_made_before_is_done_again(imported, tmp_path):
    """Its records named the files: they are replaced."""
    shutil.copytree(imported / "Data", tmp_path / "Data")
    shutil.copytree(imported / "Label", tmp_path / "Label")
    study = Study(tmp_path / "study")
    run("import", "authors", tmp_path, "-o", study.root)
    run("preprocess", study.root, "--subject", "sub-001")
    note = study.root / "sub-001.json"
    record = json.loads(note.read_text())
    for source in record["sources"]:
        source["file"] = f"{NAME}_{source.pop('role')}.nii.gz"
    record["parameters"]["files"] = {"magnitude": f"{NAME}_mag.nii.gz"}
    note.write_text(json.dumps(record))
    assert "1 preprocessed" in run("preprocess", study.root, "--subject", "sub-001").output
    assert_nameless(study.root)


def test_a_log_in_the_study_names_no_file(imported, tmp_path):
    """What a person sees on a terminal does."""
    study = tmp_path / "study"
    shutil.copytree(imported / "study", study)
    table = (study / "participants.tsv").read_text().replace("../Data/", f"{imported}/Data/")
    (study / "participants.tsv").write_text(table.replace(f"{NAME}_pha", f"{NAME}_gone"))
    command = [sys.executable, "-m", "cmb_toolkit", "preprocess", ".", "--jobs", "1"]
    for environment, named in (({}, True), ({"CMBTK_LOG_OF": "."}, False)):
        done = subprocess.run(
            command, cwd=study, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **environment},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 3
        assert ("DOE" in done.stdout + done.stderr) == named
        if not named:
            assert "sub-001: <phase of sub-001>: the phase of sub-001 was not found" in done.stderr


def test_the_key_stays_outside(imported):
    done = run(
        "import", "authors", imported, "-o", imported / "study", "--key", imported / "study" / "key.tsv", code=None
    )
    assert "lies in the study" in str(done.exception)


def test_without_names(tmp_path):
    files = {"magnitude": tmp_path / "DOE" / "1.nii", "phase": tmp_path / "DOE" / "11.nii"}
    text = f"{files['magnitude']} and {files['phase']}: 1.nii is not 11.nii; 21.nii stays"
    assert without_names(text, files) == "magnitude and phase: magnitude is not phase; 21.nii stays"
    assert without_names("x", {}) == "x"


def test_a_name_that_two_scans_share_is_neither(tmp_path):
    files = {"<a>": tmp_path / "DOE" / "m.nii", "<b>": tmp_path / "ROE" / "m.nii"}
    assert without_names(f"m.nii, {files['<b>']}", files) == "<a scan>, <b>"


def test_a_study_whose_table_cannot_be_read(tmp_path):
    study = Study.create(tmp_path / "s", "x")
    study.participants.write_text("x\n")
    assert kept_text(study.root, "../DOE/mag.nii: damaged") == "<path> damaged"
