"""The second stage on a small study: balls among tubes in six subjects of 48 x 48 x 20 voxels."""

import json
import os
import shutil
from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from cmb_toolkit.cli.main import cli
from cmb_toolkit.errors import DataError, MissingError, UsageError
from cmb_toolkit.io.publish import Record, publish, read_record, sidecar
from cmb_toolkit.io.tables import read_tsv, write_tsv
from cmb_toolkit.stage2 import networks
from cmb_toolkit.stage2.keras_file import read_network
from cmb_toolkit.stage2.recipe import ClassifierTraining, Classifying, Cropping
from cmb_toolkit.steps.stage2_classify import stage2_classify
from cmb_toolkit.steps.stage2_crop import stage2_crop
from cmb_toolkit.steps.stage2_train import _rows as _rows_to_learn
from cmb_toolkit.steps.stage2_train import stage2_train
from cmb_toolkit.study.cell import read_setup, write_setup
from cmb_toolkit.study.geometry import read_geometry
from cmb_toolkit.study.layout import Study
from cmb_toolkit.study.made_from import patches_digest
from cmb_toolkit.study.patches import read_patches

SHAPE, VOXEL = (48, 48, 20), (1.0, 1.0, 2.0)
PLACES = [(10, 10, 5), (10, 34, 6), (34, 10, 8), (34, 34, 12), (22, 22, 10), (1, 24, 18)]
BALLS = {"sub-001": 3, "sub-002": 3, "sub-003": 2, "sub-004": 2, "sub-005": 2, "sub-006": 0}
ROLES = {
    "train": ["sub-001", "sub-002", "sub-003"],
    "validation": ["sub-004"],
    "test": ["sub-005"],
    "control": ["sub-006"],
}
QUICK = ClassifierTraining(network="small", epochs=2, batch=10, augmentation="in-plane", copies=(4, 2))


def _write_volumes(study, subject, rng):
    grid = np.indices(SHAPE) * np.array(VOXEL)[:, None, None, None]
    dark = np.zeros(SHAPE)
    for n, place in enumerate(PLACES):
        away = grid - (np.array(place) * VOXEL)[:, None, None, None]
        if n >= BALLS[subject]:
            away[n % 2] = 0  # a tube along i or j
        dark = np.maximum(dark, 1 / (1 + np.exp(2 * (np.sqrt((away**2).sum(axis=0)) - 2.5))))
    brain = np.ones(SHAPE, bool)
    brain[:, :3] = False
    swi = 500 * (0.8 - 0.6 * dark) + rng.normal(0, 15, SHAPE)
    phase = 1.5 * dark + rng.normal(0, 0.1, SHAPE)
    affine = np.diag([*VOXEL, 1.0])
    affine[:3, 3] = -20, -30, 5
    for path, data in (
        (study.swi(subject), swi * brain),
        (study.phase(subject), phase * brain),
        (study.mask(subject), brain),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(data.astype(np.float32), affine), path)
    return affine


def _rows(subject, places, affine):
    frame = pd.DataFrame(places, columns=["i", "j", "k"])
    frame[["x_mm", "y_mm", "z_mm"]] = nib.affines.apply_affine(affine, frame[["i", "j", "k"]].to_numpy(float))
    frame.insert(0, "participant_id", subject)
    return frame


@pytest.fixture(scope="session")
def _study_to_copy(tmp_path_factory):
    study = Study.create(tmp_path_factory.mktemp("stage2") / "study", "balls among tubes")
    rng = np.random.default_rng(0)
    people = pd.DataFrame({"participant_id": sorted(BALLS), "resolution": "any", "scanner": "a", "group": "patient"})
    write_tsv(people, study.participants)
    marks, candidates = [], []
    for subject, balls in BALLS.items():
        affine = _write_volumes(study, subject, rng)
        marks.append(_rows(subject, PLACES[:balls], affine))
        # one candidate on each place, half a voxel off; on the first ball a second one, a slice higher
        places = [(i + 0.5, j - 0.5, k) for i, j, k in PLACES] + [(PLACES[0][0], PLACES[0][1], PLACES[0][2] + 1)]
        candidates.append(_rows(subject, places, affine))
    write_tsv(pd.concat(marks), study.microbleeds)
    cell = study.cell("any", "swi", "1")
    parameters = {"resolution": "any", "input": "swi", "fold": "1", "size": 64, "mode": "crop", "roles": ROLES}
    with publish(cell.project, Record("prepare-yolo", parameters)) as folder:
        folder.mkdir()
    table = pd.concat(candidates, ignore_index=True)
    number = table.groupby("participant_id").cumcount() + 1
    table.insert(0, "candidate_id", [f"{s}_cand-{n:04d}" for s, n in zip(table["participant_id"], number, strict=True)])
    table["role"] = table["participant_id"].map({s: role for role, names in ROLES.items() for s in names})
    frame = read_geometry(study, "sub-001", size=64, mode="crop").frame
    column = frame.scale_column * (SHAPE[0] - table["i"] - 0.5) + frame.offset_column
    row = frame.scale_row * (SHAPE[1] - table["j"] - 0.5) + frame.offset_row
    table["left"], table["top"], table["right"], table["bottom"] = column - 10, row - 10, column + 10, row + 10
    table["confidence"] = 0.5
    with publish(cell.candidates, Record("stage1-detect", {})) as path:
        write_tsv(table, path)
    return study


@pytest.fixture
def cell(_study_to_copy, tmp_path):
    """A cell with candidates."""
    shutil.copytree(_study_to_copy.root, tmp_path / "study")
    return Study.open(tmp_path / "study").cell("any", "swi", "1")


@pytest.fixture(scope="session")
def _trained_to_copy(_study_to_copy, tmp_path_factory):
    root = tmp_path_factory.mktemp("stage2-trained") / "study"
    shutil.copytree(_study_to_copy.root, root)
    cell = Study.open(root).cell("any", "swi", "1")
    stage2_crop(cell.folder)
    stage2_train(cell.folder, QUICK)
    return root


@pytest.fixture
def trained(_trained_to_copy, tmp_path):
    """A cell whose second stage has been trained."""
    shutil.copytree(_trained_to_copy, tmp_path / "study")
    return Study.open(tmp_path / "study").cell("any", "swi", "1")


def edit(path, change):
    frame = pd.read_csv(path, sep="\t")
    change(frame)
    write_tsv(frame, path)


def forget_contents(folder):
    """As older versions left patches: nothing is noted of what was written."""
    record = json.loads(sidecar(folder).read_text())
    del record["contents"]
    sidecar(folder).write_text(json.dumps(record))


# --- crop


def test_crop_labels_candidates_and_adds_marks(cell):
    calls = []
    folder = stage2_crop(cell.folder, on_progress=lambda *call: calls.append(call))
    table, patches = read_patches(folder)
    assert calls[-1][:2] == (6, 6)
    candidates = table[table["origin"] == "candidate"]
    assert len(candidates) == 6 * 7
    positive = candidates.groupby("participant_id")["label"].sum()
    # the second candidate on the first ball is positive as well
    assert positive.to_dict() == {s: n + (n > 0) for s, n in BALLS.items()}
    marks = table[table["origin"] == "microbleed"]
    assert set(marks["role"]) == {"train", "validation"}
    assert (marks["label"] == 1).all()
    assert marks.groupby("participant_id").size().to_dict() == {
        s: BALLS[s] for s in ("sub-001", "sub-002", "sub-003", "sub-004")
    }
    # around a mark in the middle of a ball: darkest in SWI and brightest in phase at index 8
    mark = patches[marks.index[0]]
    assert mark[8, 8, 8] < 0.4 < mark[14, 14, 8]
    assert mark[8, 24, 8] > 0.65
    # beyond the volume and beyond the brain: 0 in both
    edge = patches[table.index[table["candidate_id"] == "sub-001_cand-0006"][0]]
    assert (edge[:6] == 0).all()
    assert (edge[..., 10:] == 0).all()
    assert (patches[table.index[table["candidate_id"] == "sub-001_cand-0001"][0]][:, [0, 16]] == 0).all()
    assert patches.min() == 0
    assert patches.max() <= 1
    record = read_record(folder)
    assert record["patches"]["train"] == {"microbleed": 11, "other": 10, "unlabelled": 0, "marks": 8}
    assert record["patches"]["control"] == {"microbleed": 0, "other": 7, "unlabelled": 0, "marks": 0}


def put(cell, subject, offsets):
    """One candidate, and its boxes, beside the subject's first mark; offsets in voxels, the candidate's first."""
    table = read_tsv(cell.candidates)
    mark = read_tsv(Study.of_cell(cell.folder)[0].microbleeds).set_index("participant_id").loc[subject].iloc[0]
    row = table[table["participant_id"] == subject].iloc[0]
    rows = []
    for i, j, k in offsets:
        moved = {"i": mark["i"] + i, "j": mark["j"] + j, "k": int(mark["k"]) + k}
        world = {"x_mm": mark["x_mm"] + i, "y_mm": mark["y_mm"] + j, "z_mm": mark["z_mm"] + 2 * k}
        rows.append({**row, **moved, **world})
    first = row["candidate_id"]
    candidates = pd.concat([pd.DataFrame(rows[:1]), table[table["candidate_id"] != first]])
    with publish(cell.candidates, Record("stage1-detect", {"merge": "auto"})) as path:
        write_tsv(candidates, path)
    boxes = pd.concat([pd.DataFrame(rows[1:]), table[table["candidate_id"] != first]])
    with publish(cell.detections, Record("stage1-detect", {"merge": "auto"})) as path:
        write_tsv(boxes, path)
    return first


@pytest.mark.parametrize(
    ("offsets", "label"),  # voxels are 1 x 1 x 2 mm, a hit is 3 mm away at most
    [
        ([(0, 0, 1), (0, 0, 1)], 1),
        ([(0, 0, 2), (0, 0, 1), (0, 0, 2), (0, 0, 3)], 1),  # no hit itself, but of the same lesion
        ([(0, 0, 2), (0, 0, 2)], None),  # one slice off: it shows the microbleed
        ([(5, 0, 0), (5, 0, 0)], None),
        ([(0, 0, 3), (0, 0, 2), (0, 0, 4)], None),
        ([(6, 0, 0), (6, 0, 0)], 0),
        ([(0, 0, 3), (0, 0, 3)], 0),
    ],
)
def test_a_candidate_is_labelled_by_lesion_and_one_beside_it_not_at_all(cell, offsets, label):
    name = put(cell, "sub-001", offsets)
    table, patches = read_patches(stage2_crop(cell.folder))
    mine = table.set_index("candidate_id").loc[name, "label"]
    assert pd.isna(mine) if label is None else mine == label
    counted = read_record(cell.patches)["patches"]["train"]
    assert counted["unlabelled"] == (label is None)
    labelled = table[(table["role"] == "train") & table["label"].notna()]
    learned, labels = _rows_to_learn(cell.patches, table, patches, "train")
    assert len(learned) == len(labels) == len(labelled)
    table, _ = read_patches(stage2_crop(cell.folder, Cropping(rule="paper")))
    assert table["label"].notna().all(), "the paper's labels are by box"


def test_crop_says_what_is_not_taught(cell):
    put(cell, "sub-001", [(0, 0, 2), (0, 0, 2)])
    run = CliRunner().invoke(cli, ["stage2-crop", str(cell.folder)], catch_exceptions=False)
    assert "train:      10 candidates on a microbleed, 10 others, 1 beside one (not taught), 8 marks" in run.output


def test_crop_again_is_a_no_op_and_jobs_change_nothing(cell):
    stage2_crop(cell.folder)
    before, made = (cell.patches / "patches.npy").read_bytes(), (cell.patches / "patches.npy").stat().st_mtime_ns
    stage2_crop(cell.folder)
    assert (cell.patches / "patches.npy").stat().st_mtime_ns == made
    shutil.rmtree(cell.patches)
    stage2_crop(cell.folder, jobs=2)
    assert (cell.patches / "patches.npy").read_bytes() == before


def test_another_version_cuts_nothing_again_and_another_revision_does(cell, monkeypatch):
    first = stage2_crop(cell.folder)
    made, digest = (first / "patches.npy").stat().st_mtime_ns, patches_digest(cell)
    monkeypatch.setattr("cmb_toolkit.io.publish.__version__", "99.0")
    stage2_crop(cell.folder)
    assert (first / "patches.npy").stat().st_mtime_ns == made
    monkeypatch.setattr("cmb_toolkit.steps.stage2_crop.REVISION", 2)
    stage2_crop(cell.folder)
    assert (first / "patches.npy").stat().st_mtime_ns > made
    assert patches_digest(cell) != digest, "a network was trained on other patches than these"


def test_crop_by_the_papers_rule_wants_the_labelled_slice(cell):
    table, _ = read_patches(stage2_crop(cell.folder, Cropping(rule="paper")))
    candidates = table[table["origin"] == "candidate"]
    assert candidates.groupby("participant_id")["label"].sum().to_dict() == BALLS


def test_jittered_marks_lie_within_the_distance_and_are_trained_on_only(cell):
    table, _ = read_patches(stage2_crop(cell.folder, Cropping(jitter=5, distance_mm=4.0, seed=1)))
    marks = table[table["origin"] == "microbleed"]
    jittered = marks[marks["candidate_id"].str.count("_") == 2]
    assert len(jittered) == 5 * 8
    assert set(jittered["role"]) == {"train"}
    own = marks.set_index("candidate_id").loc[jittered["candidate_id"].str.rpartition("_")[0]]
    away = (jittered[["i", "j", "k"]].to_numpy() - own[["i", "j", "k"]].to_numpy()) * VOXEL
    assert np.linalg.norm(away, axis=1).max() <= 4.0 + 1.0  # k is rounded to whole slices
    assert np.linalg.norm(away, axis=1).mean() > 1.5


def test_crop_refuses_a_test_subject_among_the_training_candidates(cell):
    edit(cell.candidates, lambda t: t.__setitem__("role", t["role"].replace("test", "train")))
    with pytest.raises(DataError, match=r"candidates\.tsv: sub-005 has the role train, but test.*never be trained on"):
        stage2_crop(cell.folder)


def test_crop_without_candidates(cell):
    write_tsv(read_tsv(cell.candidates).iloc[:0], cell.candidates)
    with pytest.raises(DataError, match=r"holds no candidate.*lower --threshold"):
        stage2_crop(cell.folder)
    cell.candidates.unlink()
    with pytest.raises(MissingError, match=r"candidates\.tsv: not found.*stage1-detect"):
        stage2_crop(cell.folder)


def test_crop_with_a_candidate_outside_the_volume(cell):
    edit(cell.candidates, lambda t: t.__setitem__("k", t["k"].replace(18, 40)))
    with pytest.raises(DataError, match="outside the volume of 48 x 48 x 20"):
        stage2_crop(cell.folder)
    assert not list(cell.folder.glob(".*patches*"))
    assert not cell.patches.exists()


def test_crop_with_damaged_or_missing_volumes(cell):
    study = Study.of_cell(cell.folder)[0]
    phase = study.phase("sub-002")
    whole = phase.read_bytes()
    phase.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"sub-002_part-phase.*damaged"):
        stage2_crop(cell.folder)
    phase.unlink()
    with pytest.raises(MissingError, match=r"sub-002_part-phase.*cmbtk preprocess"):
        stage2_crop(cell.folder)
    phase.write_bytes(whole[:99])
    study.mask("sub-004").write_bytes(b"no scan")
    with pytest.raises(DataError) as caught:
        stage2_crop(cell.folder)
    assert [line[:8] for line in str(caught.value).splitlines()] == ["sub-002:", "sub-004:"]
    assert not cell.patches.exists()


@pytest.mark.parametrize("wrong", [{"jitter": -1}, {"scale": "z"}, {"rule": "near"}, {"distance_mm": 0}])
def test_crop_options_that_cannot_be(cell, wrong):
    with pytest.raises(UsageError):
        stage2_crop(cell.folder, Cropping(**wrong))


# --- train


def test_train_publishes_network_history_and_plot(trained):
    record = read_record(trained.cnn)
    assert record["train"]["subjects"] == ROLES["train"]
    assert record["validation"]["subjects"] == ROLES["validation"]
    assert record["train"]["microbleed_patches"] == 11 + 8
    history = read_tsv(trained.cnn_history, ["seed", "epoch", "loss", "val_loss", "val_auc", "val_spread", "best"])
    assert len(history) == 2
    assert (record["seed_trained"], record["restarts"]) == (0, [])
    assert "of its 9 validation patches 5 are of microbleeds, and 10 of either kind are needed" in str(
        record["warnings"]
    )
    assert record["best"]["epoch"] == history["epoch"][history["best"]].iloc[-1]
    assert trained.cnn_loss.read_bytes().startswith(b"\x89PNG")
    assert networks.load(read_network(trained.cnn)).name == "small"
    made = trained.cnn.stat().st_mtime_ns
    stage2_train(trained.folder, QUICK)
    assert trained.cnn.stat().st_mtime_ns == made


def test_by_default_what_is_trained_fits_the_machine_and_is_said(cell, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    stage2_crop(cell.folder)
    said = CliRunner().invoke(cli, ["stage2-train", str(cell.folder), "--epochs", "1"], catch_exceptions=False).output
    assert (
        "Network small on a CPU: 29 patches, those of microbleeds 6 times an epoch and others 1, epochs 1: about "
        in said
    )
    assert " s. The paper's own: --schedule paper.\n" in said
    parameters = read_record(cell.cnn)["parameters"]
    assert [parameters[name] for name in ("network", "epochs", "copies", "augmentation", "learning_rate")] == [
        "small", 1, [6, 1], "drawn", 0.001,
    ]  # fmt: skip


def test_train_never_reads_test_patches(trained):
    """Test and control patches are made unreadable nonsense: nothing changes."""
    first = networks.load(read_network(trained.cnn)).get_weights()
    table, _ = read_patches(trained.patches)
    patches = np.load(trained.patches / "patches.npy", mmap_mode="r+")
    patches[table["role"].isin(["test", "control"])] = np.nan
    patches.flush()
    edit(
        trained.patches / "patches.tsv",
        lambda t: t.__setitem__("label", t["label"].where(t["role"] != "test", 1 - t["label"])),
    )
    forget_contents(trained.patches)
    stage2_train(trained.folder, QUICK, restart=True)
    assert all(
        np.array_equal(a, b) for a, b in zip(networks.load(read_network(trained.cnn)).get_weights(), first, strict=True)
    )


@pytest.mark.parametrize(
    ("role", "label", "kind"), [("train", 1, "microbleed"), ("train", 0, "other"), ("validation", 1, "microbleed")]
)
def test_train_needs_both_kinds(cell, role, label, kind):
    folder = stage2_crop(cell.folder)
    edit(
        folder / "patches.tsv",
        lambda t: t.__setitem__("label", t["label"].where(t["role"] != role, 1 - label)),
    )
    forget_contents(folder)
    with pytest.raises(DataError, match=rf"patches\.tsv: no {kind} patch among the \d+ of the {role} subjects"):
        stage2_train(cell.folder, QUICK)


def test_train_without_or_with_damaged_patches(cell):
    with pytest.raises(MissingError, match=r"patches: no patches.*stage2-crop"):
        stage2_train(cell.folder, QUICK)
    folder = stage2_crop(cell.folder)
    forget_contents(folder)
    whole = (folder / "patches.npy").read_bytes()
    (folder / "patches.npy").write_bytes(whole[:5000])
    with pytest.raises(DataError, match=r"patches\.npy: damaged"):
        stage2_train(cell.folder, QUICK)
    np.save(folder / "patches.npy", np.zeros((3, 16, 32, 16), np.float32))
    with pytest.raises(DataError, match=r"patches\.npy: holds float32 of shape \(3, 16, 32, 16\); expected"):
        stage2_train(cell.folder, QUICK)
    np.save(folder / "patches.npy", np.full((len(read_tsv(folder / "patches.tsv")), 16, 32, 16), 7, np.float32))
    with pytest.raises(DataError, match=r"patches must lie in 0\.\.1"):
        stage2_train(cell.folder, QUICK)


def _swap(folder):
    patches = np.load(folder / "patches.npy", mmap_mode="r+")
    patches[[0, 1]] = patches[[1, 0]]
    patches.flush()


def _label(folder):
    edit(folder / "patches.tsv", lambda t: t.__setitem__("label", 1 - t["label"]))


@pytest.mark.parametrize(("change", "name"), [(_swap, "patches.npy"), (_label, "patches.tsv")])
def test_patches_changed_by_hand_are_refused_by_all_that_take_them(trained, change, name):
    before = trained.findings.exists(), trained.cnn.read_bytes()
    change(trained.patches)
    for step in (stage2_crop, stage2_train, stage2_classify):
        with pytest.raises(DataError, match=rf"patches: {name} changed since `cmbtk stage2-crop` wrote.*Remove this"):
            step(trained.folder, *([QUICK] if step is stage2_train else []))
    assert before == (trained.findings.exists(), trained.cnn.read_bytes())
    shutil.rmtree(trained.patches)
    stage2_crop(trained.folder)
    stage2_train(trained.folder, QUICK)
    assert trained.cnn.read_bytes() == before[1], "the same patches: the training is still that of them"


def test_a_study_that_was_copied_is_not_one_that_was_edited(trained):
    for path in trained.patches.iterdir():
        os.utime(path, (1, 1))
    stage2_train(trained.folder, QUICK)


def test_a_training_notes_what_it_is_for(trained):
    assert read_record(trained.cnn)["trained_for"] == {
        "input": "swi beside phase",
        "channels": 1,
        "size": 16,
        "scale": "fixed",
        "phase": "paramagnetic positive",
        "pixel_mm": [1.0, 1.0],
        "slice_mm": [2.0, 2.0],
    }


def test_train_refuses_wrong_options_before_reading(cell):
    with pytest.raises(UsageError):
        stage2_train(cell.folder, ClassifierTraining(epochs=0))


# --- trainings that learn nothing


@pytest.fixture
def many(cell):
    """A cell with patches enough to be judged by: two training subjects validate as well."""
    folder = stage2_crop(cell.folder)
    edit(
        folder / "patches.tsv",
        lambda t: t.__setitem__(
            "role", t["role"].where(~t["participant_id"].isin(["sub-002", "sub-003"]), "validation")
        ),
    )
    forget_contents(folder)
    return cell


OPTIONS = [
    "--network",
    "small",
    "--batch",
    "10",
    "--augment",
    "in-plane",
    "--copies",
    "4",
    "2",
    "--learning-rate",
    ".002",
]


def _without_live_units(model):
    dense = next(layer for layer in model.layers if layer.__class__.__name__ == "Dense")
    kernel, bias = dense.get_weights()
    dense.set_weights([kernel, bias - 1e6])
    return model


def test_a_training_that_learns_nothing_begins_again_and_says_so(many, monkeypatch):
    build = networks.build
    monkeypatch.setattr(
        networks, "build", lambda name, seed: _without_live_units(build(name, 1)) if seed == 1 else build(name, seed)
    )
    result = CliRunner().invoke(
        cli, ["stage2-train", str(many.folder), *OPTIONS, "--epochs", "8", "--seed", "1"], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    assert "Warning: with seed 1 stage 2 has learned nothing in 8 epochs: the network gives one output" in result.output
    assert "it began again with seed 2." in result.output
    assert " of seed 2, " in result.output
    record = read_record(many.cnn)
    assert record["parameters"]["seed"] == 1
    assert record["seed_trained"] == 2
    (restart,) = record["restarts"]
    assert (restart["seed"], restart["epochs"]) == (1, 8)
    assert "gives one output for all 28 validation patches" in restart["why"]
    assert list(read_tsv(many.cnn_history)["seed"]) == [1] * 8 + [2] * 8
    stage2_classify(many.folder)


def test_a_network_that_has_learned_nothing_is_not_written(many):
    array = many.patches / "patches.npy"
    np.save(array, np.full_like(np.load(array), 0.5))
    result = CliRunner().invoke(cli, ["stage2-train", str(many.folder), *OPTIONS, "--epochs", "1"])
    assert isinstance(result.exception, DataError)
    assert result.exception.exit_code == 5
    said = str(result.exception)
    assert "learned nothing in 1 epochs: the network gives one output for all 28 validation patches" in said
    assert "nor had it with the seeds 0, 1. No network is written. Train with a lower --learning-rate" in said
    assert not many.cnn.exists()
    assert not many.cnn_history.exists()


def test_a_network_copied_in_that_gives_one_output_is_refused(trained):
    networks.save(_without_live_units(networks.build("small")), trained.cnn)
    sidecar(trained.cnn).unlink()
    with pytest.raises(DataError, match=r"cnn\.keras: the network gives one output for all 44 patches\. Train"):
        stage2_classify(trained.folder)
    assert not trained.findings.exists()


def test_a_network_that_tells_validation_patches_apart_the_wrong_way_round_is_refused(many):
    stage2_train(many.folder, replace(QUICK, epochs=8, learning_rate=2e-3))
    model = networks.load(read_network(many.cnn))
    model.layers[-1].set_weights([array[..., ::-1] for array in model.layers[-1].get_weights()])
    networks.save(model, many.cnn)
    sidecar(many.cnn).unlink()
    with pytest.raises(DataError, match=r"cnn\.keras: the network tells the 28 validation patches apart no better"):
        stage2_classify(many.folder)


# --- classify


def test_classify_gives_every_candidate_a_probability(trained):
    path = stage2_classify(trained.folder)
    findings, candidates = read_tsv(path), read_tsv(trained.candidates)
    assert list(findings["candidate_id"]) == list(candidates["candidate_id"])
    assert findings["probability"].between(0, 1).all()
    note = read_record(path)["threshold"]
    assert note["chosen"] == "on the validation subjects"
    for result, what in ((path, "threshold"), (trained.cnn, "epoch")):
        warnings = read_record(result)["warnings"]
        assert any(f"the {what} of stage 2 was chosen on 1 validation person" in line for line in warnings)
    assert (findings["kept"] == (findings["probability"] >= note["value"])).all()
    made = path.stat().st_mtime_ns
    stage2_classify(trained.folder)
    assert path.stat().st_mtime_ns == made


def test_both_stages_have_a_say_unless_stage_2_shall_decide_alone(trained):
    candidates = read_tsv(trained.candidates)
    candidates["confidence"] = np.linspace(0.05, 0.95, len(candidates))
    with publish(trained.candidates, Record("stage1-detect", {})) as path:
        write_tsv(candidates, path)
    both = read_tsv(stage2_classify(trained.folder, Classifying(threshold=0.5)))
    odds = [both[name] / (1 - both[name]) for name in ("confidence", "network_probability", "probability")]
    np.testing.assert_allclose(odds[2] ** 2, odds[0] * odds[1], rtol=1e-3)
    alone = read_tsv(stage2_classify(trained.folder, Classifying(threshold=0.5, by="stage2")))
    assert (alone["probability"] == both["network_probability"]).all()
    assert read_record(trained.findings)["parameters"]["by"] == "stage2"
    with pytest.raises(UsageError, match=r"--by nobody: expected one of auto, both, stage2\."):
        stage2_classify(trained.folder, Classifying(by="nobody"))


def test_candidates_without_a_confidence_that_was_learned_are_left_to_stage_2(trained):
    setup = replace(read_setup(trained), method="frst", input="frst")
    with publish(trained.candidates, Record("frst", {})) as path:
        write_tsv(read_tsv(trained.candidates), path)
    write_setup(trained, setup)
    stage2_classify(trained.folder, Classifying(threshold=0.5))
    assert read_record(trained.findings)["parameters"]["by"] == "stage2"
    with pytest.raises(UsageError, match="Take --by stage2"):
        stage2_classify(trained.folder, Classifying(by="both"))


def test_by_default_as_many_are_kept_as_leave_half_a_false_positive_a_validation_subject(trained):
    table = read_tsv(stage2_classify(trained.folder))
    value = read_record(trained.findings)["threshold"]["value"]
    false = table[table["role"] == "validation"].reset_index(drop=True)["probability"][[2, 3, 4, 5]]
    assert not (false >= value).any(), "one of a single subject is too many"
    lower = table["probability"][(table["role"] == "validation") & (table["probability"] < value)]
    assert lower.empty or (false >= lower.max()).sum() == 1, "the next would leave another"
    stage2_classify(trained.folder, Classifying(most_false=0.5))
    assert read_record(trained.findings)["threshold"]["value"] == value


def test_threshold_is_the_best_on_validation_and_in_the_middle(trained):
    table = read_tsv(stage2_classify(trained.folder, Classifying(threshold="validation")))
    value = read_record(trained.findings)["threshold"]["value"]
    mine = table[table["role"] == "validation"].reset_index(drop=True)

    def f1(threshold):
        kept = mine["probability"] >= threshold
        # rows 0, 1 and 6 lie on the two microbleeds; 0 and 6 on the same one
        tp = int(kept[0] or kept[6]) + int(kept[1])
        return 2 * tp / (tp + kept[[2, 3, 4, 5]].sum() + 2)

    scores = np.sort(mine["probability"].unique())
    assert f1(value) == max(f1(s) for s in scores)
    above, below = scores[scores >= value].min(), scores[scores < value]
    assert value == pytest.approx((above + (below.max() if len(below) else 0)) / 2, rel=1e-4)


def test_classify_does_not_look_at_the_test_truth(trained):
    before = stage2_classify(trained.folder).read_bytes()
    study = Study.of_cell(trained.folder)[0]
    truth = read_tsv(study.microbleeds)
    write_tsv(truth[truth["participant_id"] != "sub-005"], study.microbleeds)
    assert stage2_classify(trained.folder).read_bytes() == before


def test_given_threshold(trained):
    table = read_tsv(stage2_classify(trained.folder, Classifying(threshold=0.0)))
    assert table["kept"].all()
    assert read_record(trained.findings)["threshold"] == {"value": 0.0, "chosen": "given"}
    with pytest.raises(UsageError, match="from 0 to 1"):
        stage2_classify(trained.folder, Classifying(threshold=1.5))


def test_classify_when_candidates_have_changed(trained):
    write_tsv(read_tsv(trained.candidates).iloc[1:], trained.candidates)
    with pytest.raises(DataError, match=r"not made from the present candidates\.tsv.*stage2-crop"):
        stage2_classify(trained.folder)


def test_without_a_threshold_one_is_chosen_or_said_to_be_by_default(trained):
    """Nobody gave it, so that nobody is said to have given it."""
    stage2_classify(trained.folder)
    assert read_record(trained.findings)["threshold"]["chosen"] == "on the validation subjects"
    study, _ = Study.of_cell(trained.folder)
    marks = read_tsv(study.microbleeds)
    write_tsv(marks[marks["participant_id"] != "sub-004"], study.microbleeds)
    notes = []
    stage2_classify(trained.folder, on_note=notes.append)
    record = read_record(trained.findings)
    assert record["threshold"] == {"value": 0.5, "chosen": "by default, as none could be chosen on validation subjects"}
    assert notes == [f"Warning: {line}." for line in record["warnings"]]
    assert notes[0] == "Warning: microbleeds.tsv changed since the patches were cut: run `cmbtk stage2-crop` again."
    assert "the threshold is 0.5, for none could be chosen: no validation subject has a microbleed" in notes[1]
    with pytest.raises(DataError, match=r"no microbleed|has a microbleed to find"):
        stage2_classify(trained.folder, Classifying(threshold="validation"))
    stage2_classify(trained.folder, Classifying(threshold=0.5))
    assert read_record(trained.findings)["threshold"] == {"value": 0.5, "chosen": "given"}


def test_classify_refuses_a_network_for_other_patches(trained):
    stage2_crop(trained.folder, Cropping(scale="paper"))
    with pytest.raises(DataError, match=r"cnn\.keras: was trained for something else\. scale of grey values"):
        stage2_classify(trained.folder)


def test_what_may_be_wrong_is_printed_and_kept(trained):
    record = json.loads(sidecar(trained.cnn).read_text())
    record["trained_for"] |= {"slice_mm": [1.0, 1.0]}
    sidecar(trained.cnn).write_text(json.dumps(record))
    for _ in range(2):  # also where nothing is to be done
        run = CliRunner().invoke(cli, ["stage2-classify", str(trained.folder)], catch_exceptions=False)
        assert "Warning: all 6 subjects: 2 mm from slice to slice, trained with 1: more than 20% apart." in run.output
    assert "2 mm from slice to slice" in read_record(trained.findings)["warnings"][0]


def test_classify_without_network(cell):
    stage2_crop(cell.folder)
    with pytest.raises(MissingError, match=r"cnn\.keras: not found.*stage2-train"):
        stage2_classify(cell.folder)


def test_digest_is_of_the_content(cell):
    with pytest.raises(MissingError):
        patches_digest(cell)
    stage2_crop(cell.folder)
    first = patches_digest(cell)
    shutil.rmtree(cell.patches)
    stage2_crop(cell.folder)
    assert patches_digest(cell) == first
    stage2_crop(cell.folder, Cropping(scale="paper"))
    assert patches_digest(cell) != first


# --- command line


def test_commands_say_what_they_made(trained):
    run = CliRunner().invoke
    options = ["--network", "small", "--epochs", "2", "--batch", "10", "--augment", "in-plane", "--copies", "4", "2"]
    for command, words in (
        (["stage2-crop", str(trained.folder)], ["train:      11 candidates on a microbleed, 10 others, 8 marks"]),
        (["stage2-train", str(trained.folder), *options], ["Best epoch", "3 subjects", "Next: cmbtk stage2-classify"]),
        (["stage2-classify", str(trained.folder)], ["Threshold", "of 7 candidates kept", "Next: cmbtk evaluate"]),
    ):
        result = run(cli, command, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        assert all(word in result.output for word in words), result.output


@pytest.mark.parametrize(
    "command",
    [
        ["stage2-train", "CELL", "--class-weight", "balanced"],
        ["stage2-classify", "CELL", "--threshold", "high"],
        ["stage2-crop", "CELL", "--distance", "0"],
    ],
)
def test_wrong_words_are_usage_errors(command):
    assert CliRunner().invoke(cli, command).exit_code == 2


@pytest.mark.parametrize("command", ["stage2-crop", "stage2-train", "stage2-classify"])
def test_folder_that_is_no_cell(command, tmp_path):
    result = CliRunner().invoke(cli, [command, str(tmp_path)])
    assert isinstance(result.exception, MissingError)
    assert "not a cell of a study" in str(result.exception)


def test_help_ends_in_an_example():
    for command in ("stage2-crop", "stage2-train", "stage2-classify"):
        text = CliRunner().invoke(cli, [command, "--help"]).output
        assert f"cmbtk {command} " in text
