"""Training and detection on a cell made by hand: five subjects, dark spots where the marks are."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from cmb_toolkit.cli.main import cli
from cmb_toolkit.darknet.cfg import read_cfg
from cmb_toolkit.darknet.project import set_net
from cmb_toolkit.darknet.recipe import Detecting, DetectorTraining, Preparing
from cmb_toolkit.darknet.training import train_project
from cmb_toolkit.darknet.weights import Weights, initial_weights, read_weights, write_weights
from cmb_toolkit.errors import DarknetError, DataError, MissingError, UsageError
from cmb_toolkit.evaluation.learning import look_figures
from cmb_toolkit.io.lock import locked
from cmb_toolkit.io.publish import Record, publish, read_record, sha256
from cmb_toolkit.io.tables import read_tsv, write_tsv
from cmb_toolkit.methods.yolo_watch import watching
from cmb_toolkit.schema import CANDIDATES, YOLO_WATCH
from cmb_toolkit.steps.prepare_yolo import prepare_yolo
from cmb_toolkit.steps.stage1_detect import stage1_detect
from cmb_toolkit.steps.stage1_train import stage1_train
from cmb_toolkit.study.layout import Study

SIZE, SHAPE, SPACING = 64, (60, 60, 8), (0.5, 0.5, 2.0)
ROLES = {
    "train": ["sub-001", "sub-002"],
    "validation": ["sub-003"],
    "test": ["sub-004"],
    "control": ["sub-005"],
}
ONCE = DetectorTraining(watch=1)
"""Looked at once, at the end: every look takes its time."""
ROLE_OF = {subject: role for role, subjects in ROLES.items() for subject in subjects}
CFG = """[net]
width=64
height=64
channels=3
batch=4
adam=1
learning_rate=0.01
burn_in=10
max_batches=150
flip=0
[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky
[maxpool]
size=2
stride=2
[convolutional]
batch_normalize=1
filters=12
size=3
stride=2
pad=1
activation=leaky
[convolutional]
batch_normalize=1
filters=12
size=3
stride=1
pad=1
activation=leaky
[convolutional]
filters=6
size=1
stride=1
activation=linear
[region]
anchors=2.5,2.5
num=1
classes=1
softmax=1
bias_match=1
jitter=0
object_scale=5
"""


def marks_of(subject: str) -> list[tuple[int, int, int]]:
    if ROLE_OF[subject] == "control":
        return []
    random = np.random.default_rng(int(subject[-3:]))
    return [(int(i), int(j), k) for k, (i, j) in enumerate(random.integers(12, 48, (SHAPE[2], 2))) if k != 2]


def write_volumes(study: Study, subject: str, affine: np.ndarray) -> None:
    """Dark spots where the marks are, on noise."""
    random = np.random.default_rng([1, int(subject[-3:])])
    i, j = np.mgrid[: SHAPE[0], : SHAPE[1]]
    swi = random.normal(150, 6, SHAPE)
    for mark in marks_of(subject):
        swi[..., mark[2]] -= 120 * np.exp(-((i - mark[0]) ** 2 + (j - mark[1]) ** 2) / (2 * 2.5**2))
    mask = np.ones(SHAPE, np.uint8)
    mask[0] = 0
    study.subject(subject).mkdir(parents=True, exist_ok=True)
    for path, data in ((study.swi(subject), swi.astype(np.float32)), (study.mask(subject), mask)):
        nib.save(nib.Nifti1Image(data, affine), path)


@pytest.fixture
def make_cell(tmp_path: Path):
    """A function that writes the study and its cell with a network to train for so many iterations."""

    def make(iterations: int = 4):
        study = Study.create(tmp_path / "study", "by hand")
        affine = np.diag([*SPACING, 1.0])
        affine[:3, 3] = -15, -20, 30
        rows = []
        for subject in ROLE_OF:
            write_volumes(study, subject, affine)
            rows += [(subject, *mark, *(affine @ [*mark, 1])[:3]) for mark in marks_of(subject)]
        names = ["participant_id", "i", "j", "k", "x_mm", "y_mm", "z_mm"]
        write_tsv(pd.DataFrame(rows, columns=names), study.microbleeds)
        people = pd.DataFrame({"participant_id": list(ROLE_OF), "resolution": "tiny", "scanner": "a"})
        people["group"] = ["control" if ROLE_OF[s] == "control" else "patient" for s in ROLE_OF]
        write_tsv(people, study.participants)
        folds = [("1", subject, role) for subject, role in ROLE_OF.items()]
        write_tsv(pd.DataFrame(folds, columns=["fold", "participant_id", "role"]), study.folds)
        (tmp_path / "net.cfg").write_text(set_net(CFG, {"max_batches": iterations}))
        recipe = Preparing(
            "1", input="swi", size=SIZE, mode="crop", cfg=str(tmp_path / "net.cfg"), augment=False, negatives="all"
        )
        return Study.of_cell(prepare_yolo(study.root, recipe))[1]

    return make


def give_weights(cell, seed: int = 0) -> None:
    """Weights of an untrained network in place of trained ones."""
    cfg = read_cfg(cell.project / "yolo.cfg")
    with publish(cell.weights, Record("stage1-train", {})) as path:
        first = initial_weights(cfg, seed).layers
        layers = [w if w.variance is None else replace(w, variance=np.ones_like(w.variance)) for w in first]
        write_weights(Weights(tuple(layers)), path)


def test_train_and_detect_on_the_command_line(make_cell):
    """The whole of stage 1: what was trained on is found, at the right voxels and millimetres."""
    cell = make_cell(300)
    runner = CliRunner()
    trained = runner.invoke(cli, ["stage1-train", str(cell.folder), "--seed", "3"], catch_exceptions=False)
    assert trained.exit_code == 0
    assert "300 iterations, 1200 images" in trained.output
    watch = read_tsv(cell.yolo_watch, YOLO_WATCH.names)
    assert watch["iteration"].unique().tolist() == list(range(30, 301, 30))
    assert (watch["role"] == ["validation", "train"] * 10).all()
    assert (watch["microbleeds"] == [7, 14] * 10).all()
    noted = read_record(cell.weights)["watch"]
    assert noted["subjects"] == {"validation": ["sub-003"], "train": ["sub-001", "sub-002"]}
    best = watch[watch["best"] & (watch["role"] == "validation")].iloc[-1]
    assert noted["iteration"] == best["iteration"]
    assert noted["chosen"]["validation"]["found_50"] == best["found_50"]
    assert f"Validation {best['found_50']} of 7 microbleeds at 50 false positives a subject" in trained.output
    assert read_weights(cell.weights, read_cfg(cell.project / "yolo.cfg")).seen == 4 * best["iteration"]
    assert set(read_record(cell.yolo_watch)["columns"]) == set(watch)
    history = read_tsv(cell.yolo_history, ["iteration", "loss", "avg_loss", "rate", "images", "seconds"])
    assert len(history) == 300
    assert cell.yolo_history.with_name("yolo_loss.png").stat().st_size > 1000
    record = read_record(cell.weights)
    assert record["engine"].startswith("embedded (keras ")
    assert record["parameters"]["iterations"] == 300
    assert str(cell.folder) not in str(record)
    assert [path.name for path in cell.scratch.iterdir()] == ["training.lock"]

    command = ["stage1-detect", str(cell.folder), "--threshold", "auto"]
    detected = runner.invoke(cli, command, catch_exceptions=False)
    assert detected.exit_code == 0
    assert "on the validation subjects" in detected.output
    assert "Warning: the threshold of stage 1 was chosen on " in detected.output
    candidates = read_tsv(cell.candidates, CANDIDATES.names)
    detections = read_tsv(cell.detections, ["participant_id", "role", "k", "left", "confidence"])
    record = read_record(cell.candidates)
    threshold = record["threshold"]["value"]
    assert record["slices"] == 40
    assert record["candidates"]["test"] == (candidates["role"] == "test").sum()
    assert candidates["confidence"].min() >= threshold * 0.99999
    assert len(detections) >= len(candidates)
    assert set(zip(candidates["participant_id"], candidates["role"], strict=True)) <= set(ROLE_OF.items())
    validation = candidates[candidates["role"] == "validation"]
    assert validation["confidence"].min() == pytest.approx(threshold, rel=1e-5)

    before = cell.weights.stat().st_mtime_ns, cell.candidates.stat().st_mtime_ns
    runner.invoke(cli, ["stage1-train", str(cell.folder), "--seed", "3"], catch_exceptions=False)
    runner.invoke(cli, command, catch_exceptions=False)
    assert before == (cell.weights.stat().st_mtime_ns, cell.candidates.stat().st_mtime_ns)

    # what was seen in training is what is found
    stage1_detect(cell.folder, Detecting(threshold=0.005, roles=("validation",), merge="none"))
    marks = read_tsv(cell.folder.parents[1] / "microbleeds.tsv")
    marks = marks[marks["participant_id"] == "sub-003"]
    found = look_figures(read_tsv(cell.candidates), marks, ["sub-003"], {"sub-003": 2.0})
    for name, value in found.items():
        assert value == pytest.approx(best[name], abs=1e-3)

    stage1_detect(cell.folder, Detecting(threshold=0.1, merge="none"))
    candidates = read_tsv(cell.candidates, CANDIDATES.names)
    truth = read_tsv(cell.folder.parents[1] / "microbleeds.tsv")
    points, marks = (table[["x_mm", "y_mm", "z_mm"]].to_numpy() for table in (candidates, truth))
    same = candidates["participant_id"].to_numpy()[:, None] == truth["participant_id"].to_numpy()
    near = np.where(same, np.linalg.norm(points[:, None] - marks, axis=2), np.inf).min(axis=0)
    assert (near < 1.5).mean() > 0.9
    first = candidates.iloc[0]
    assert first["x_mm"] == pytest.approx(first["i"] * 0.5 - 15, abs=1e-3)
    assert first["z_mm"] == pytest.approx(first["k"] * 2 + 30, abs=1e-3)


class KilledError(Exception):
    pass


def test_killed_training_goes_on_and_ends_alike(make_cell, tmp_path):
    cell = make_cell(6)
    stage1_train(cell.folder, DetectorTraining(watch=2))
    expected = cell.weights.read_bytes()
    cell.weights.unlink()

    def kill(done: int, total: int, what: str) -> None:
        if done == 4:
            raise KilledError

    with pytest.raises(KilledError):
        stage1_train(cell.folder, DetectorTraining(watch=2, checkpoint_every_s=1e-9), on_progress=kill)
    assert not cell.weights.exists()
    assert any(cell.training.glob("yolo_*.weights"))
    assert cell.live_loss.stat().st_size > 1000
    reports = []
    stage1_train(cell.folder, DetectorTraining(watch=2), on_progress=lambda *report: reports.append(report))
    assert (3, 6, "going on from the checkpoint") in reports
    assert cell.weights.read_bytes() == expected
    assert not cell.training.exists()
    assert not [path for path in cell.folder.iterdir() if path.name.startswith(".")]

    reports.clear()
    stage1_train(cell.folder, DetectorTraining(watch=2), on_progress=lambda *report: reports.append(report))
    assert reports == []
    stage1_train(
        cell.folder, DetectorTraining(watch=2), restart=True, on_progress=lambda *report: reports.append(report)
    )
    assert len(reports) > 6


def test_a_changed_project_is_trained_anew(make_cell):
    cell = make_cell(2)
    stage1_train(cell.folder, ONCE)
    first = cell.weights.read_bytes()
    record = read_record(cell.project)
    shutil.copytree(cell.project, cell.folder / "kept")
    parameters = {**record["parameters"], "negatives": 3}
    with publish(cell.project, Record("prepare-yolo", parameters)) as folder:
        shutil.copytree(cell.folder / "kept", folder)
    reports = []
    stage1_train(cell.folder, DetectorTraining(seed=1, watch=1), on_progress=lambda *report: reports.append(report))
    assert reports
    assert cell.weights.read_bytes() != first


def test_starting_weights(make_cell, tmp_path):
    cell = make_cell(1)
    with pytest.raises(MissingError, match=r"backbone: starting weights not found"):
        stage1_train(cell.folder, DetectorTraining(weights=tmp_path / "backbone"))
    (tmp_path / "backbone").write_bytes(b"\0" * 400)
    with pytest.raises(DataError, match=r"backbone: 400 bytes"):
        stage1_train(cell.folder, DetectorTraining(weights=tmp_path / "backbone"))
    write_weights(initial_weights(read_cfg(cell.project / "yolo.cfg"), 5), tmp_path / "backbone")
    stage1_train(cell.folder, DetectorTraining(weights=tmp_path / "backbone"))
    assert read_record(cell.weights)["sources"][1]["file"] == "backbone"


def test_bad_calls_of_training(make_cell, tmp_path):
    cell = make_cell(2)
    with pytest.raises(UsageError, match="--checkpoint-every 0"):
        stage1_train(cell.folder, DetectorTraining(checkpoint_every_s=0))
    with pytest.raises(UsageError, match="--engine caffe"):
        stage1_train(cell.folder, DetectorTraining(engine="caffe"))
    with pytest.raises(MissingError, match="nothing: not a program"):
        stage1_train(cell.folder, DetectorTraining(darknet=tmp_path / "nothing"))
    with pytest.raises(MissingError, match="not a cell"):
        stage1_train(tmp_path)
    (cell.project / "slices" / "sub-001_slice-003.png").write_bytes(b"\x89PNG cut off")
    with pytest.raises(DataError, match="the images of sub-001 changed since `cmbtk prepare-yolo`"):
        stage1_train(cell.folder)
    shutil.rmtree(cell.project)
    with pytest.raises(MissingError, match="cmbtk prepare-yolo"):
        stage1_train(cell.folder)
    assert not cell.weights.exists()


@pytest.mark.darknet
@pytest.mark.skipif(not os.access("/usr/bin/darknet", os.X_OK), reason="Debian's darknet is not installed")
def test_debians_darknet_is_refused_for_training_and_detects(make_cell):
    cell = make_cell(2)
    with pytest.raises(UsageError, match=r"cannot train.*--engine embedded"):
        stage1_train(cell.folder, DetectorTraining(darknet=Path("/usr/bin/darknet")))
    assert not cell.weights.exists()
    give_weights(cell)
    stage1_detect(cell.folder, Detecting(darknet=Path("/usr/bin/darknet"), roles=("test",)))
    assert read_record(cell.candidates)["engine"].startswith("darknet (original")
    theirs = read_tsv(cell.detections)
    stage1_detect(cell.folder, Detecting(roles=("test",)))
    ours = read_tsv(cell.detections)
    assert set(theirs["participant_id"]) == set(ours["participant_id"]) == {"sub-004"}


def test_detection_of_some_roles_at_a_given_threshold(make_cell):
    cell = make_cell(2)
    give_weights(cell)
    stage1_detect(cell.folder, Detecting(threshold=0.3, roles=("test", "control")))
    record = read_record(cell.detections)
    assert record["threshold"] == {"value": 0.3, "chosen": "given"}
    assert record["slices"] == 16
    table = read_tsv(cell.detections, ["participant_id"])
    assert set(table["role"]) <= {"test", "control"}
    assert table.empty or table["confidence"].min() >= 0.3
    stage1_detect(cell.folder, Detecting(threshold=0.9999, roles=("test",)))  # nothing is found, and that is an answer
    assert read_tsv(cell.candidates, CANDIDATES.names).empty


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"threshold": 0}, UsageError, "threshold 0"),
        ({"threshold": "best"}, UsageError, "threshold best"),
        ({"nms": 0}, UsageError, "--nms 0: expected a number above 0 to 1"),
        ({"merge": "5"}, UsageError, "--merge 5: expected one of auto, none"),
        ({"most_false": 0}, UsageError, "--most-false 0: expected a number above 0"),
        ({"roles": ("patient",)}, UsageError, "--role .*expected some of train"),
        ({"threshold": "auto", "roles": ("test",)}, UsageError, "add the role validation"),
        ({}, MissingError, r"yolo\.weights: weights not found. Run `cmbtk stage1-train"),
    ],
)
def test_bad_calls_of_detection(make_cell, options, error, message):
    cell = make_cell(2)
    with pytest.raises(error, match=message):
        stage1_detect(cell.folder, Detecting(**options))


def test_no_threshold_without_microbleeds_or_hits(make_cell):
    cell = make_cell(2)
    give_weights(cell)
    study = Study(cell.folder.parents[1])
    marks = read_tsv(study.microbleeds)
    write_tsv(marks[marks["participant_id"] != "sub-003"], study.microbleeds)
    with pytest.raises(DataError, match="no validation subject has a microbleed to find"):
        stage1_detect(cell.folder, Detecting(threshold="auto"))
    assert not cell.candidates.exists()


def test_weights_of_another_network(make_cell):
    cell = make_cell(2)
    give_weights(cell)
    cell.weights.write_bytes(cell.weights.read_bytes()[:-8])
    with pytest.raises(DataError, match=r"yolo\.weights: .*cut off"):
        stage1_detect(cell.folder)
    assert not cell.detections.exists()


def test_help_ends_in_an_example():
    for command in ("stage1-train", "stage1-detect"):
        shown = CliRunner().invoke(cli, [command, "--help"])
        assert shown.exit_code == 0
        assert f"Example:\n    cmbtk {command} " in shown.output
    refused = CliRunner().invoke(cli, ["stage1-detect", "x", "--threshold", "high"])
    assert refused.exit_code == 2
    assert "neither a number nor auto" in refused.output


ALEXEYAB = Path(os.environ.get("CMBTK_TEST_DARKNET", Path(__file__).parents[2] / "darknet" / "build" / "darknet"))
needs_alexeyab = pytest.mark.skipif(not os.access(ALEXEYAB, os.X_OK), reason="no AlexeyAB Darknet: run `make darknet`")


@pytest.mark.darknet
@needs_alexeyab
def test_either_engine_may_train_and_either_detect(make_cell, monkeypatch):
    """The same files in the same places; from the same weights the same candidates."""
    monkeypatch.setenv("CMBTK_DARKNET", str(ALEXEYAB))
    cell = make_cell(120)
    path = cell.project / "yolo.cfg"
    path.write_text(set_net(path.read_text(), {"adam": 0, "learning_rate": 0.001, "burn_in": 10}))
    files = []
    for trainer in ("embedded", "binary"):
        notes = []
        stage1_train(cell.folder, DetectorTraining(engine=trainer), restart=True, on_note=notes.append)
        record = read_record(cell.weights)
        assert record["engine"].startswith("embedded" if trainer == "embedded" else "darknet (alexeyab, CPU")
        assert any(note.startswith("Darknet: ") for note in notes) == (trainer == "binary")
        history = read_tsv(cell.yolo_history)
        assert history["iteration"].tolist() == list(range(1, 121))
        assert history["avg_loss"].iloc[-1] < 0.5 * history["avg_loss"].iloc[0]
        assert not cell.training.exists()
        files.append(sorted(p.name for p in cell.folder.iterdir()))
        found = []
        for detector in ("embedded", "binary"):
            stage1_detect(cell.folder, Detecting(threshold=0.02, engine=detector))
            found.append(read_tsv(cell.candidates, CANDIDATES.names))
        numbers = ["k", "i", "j", "x_mm", "y_mm", "z_mm", "confidence"]
        for some, others in (found, found[::-1]):
            assert len(some) == len(others) > 5
            for subject, mine in some.groupby("participant_id"):
                theirs = others.loc[others["participant_id"] == subject, numbers].to_numpy()
                # in whatever order: two of nearly the same confidence may change places
                gaps = np.abs(mine[numbers].to_numpy()[:, None] - theirs).max(axis=2).min(axis=1)
                assert gaps.max() < 1e-2
    assert set(files[0]) <= set(files[1])
    stage1_detect(cell.folder, Detecting(threshold=0.02))
    assert read_record(cell.candidates)["engine"].startswith("darknet (alexeyab"), "auto takes it to detect"


def test_one_training_of_a_cell_at_a_time(make_cell):
    cell = make_cell(2)
    with locked(cell.training_lock, "it"), pytest.raises(UsageError, match="the cell tiny_swi_fold-1 is busy"):
        stage1_train(cell.folder, ONCE)
    stage1_train(cell.folder, ONCE)
    assert cell.weights.exists()


def test_counting_on_from_finished_weights(make_cell, tmp_path):
    cell = make_cell(4)
    stage1_train(cell.folder, DetectorTraining(select="last", watch=1))
    kept = tmp_path / "kept.weights"
    shutil.copy(cell.weights, kept)
    with pytest.raises(UsageError, match="4 iterations behind it, and max_batches=4"):
        stage1_train(cell.folder, DetectorTraining(weights=kept, count_on=True))
    path = cell.project / "yolo.cfg"
    path.write_text(set_net(path.read_text(), {"max_batches": 7}))
    result = CliRunner().invoke(
        cli, ["stage1-train", str(cell.folder), "--weights", str(kept), "--continue", "--watch", "1"]
    )
    assert result.exit_code == 0, result.output
    assert read_tsv(cell.yolo_history)["iteration"].tolist() == [5, 6, 7]
    assert read_record(cell.weights)["parameters"]["count_on"] is True


def test_without_a_threshold_the_validation_subjects_decide(make_cell, monkeypatch):
    """An untrained network marks everything: so many candidates as were asked for are left, and it is said."""
    monkeypatch.setattr("cmb_toolkit.steps.stage1_detect.MOST_BOXES", 5)
    cell = make_cell(2)
    give_weights(cell)
    run = CliRunner().invoke(cli, ["stage1-detect", str(cell.folder), "--most-false", "4"], catch_exceptions=False)
    assert run.exit_code == 0
    record = read_record(cell.candidates)
    assert record["threshold"]["chosen"].endswith("on the validation subjects")
    validation = read_tsv(cell.candidates)["role"].eq("validation").sum()
    assert validation <= 4 or record["threshold"]["chosen"] == "on the validation subjects"
    for line in record["warnings"]:
        assert f"Warning: {line}." in run.output
    before = cell.candidates.stat().st_mtime_ns
    again = CliRunner().invoke(cli, ["stage1-detect", str(cell.folder), "--most-false", "4"], catch_exceptions=False)
    assert all(f"Warning: {line}." in again.output for line in record["warnings"])
    assert cell.candidates.stat().st_mtime_ns == before


def test_slices_with_the_most_boxes_that_are_kept_are_named(make_cell, monkeypatch):
    monkeypatch.setattr("cmb_toolkit.steps.stage1_detect.MOST_BOXES", 2)
    cell = make_cell(2)
    give_weights(cell)
    notes = []
    stage1_detect(cell.folder, Detecting(threshold=0.01, roles=("test", "control")), on_note=notes.append)
    full = read_tsv(cell.detections).groupby(["participant_id", "k"]).size()
    assert full.max() == 2
    (said,) = [line for line in notes if "the most that are kept" in line]
    assert said.startswith(f"Warning: {(full == 2).sum()} slices of 2 subjects have 2 boxes")
    assert read_record(cell.candidates)["warnings"][-1] in said


def test_a_default_is_never_called_given(make_cell):
    cell = make_cell(2)
    give_weights(cell)
    stage1_detect(cell.folder, Detecting(roles=("test",)))
    chosen = {"value": 0.01, "chosen": "by default, as no validation subject was looked at"}
    assert read_record(cell.candidates)["threshold"] == chosen
    stage1_detect(cell.folder, Detecting(roles=("test",), threshold=0.01))
    assert read_record(cell.candidates)["threshold"] == {"value": 0.01, "chosen": "given"}


def test_a_training_notes_what_it_is_for_and_detection_looks(make_cell):
    cell = make_cell(1)
    stage1_train(cell.folder, ONCE)
    record = read_record(cell.weights)
    assert record["trained_for"]["pixel_mm"] == [0.5, 0.5]
    assert record["trained_for"]["mode"] == "crop"
    assert record["sha256"] == sha256(cell.weights)
    assert "trained_for" not in read_record(cell.yolo_loss)
    path = cell.project / "yolo.cfg"
    path.write_text(path.read_text().replace("anchors=2.5,2.5", "anchors=1.5,2.5"))
    with pytest.raises(DataError, match="layers and anchors of the network"):
        stage1_detect(cell.folder)
    path.write_text(set_net(path.read_text().replace("1.5,2.5", "2.5,2.5"), {"max_batches": 9}))
    notes = []
    stage1_detect(cell.folder, Detecting(threshold=0.9, roles=("test",)), on_note=notes.append)
    assert notes[0] == "Warning: yolo.cfg changed since yolo.weights was trained with it."


def test_test_subjects_are_never_looked_at(make_cell):
    """Neither their slices, which may be gone, nor their marks."""
    cell = make_cell(2)
    study = Study(cell.folder.parents[1])
    cfg = read_cfg(cell.project / "yolo.cfg")
    expected = watching(study, cell, cfg, points=2, select="best")
    train_project(cell.project, watch=expected.watch)
    marks = read_tsv(study.microbleeds)
    write_tsv(marks[marks["participant_id"] != "sub-004"], study.microbleeds)
    for subject in ("sub-004", "sub-005"):
        shutil.rmtree(study.subject(subject))
    watched = watching(study, cell, cfg, points=2, select="best")
    train_project(cell.project, watch=watched.watch)
    assert {image[:7] for image in watched.watch.images.names} == {"sub-001", "sub-002", "sub-003"}
    assert watched.watch.looks == expected.watch.looks
    assert len(watched.table) == 4


def test_without_microbleeds_of_validation_the_last_weights_are_kept(make_cell):
    cell = make_cell(2)
    study = Study(cell.folder.parents[1])
    marks = read_tsv(study.microbleeds)
    write_tsv(marks[marks["participant_id"] != "sub-003"], study.microbleeds)
    notes = []
    stage1_train(cell.folder, DetectorTraining(watch=2), on_note=notes.append)
    assert any("no validation subject has a microbleed" in note for note in notes)
    assert read_weights(cell.weights, read_cfg(cell.project / "yolo.cfg")).seen == 8
    noted = read_record(cell.weights)["watch"]
    assert (noted["select"], noted["iteration"], noted["last"]["train"]["microbleeds"]) == ("last", 2, 14)
    study.microbleeds.unlink()
    notes.clear()
    stage1_train(cell.folder, DetectorTraining(watch=1), on_note=notes.append)
    assert notes[-1].startswith("Warning: the training is not looked at, and its last weights are kept: ")
    assert read_tsv(cell.yolo_watch).empty


def test_a_detector_that_has_learned_nothing_is_not_kept(make_cell):
    """Its confidence falls to nothing everywhere, as it does with the paper's settings on a few thousand images."""
    cell = make_cell(125)
    path = cell.project / "yolo.cfg"
    text = path.read_text().replace("object_scale=5", "object_scale=0\nthresh=1")
    path.write_text(set_net(text, {"learning_rate": 0.05, "batch": 8, "max_batches": 125}))
    run = CliRunner().invoke(cli, ["stage1-train", str(cell.folder), "--watch", "2"])
    assert isinstance(run.exception, DarknetError)
    assert "of 14 microbleeds of its own training subjects at 100 false positives a subject, no more than" in str(
        run.exception
    )
    assert not cell.weights.exists()
    assert not cell.yolo_history.exists()
    assert cell.live_loss.stat().st_size > 1000
    reports = []
    with pytest.raises(DarknetError, match="learned nothing"):
        stage1_train(cell.folder, DetectorTraining(watch=2), on_progress=lambda *report: reports.append(report))
    assert len(reports) < 5, "the state is kept"
