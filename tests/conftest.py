"""Settings for all tests; and a study after both stages, made by hand: 3 patients, a control, six kinds of boxes."""

import fcntl
import gc
import json
import os
import shutil
import subprocess
import sys
from importlib import import_module

import click
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import settings

import cmb_toolkit
from cmb_toolkit.errors import CmbError
from cmb_toolkit.evaluation.recipe import Evaluating
from cmb_toolkit.io.publish import Record, publish, sidecar
from cmb_toolkit.io.tables import write_tsv
from cmb_toolkit.study.geometry import read_geometry
from cmb_toolkit.study.layout import Study

# Tests do not depend on a Darknet that happens to be here; those that need one name it.
os.environ["CMBTK_DARKNET"] = "none"

# A machine that is busy with something else must not fail a test.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


# Each worker of pytest-xdist has a processor of its own: a command then works in its process, as on a machine with one,
# where it would start as many as there are processors, each for seconds; the tests that are about that ask for it.
if WORKER := os.environ.get("PYTEST_XDIST_WORKER"):
    _PROCESSORS = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {_PROCESSORS[int(WORKER.removeprefix("gw")) % len(_PROCESSORS)]})


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Libraries and thousands of tests stay to the end: nobody need look again and again whether they are rubbish;
    and seldom whether the rest is."""
    gc.disable()
    collected = yield
    gc.freeze()
    gc.set_threshold(20_000)
    gc.enable()
    return collected


@pytest.fixture(scope="session")
def cmbtk():
    """Runs a command in a process of its own, as a shell does, and gives what it says."""

    def run(*words, code=0):
        done = subprocess.run(
            [sys.executable, "-m", "cmb_toolkit", *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture(scope="session")
def typed():
    """Runs a command in this process, which spares the seconds that one of its own needs to start, and gives what it
    says."""

    def run(*words, code=0):
        cli = import_module("cmb_toolkit.cli.main").cli
        result = CliRunner().invoke(cli, [*map(str, words)], standalone_mode=False)
        if (error := result.exception) is None:
            found, said = result.return_value or 0, result.output
        elif isinstance(error, click.ClickException):
            found, said = error.exit_code, result.output + error.format_message()
        elif isinstance(error, CmbError):
            found, said = error.exit_code, f"{result.output}Error: {error}"
        else:
            raise error
        assert found == code, said
        return said

    return run


@pytest.fixture(scope="session")
def tiny_study(tmp_path_factory, typed):
    """A study of nine tiny patients and a healthy subject on two scanners, preprocessed: to be copied. The workers of a
    run share it."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if WORKER else root
    with (root / "tiny.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (made := root / "tiny").exists():
            new = root / "tiny.new"
            typed("simulate", new, "--resolution", "tiny", "--subjects", 10, "--healthy", 1, "--difficulty", "easy")
            typed("preprocess", new)
            new.rename(made)
    return made


SHAPE, SPACING = (96, 112, 12), (0.9, 0.9, 2.0)
MARKS = [("sub-001", 30, 40, 5), ("sub-001", 60, 80, 6), ("sub-002", 48, 56, 0), ("sub-003", 20, 90, 11)]
CANDIDATES = [
    # subject, i, j, k, confidence, probability, kept
    ("sub-001", 30, 40, 5, 0.90, 0.98, True),  # hit under both rules
    ("sub-001", 30, 40, 6, 0.40, 0.90, True),  # the same lesion one slice higher
    ("sub-001", 60, 83, 6, 0.30, 0.20, False),  # near: hit under the centre rule only; thrown out by stage 2
    ("sub-001", 80, 20, 3, 0.20, 0.05, False),  # false, thrown out
    ("sub-002", 48, 56, 0, 0.80, 0.70, True),  # hit
    ("sub-002", 20, 20, 8, 0.70, 0.60, True),  # false, kept
    ("sub-004", 50, 50, 4, 0.50, 0.55, True),  # false on a control, kept
    ("sub-004", 55, 20, 4, 0.10, 0.01, False),  # false on a control, thrown out
    ("sub-009", 50, 50, 4, 0.99, 0.99, True),  # a validation subject: must not count
]
ROLES = {
    "train": ["sub-008"],
    "validation": ["sub-009"],
    "test": ["sub-001", "sub-002", "sub-003"],
    "control": ["sub-004"],
}
COLUMNS = ["participant_id", "i", "j", "k"]


def _volumes(study, subject, rng):
    i, j, k = np.indices(SHAPE)
    brain = ((i - 48) / 44) ** 2 + ((j - 56) / 52) ** 2 < 1
    swi = 500 + 40 * rng.standard_normal(SHAPE)
    phase = 0.1 * rng.standard_normal(SHAPE)
    for name, a, b, c in MARKS:
        if name == subject:
            near = np.exp(-(((i - a) ** 2 + (j - b) ** 2) * 0.81 + (k - c) ** 2 * 4) / 5)
            swi, phase = swi * (1 - 0.8 * near), phase + 1.5 * near
    affine = np.diag([*SPACING, 1.0])
    for path, data in ((study.swi(subject), swi), (study.phase(subject), phase)):
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image((data * brain).astype(np.float32), affine), path)


def _cell(study, fold, candidates, *, resolution="slab", size=128):
    cell = study.cell(resolution, "swi+cphase-averaged", fold)
    parameters = {
        "resolution": resolution,
        "input": "swi+cphase-averaged",
        "fold": fold,
        "size": size,
        "mode": "resize",
    }
    with publish(cell.project, Record("prepare-yolo", {**parameters, "roles": ROLES})) as folder:
        folder.mkdir()
    table = pd.DataFrame(candidates, columns=[*COLUMNS, "confidence", "probability", "kept"])
    frame = read_geometry(study, "sub-001", size=size, mode="resize").frame
    table.insert(0, "candidate_id", [f"{s}_cand-{n:04d}" for n, s in enumerate(table["participant_id"], 1)])
    table["role"] = table["participant_id"].map({s: role for role, names in ROLES.items() for s in names})
    for axis, mm, name in zip("ijk", SPACING, ("x_mm", "y_mm", "z_mm"), strict=True):
        table[name] = table[axis] * mm
    column = frame.scale_column * (SHAPE[0] - table["i"] - 0.5) + frame.offset_column
    row = frame.scale_row * (SHAPE[1] - table["j"] - 0.5) + frame.offset_row
    table["left"], table["top"], table["right"], table["bottom"] = column - 10, row - 10, column + 10, row + 10
    given, chosen = {"value": 0.05, "chosen": "given"}, {"value": 0.5, "chosen": "on the validation subjects"}
    stage1 = table.drop(columns=["probability", "kept"])
    with publish(cell.candidates, Record("stage1-detect", {"roles": ["validation", "test", "control"]})) as path:
        path.note(threshold=given)
        write_tsv(stage1, path)
    with publish(cell.findings, Record("stage2-classify", {})) as path:
        path.note(threshold=chosen)
        write_tsv(table, path)
    return cell


@pytest.fixture(scope="session")
def _classified(tmp_path_factory):
    study = Study.create(tmp_path_factory.mktemp("classified") / "study", "made by hand")
    people = [name for names in ROLES.values() for name in names]
    frame = pd.DataFrame({"participant_id": sorted(people), "resolution": "slab", "scanner": "a"})
    frame["group"] = ["control" if name in ROLES["control"] else "patient" for name in frame["participant_id"]]
    with publish(study.participants, Record("simulate", {})) as path:
        write_tsv(frame, path)
    marks = pd.DataFrame(MARKS, columns=COLUMNS)
    for axis, mm, name in zip("ijk", SPACING, ("x_mm", "y_mm", "z_mm"), strict=True):
        marks[name] = marks[axis] * mm
    write_tsv(marks, study.microbleeds)
    rng = np.random.default_rng(0)
    for subject in (*ROLES["test"], *ROLES["control"]):
        _volumes(study, subject, rng)
    _cell(study, "1", CANDIDATES)
    return study


@pytest.fixture(scope="session")
def _two_folds(_classified, tmp_path_factory):
    study = _copy(_classified, tmp_path_factory.mktemp("two-folds"))
    _cell(study, "2", [row for row in CANDIDATES if row[4] > 0.35])
    return study


@pytest.fixture(scope="session")
def _evaluated(_two_folds, tmp_path_factory):
    from cmb_toolkit.steps.evaluate import evaluate  # takes seconds, also where tests are only dealt out

    study = _copy(_two_folds, tmp_path_factory.mktemp("evaluated"))
    for fold in "12":
        evaluate(study.cell("slab", "swi+cphase-averaged", fold).folder, Evaluating(most_false=0))
    return study


def _copy(study, folder):
    """The study, made once and a test's own to change."""
    return Study(shutil.copytree(study.root, folder / "study"))


@pytest.fixture
def classified_study(_classified, tmp_path):
    """A study whose cell of fold 1 has candidates and findings."""
    return _copy(_classified, tmp_path)


@pytest.fixture
def two_fold_study(_two_folds, tmp_path):
    """The same with a second cell, in which stage 1 found less."""
    return _copy(_two_folds, tmp_path)


@pytest.fixture
def evaluated_study(_evaluated, tmp_path):
    """The same, both cells evaluated."""
    return _copy(_evaluated, tmp_path)


@pytest.fixture
def evaluated_by():
    """Notes of cells that they were evaluated with a rule; the numbers are made under all of them."""

    def note(rule, *cells):
        for cell in cells:
            path = sidecar(cell.evaluation)
            content = json.loads(path.read_text("utf-8"))
            content["parameters"]["rule"] = rule
            path.write_text(json.dumps(content), "utf-8")

    return note


@pytest.fixture
def without_pictures(monkeypatch):
    """Let evaluate count alone: most of its time goes into pictures, which few tests are about."""
    monkeypatch.setattr("cmb_toolkit.steps.evaluate._draw", lambda *given, **options: None)


@pytest.fixture
def registered(monkeypatch):
    """Adds a line to a registry, as if it stood in the source: what reads the registry on import is imported anew.
    Gives what runs a command of the toolkit then, and says what it said."""

    def run(*words):
        cli = import_module("cmb_toolkit.cli.main").cli
        result = CliRunner().invoke(cli, [*map(str, words)], terminal_width=110)
        assert result.exit_code == 0, result.output
        return result.output

    def add(registry, name, line):
        monkeypatch.setitem(registry, name, line)
        for package in ("cli", "paper", "workflow"):
            monkeypatch.setattr(cmb_toolkit, package, getattr(cmb_toolkit, package, None), raising=False)
        for module in [name for name in sys.modules if name.split(".")[1:2] in (["cli"], ["paper"], ["workflow"])]:
            monkeypatch.delitem(sys.modules, module)
        return run

    return add


@pytest.fixture
def write_history():
    """Loss histories of both stages for a cell."""

    def write(cell):
        n = np.arange(1, 301)
        rate = np.where(n < 200, 1e-3, 1e-4)
        loss = 20 * np.exp(-n / 60) + 0.4 * (1 + 0.5 * np.sin(n * 2.1))
        smooth = pd.Series(loss).ewm(alpha=0.1).mean()
        table = {"iteration": n, "loss": loss, "avg_loss": smooth, "rate": rate, "images": n * 16, "seconds": n * 0.5}
        write_tsv(pd.DataFrame(table), cell.yolo_history)
        epoch = np.arange(1, 41)
        losses = {
            "epoch": epoch,
            "loss": np.exp(-epoch / 8) + 0.02,
            "val_loss": np.exp(-epoch / 6) + 0.004 * epoch + 0.1,
        }
        write_tsv(pd.DataFrame(losses), cell.cnn_history)

    return write


@pytest.fixture
def read_json():
    """Content of a JSON file."""
    return lambda path: json.loads(path.read_text("utf-8"))


def pytest_collection_modifyitems(items):
    """Files with long tests first, dealt to the two halves of the list: two workers take one half each."""
    long = {item.path for item in items if item.get_closest_marker("slow")}
    firsts = [path for n in (0, 1) for path in sorted(long)[n::2]]
    half = len(sorted(long)[0::2])
    others = [item for item in items if item.path not in long]
    of = {path: [item for item in items if item.path == path] for path in long}
    one, two = ([item for path in part for item in of[path]] for part in (firsts[:half], firsts[half:]))
    middle = (len(items) + 1) // 2 - len(one)
    items[:] = [*one, *others[:middle], *two, *others[middle:]]
