"""Names in tables, settings and on the command line that a shell or a path would obey: every command refuses them with
one message, nothing is run, and nothing is written outside the study."""

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from cmb_toolkit.cli.main import cli
from cmb_toolkit.errors import CmbError
from cmb_toolkit.io.tables import write_tsv
from cmb_toolkit.study.layout import Study

NAMES = (
    "$(touch hacked)", "`touch hacked`", "a; touch hacked", "a & touch hacked #", "a\ntouch hacked", "-o", "--help",
    "a b", "it's", '"q"', "../../hacked", "/tmp/hacked", "sub-../../hacked", "{x}", "$x$", "x" * 300,
)  # fmt: skip
STUDY_COMMANDS = (
    ("check", "-j", "1"), ("preprocess", "-j", "1"), ("split",), ("prepare-yolo", "--fold", "1"),
    ("frst", "--fold", "none"),
    ("experiment", "plan"), ("experiment", "run"), ("experiment", "status"), ("experiment", "report"),
)  # fmt: skip
CELL_COMMANDS = ("stage1-train", "stage1-detect", "stage2-crop", "stage2-train", "stage2-classify", "evaluate")


def hostile(*kinds):
    """Every kind of name with every name that it refuses: labels of scanners, and they alone, have spaces."""
    pairs = [(kind, name) for kind in kinds for name in NAMES if (kind, name) != ("scanner", "a b")]
    return [pytest.param(*pair, id=f"{pair[0]}-{NAMES.index(pair[1])}") for pair in pairs]


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Tables of three patients, in a folder that nothing may leave."""
    monkeypatch.chdir(tmp_path)
    made = Study.create(tmp_path / "deep" / "study", "x")
    people = [f"sub-{n}" for n in range(3)]
    table = pd.DataFrame({"participant_id": people, "resolution": "HR", "scanner": "A", "group": "patient"})
    write_tsv(table.assign(magnitude="m.nii", phase="p.nii"), made.participants)
    marks = pd.DataFrame({"participant_id": people, **dict.fromkeys("ijk", 1)})
    write_tsv(marks.assign(x_mm=0.0, y_mm=0.0, z_mm=0.0), made.microbleeds)
    write_tsv(
        pd.DataFrame({"fold": "1", "participant_id": people, "role": ["train", "validation", "test"]}), made.folds
    )
    return made


def outside(study):
    """What there is beside the study."""
    top = study.root.parent.parent
    return sorted(str(p.relative_to(top)) for p in top.rglob("*") if study.root not in p.parents)


def refused(study, *words):
    """Run a command that must refuse, and give its message."""
    before = outside(study)
    result = CliRunner().invoke(cli, list(map(str, words)))
    if isinstance(result.exception, CmbError):
        code, said = result.exception.exit_code, str(result.exception)
    else:
        assert isinstance(result.exception, SystemExit), (words, result.exception, result.output)
        code, said = result.exit_code, result.output
    assert code in (2, 3, 5), (words, said)
    assert outside(study) == before
    assert not list(study.root.rglob("*hacked*"))
    return said


def put(table, column, value):
    """Set a value of a table's second line."""
    frame = pd.read_csv(table, sep="\t", dtype=str)
    frame.loc[1, column] = value
    write_tsv(frame, table)


@pytest.mark.parametrize(("column", "name"), hostile("participant_id", "resolution", "scanner"))
def test_in_the_table_of_participants(study, column, name):
    put(study.participants, column, name)
    for words in STUDY_COMMANDS:
        said = refused(study, *words, study.root)
        assert "participants.tsv" in said, words


@pytest.mark.parametrize("column", ["fold", "participant_id"])
@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_in_the_table_of_folds(study, column, name):
    put(study.folds, column, name)
    for words in (
        ("check", "-j", "1"),
        ("prepare-yolo", "--fold", "1"),
        ("frst", "--fold", "1"),
        ("experiment", "plan"),
    ):
        refused(study, *words, study.root)


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_on_the_command_line(study, name):
    for option in ("--fold", "--resolution", "--input"):
        given = {"--fold": "1"} | {option: name}
        words = [word for pair in given.items() for word in pair]
        refused(study, "prepare-yolo", study.root, *words)
    refused(study, "experiment", "plan", study.root, "--fold", name)
    refused(study, "import", "authors", study.root, "-o", study.root, "--resolution", name)
    for command in CELL_COMMANDS:
        refused(study, command, study.root / "cells" / name)


SETTINGS = """
base = "demo"
resolutions.HR = {HR}
experiment.fold = {fold}
experiment.scanner = {scanner}
cluster.partition = {partition}
cluster.account = {account}
"""
FINE = {"HR": "HR", "fold": "1", "scanner": "A b", "partition": "gpu", "account": "lab_1"}


@pytest.mark.parametrize(("key", "name"), hostile(*FINE))
def test_in_settings(study, tmp_path, key, name):
    path = tmp_path / "deep" / "settings.toml"
    path.write_text(SETTINGS.format(**{k: json.dumps(v) for k, v in (FINE | {key: name}).items()}), "utf-8")
    said = refused(study, "experiment", "run", study.root, "--settings", path)
    assert f"{key} = " in said
    assert " must be letters, digits" in said


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_in_what_a_cell_says_of_itself(study, name):
    """Its record names the subjects of every role, its tables name them again."""
    cell = study.cell("HR", "swi", "1")
    cell.project.mkdir(parents=True)
    roles = {"train": [name], "validation": [name + "1"], "test": [name + "2"], "control": []}
    parameters = {"roles": roles, "size": 32, "mode": "resize", "resolution": "HR", "input": "swi", "fold": "1"}
    record = {"step": "prepare-yolo", "version": "0", "parameters": parameters, "sources": [], "engine": None}
    cell.project.with_suffix(".json").write_text(json.dumps(record), "utf-8")
    found = pd.DataFrame(
        {"candidate_id": ["c"], "participant_id": [name], "role": ["train"], "i": 1.0, "j": 1.0, "k": 1}
    )
    write_tsv(found.assign(left=1.0, top=1.0, right=2.0, bottom=2.0, confidence=0.5), cell.candidates)
    for command in CELL_COMMANDS:
        refused(study, command, cell.folder)
    cell.patches.mkdir()
    np.save(cell.patches / "patches.npy", np.zeros((1, 16, 32, 16), "f4"))
    write_tsv(found.assign(label=1, origin="candidate"), cell.patches / "patches.tsv")
    for command in CELL_COMMANDS[2:]:
        refused(study, command, cell.folder)
