"""The whole method on tiny simulated scans, each step as the command that a user types; the experiment's tests run
each in a process of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cmb_toolkit.io.publish import read_record
from cmb_toolkit.study.layout import Study

INPUT = "swi+cphase-averaged"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, tiny_study, typed):
    """A study of tiny subjects, with the Darknet project of fold 1."""
    study = Study(shutil.copytree(tiny_study, tmp_path_factory.mktemp("e2e") / "study"))
    typed("split", study.root, "--folds", 3)
    typed("check", study.root)
    typed("prepare-yolo", study.root, "--fold", 1, "--size", 64, "--max-batches", 20, "--label-reach", 1)
    return study, study.cell("tiny", INPUT, "1")


@pytest.mark.slow
def test_every_step_from_scans_to_table(prepared, typed):
    study, cell = prepared
    typed("stage1-train", cell.folder, "--watch", 2)
    # a detector that has learned next to nothing finds boxes everywhere, and stage 2 goes through all of them
    typed("stage1-detect", cell.folder, "--threshold", 0.98, "--merge", "auto")
    typed("stage2-crop", cell.folder)
    typed("stage2-train", cell.folder, "--network", "small", "--epochs", 1, "--augment", "none")
    typed("stage2-classify", cell.folder)
    typed("evaluate", cell.folder, "--false-pictures", 1)
    text = typed("tables", study.root)
    figures = typed("figures", study.root)

    fold = pd.read_csv(study.folds, sep="\t", dtype=str).query("fold == '1'").set_index("participant_id")["role"]
    marks = pd.read_csv(study.microbleeds, sep="\t")
    tested = marks["participant_id"].map(fold).eq("test").sum()
    findings = pd.read_csv(cell.findings, sep="\t")
    candidates = pd.read_csv(cell.candidates, sep="\t")
    assert len(findings) == len(candidates) > 0
    assert findings["role"].equals(findings["participant_id"].map(fold))
    assert f"{tested}" in text
    assert "paper HR" in text
    assert all(Path(line).is_file() for line in figures.splitlines() if line.endswith(".png"))

    # every output says what made it, and knows nothing of this machine
    for output in (cell.weights, cell.candidates, cell.cnn, cell.findings):
        record = read_record(output)
        assert record is not None
        assert str(study.root.parent) not in json.dumps(record)
    # the classifier has seen training subjects only
    trained = json.dumps(read_record(cell.cnn))
    assert not any(subject in trained for subject in fold.index[fold.isin(["test", "control"])])

    # everything again: nothing is done twice
    before = {path: path.stat().st_mtime_ns for path in study.root.rglob("*") if path.is_file()}
    typed("simulate", study.root, "--resolution", "tiny", "--subjects", 10, "--healthy", 1, "--difficulty", "easy")
    typed("preprocess", study.root)
    typed("prepare-yolo", study.root, "--fold", 1, "--size", 64, "--max-batches", 20, "--label-reach", 1)
    typed("stage1-train", cell.folder, "--watch", 2)
    typed("stage2-crop", cell.folder)
    typed("stage2-train", cell.folder, "--network", "small", "--epochs", 1, "--augment", "none")
    changed = [path for path, then in before.items() if path.stat().st_mtime_ns != then]
    assert changed == []

    # a test subject among the training images stops the evaluation
    subject = str(fold.index[fold == "test"][0])
    with (cell.project / "train.txt").open("a") as stream:
        stream.write(f"slices/{subject}_slice-000.png\n")
    said = typed("evaluate", cell.folder, "--false-pictures", 1, code=5)
    assert f"darknet/train.txt: {subject} used for training of stage 1" in said


@pytest.mark.slow
def test_training_killed_and_started_again_ends_as_if_it_had_not_been(prepared, typed):
    study, _ = prepared
    typed("prepare-yolo", study.root, "--fold", 2, "--size", 64, "--max-batches", 30, "--label-reach", 1)
    cell = study.cell("tiny", INPUT, "2")
    command = [sys.executable, "-m", "cmb_toolkit", "stage1-train", str(cell.folder), "--watch", "2"]
    command += ["--checkpoint-every", "1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 300
    while process.poll() is None and not any(cell.scratch.rglob("*.npz")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert any(cell.scratch.rglob("*.npz")), "no checkpoint was written"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not cell.weights.exists()
    typed(*command[3:])
    resumed = cell.weights.read_bytes()
    assert pd.read_csv(cell.yolo_history, sep="\t")["iteration"].tolist() == list(range(1, 31))

    typed(*command[3:], "--restart")
    np.testing.assert_array_equal(
        np.frombuffer(cell.weights.read_bytes(), "<f4", offset=20), np.frombuffer(resumed, "<f4", offset=20)
    )


def test_a_cell_that_is_not_there_is_said_in_one_line(tmp_path, cmbtk):
    assert "not a cell of a study" in cmbtk("stage1-train", tmp_path, code=3)
