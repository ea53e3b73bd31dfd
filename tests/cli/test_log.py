"""What a command that writes into a study prints is kept there, without names; and how much is said."""

import os
import re
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
from click.testing import CliRunner

from cmb_toolkit import __version__
from cmb_toolkit.cli.log import Log
from cmb_toolkit.cli.main import cli


@pytest.fixture
def group(tmp_path):
    """Scans and a table, in folders and under names that tell whose they are."""
    folder = tmp_path / "Smith"
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = ["participant_id\tmagnitude\tphase"]
    for n in range(4):
        for part in ("mag", "pha"):
            image = nib.Nifti1Image(rng.integers(0, 4096, (6, 8, 4)).astype(np.int16), np.diag([0.5, 0.5, 2, 1]))
            nib.save(image, folder / f"smith{n}_{part}.nii")
        lines.append(f"{n}\tsmith{n}_mag.nii\tsmith{n}_pha.nii")
    (folder / "smiths.tsv").write_text("\n".join(lines) + "\n")
    return folder


def test_what_is_printed_is_kept_without_names(group, tmp_path, cmbtk):
    study = tmp_path / "study"
    said = cmbtk("import", "table", group / "smiths.tsv", "-o", study)
    logs = study / "logs" / "study"
    first = (logs / "import-001.log").read_text()
    assert first.startswith(f"cmbtk {__version__}: import table <path> -o STUDY\n")
    assert "Next: cmbtk check STUDY\n" in first
    assert f"Next: cmbtk check {study}" in said
    assert first.splitlines()[-1].startswith("exit code 0 after ")
    (group / "smith1_mag.nii").unlink()
    assert "smith1_mag.nii" in cmbtk("preprocess", study, "--subject", "sub-1", code=3)
    kept = (logs / "preprocess-001.log").read_text()
    assert "sub-1: <magnitude of sub-1>: the magnitude of sub-1 was not found" in kept
    assert kept.splitlines()[-1].startswith("exit code 3 after ")
    assert {path.name for path in logs.iterdir()} == {"import-001.log", "preprocess-001.log"}
    assert "smith" not in "".join(path.read_text() for path in logs.iterdir()).lower()


def test_quiet_is_the_last_result_and_verbose_says_what_is_done(classified_study, cmbtk, tmp_path):
    root = classified_study.root
    assert cmbtk("-q", "split", root, "--folds", 2) == f"Written: {root}/folds.tsv\n"
    kept = (root / "logs" / "study" / "split-001.log").read_text()
    assert "Subjects / microbleeds of each fold" in kept
    assert "Next: cmbtk prepare-yolo STUDY --fold 1\n" in kept
    said = cmbtk("--verbose", "split", root, "--folds", 2)
    assert re.search(rf"\[ +\d+\.\d\d s\] {root}/folds\.tsv: is current\n", said)
    assert "Subjects / microbleeds of each fold" in said
    assert cmbtk("--quiet", "split", tmp_path, code=3).startswith(f"Error: {tmp_path}: not a study folder")
    both = CliRunner().invoke(cli, ["-q", "-v", "split", str(root)])
    assert both.exit_code == 2
    assert "cannot both be" in both.output


def test_a_traceback_that_is_asked_for_is_not_held_back():
    script = """
import click
from cmb_toolkit.cli import main as module
module.LazyGroup.get_command = lambda self, ctx, name: click.Command("split", callback=lambda: 1 / 0)
module.main()
"""
    words = [sys.executable, "-c", script, "-q", "split"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ | {"CMBTK_DEBUG": "1"})
    assert "Traceback" in done.stderr
    assert "ZeroDivisionError" in done.stderr


def kept(study, words, *lines):
    log = Log(words)
    for line in lines:
        log.heard(f"{line}\n")
    log.end(0)
    return [path.read_text().splitlines()[1:-1] for path in sorted(study.root.glob("logs/*/*.log"))]


def test_what_of_a_line_is_kept(classified_study, monkeypatch):
    monkeypatch.chdir(classified_study.root.parent)
    lines = (
        "\x1b[1mTable\x1b[0m  study/cells/x.tsv, and 3 / 4",
        "read /home/smith/a b, (../smith/x) and smith.nii.gz",
        f"Next: cmbtk split study (or {classified_study.root})",
    )
    assert kept(classified_study, ["split", "study"], *lines) == [
        [
            "Table  STUDY/cells/x.tsv, and 3 / 4",
            "read <path> b, (<path>) and <file>",
            "Next: cmbtk split study (or STUDY)",
        ]
    ]


@pytest.mark.parametrize(
    "words",
    [["check", "study"], ["experiment", "status", "study"], ["split", "elsewhere"], ["split", "study", "-h"], []],
)
def test_who_writes_into_no_study_leaves_no_log(classified_study, monkeypatch, words):
    monkeypatch.chdir(classified_study.root.parent)
    assert kept(classified_study, words, "x") == []


def test_a_job_of_the_experiment_is_logged_once(classified_study, monkeypatch):
    monkeypatch.chdir(classified_study.root.parent)
    monkeypatch.setenv("CMBTK_LOG_OF", ".")
    assert kept(classified_study, ["split", "study"], "x") == []


def test_a_command_on_a_cell_is_logged_with_it(classified_study, monkeypatch):
    monkeypatch.chdir(classified_study.root.parent)
    cell = classified_study.cells()[0]
    assert kept(classified_study, ["evaluate", f"study/cells/{cell.name}/"], "x") == [["x"]]
    assert (classified_study.root / "logs" / cell.name / "evaluate-001.log").is_file()
