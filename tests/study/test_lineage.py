"""A cell is made whole, with all that says who was learned from; then one file at a time is tampered with."""

import json
import re

import pandas as pd
import pytest
from click.testing import CliRunner

from cmb_toolkit.cli.main import cli
from cmb_toolkit.errors import DataError
from cmb_toolkit.evaluation.leaks import LeakCheck, Use, check_leaks
from cmb_toolkit.evaluation.recipe import Evaluating
from cmb_toolkit.evaluation.results import CellResult
from cmb_toolkit.io.publish import Record, publish, read_record, sidecar
from cmb_toolkit.io.tables import read_tsv, write_tsv
from cmb_toolkit.steps.evaluate import evaluate
from cmb_toolkit.study.layout import Study
from cmb_toolkit.study.made_from import patches_digest, project_digest
from cmb_toolkit.study.patches import TABLE

pytestmark = pytest.mark.usefixtures("without_pictures")

NAME = "slab_swi+cphase-averaged_fold-1"


def test_a_subject_used_is_named_with_file_and_purpose():
    uses = [Use("a.json", "training", ("s1", "s2")), Use("b.tsv", "thresholds", ("s3",)), Use("a.json", "more", ())]
    assert check_leaks(["s4"], uses, ["w.weights"]) == LeakCheck(("a.json", "b.tsv"), ("w.weights",))
    with pytest.raises(DataError) as error:
        check_leaks(["s2", "s3", "s4", "s1"], uses)
    assert "a.json: s1, s2 used for training\nb.tsv: s3 used for thresholds" in str(error.value)


def trained_with(cell, roles, weights=b"weights", **parameters):
    """Weights of stage 1, trained on the cell's present project."""
    record = Record("stage1-train", {"seed": 0, "project": project_digest(cell), **parameters})
    with publish(cell.weights, record) as path:
        path.write_bytes(weights)
    (cell.project / "train.txt").write_text("".join(f"slices/{s}_slice-003_rot090.png\n" for s in roles["train"]))
    (cell.project / "valid.txt").write_text("".join(f"slices/{s}_slice-003.png\n" for s in roles["validation"]))


def detected_with(cell, weights):
    """The same candidates, found with these weights."""
    table, threshold = read_tsv(cell.candidates), read_record(cell.candidates)["threshold"]
    parameters = {"roles": ["validation", "test", "control"], "project": project_digest(cell)}
    volume = Study.of_cell(cell.folder)[0].swi("sub-001")
    with publish(cell.candidates, Record("stage1-detect", parameters, (weights, volume))) as path:
        path.note(threshold=threshold)
        write_tsv(table, path)


@pytest.fixture
def cell(classified_study):
    """A cell with every record that a whole run leaves."""
    cell = classified_study.cell_named(NAME)
    roles = read_record(cell.project)["parameters"]["roles"]
    trained_with(cell, roles)
    detected_with(cell, cell.weights)
    rows = [(subject, role) for role, subjects in roles.items() for subject in subjects]
    with publish(cell.patches, Record("stage2-crop", {"roles": roles})) as folder:
        folder.mkdir()
        write_tsv(pd.DataFrame(rows, columns=["participant_id", "role"]), folder / TABLE)
    learned = {role: {"subjects": roles[role]} for role in ("train", "validation")}
    with publish(cell.cnn, Record("stage2-train", {"patches": patches_digest(cell)})) as path:
        path.note(**learned)
        path.write_bytes(b"network")
    findings, threshold = read_tsv(cell.findings), read_record(cell.findings)["threshold"]
    with publish(cell.findings, Record("stage2-classify", {"patches": patches_digest(cell)}, (cell.cnn,))) as path:
        path.note(threshold=threshold)
        write_tsv(findings, path)
    return cell


def rewrite_json(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def rewrite_table(path, subject, role):
    table = read_tsv(path)
    table.loc[table["participant_id"] == subject, "role"] = role
    write_tsv(table, path)


def test_a_clean_cell_passes_and_says_what_was_searched(cell, read_json):
    evaluate(cell.folder, Evaluating(most_false=0))
    searched = CellResult.from_json(read_json(cell.metrics)).leak_check
    assert searched.unknown == ()
    assert set(searched.searched) == {
        "darknet.json",
        "darknet/train.txt",
        "darknet/valid.txt",
        "candidates.tsv",
        "patches/patches.tsv",
        "findings.tsv",
        "patches.json",
        "cnn.json",
    }


def leak_into(cell, what):
    """Let sub-002, who is tested on, be learned from by changing one file."""
    if what.endswith(".txt"):
        with (cell.project / what).open("a") as stream:
            stream.write("slices/sub-002_slice-004.png\n")
    elif what.endswith(".tsv"):
        rewrite_table(cell.folder / what, "sub-002", "validation")
    elif what == "darknet.json":
        rewrite_json(sidecar(cell.project), lambda note: note["parameters"]["roles"]["train"].append("sub-002"))
    elif what == "patches.json":
        rewrite_json(sidecar(cell.patches), lambda note: note["parameters"]["roles"]["train"].append("sub-002"))
    else:
        rewrite_json(sidecar(cell.cnn), lambda note: note["validation"]["subjects"].append("sub-002"))


@pytest.mark.parametrize(
    "what", ["train.txt", "valid.txt", "candidates.tsv", "findings.tsv", "patches/patches.tsv", "cnn.json"]
)
def test_a_test_subject_in_any_list_stops_the_evaluation(cell, what):
    evaluate(cell.folder, Evaluating(most_false=0))  # an evaluation that is there already is no excuse
    leak_into(cell, what)
    with pytest.raises(DataError) as error:
        evaluate(cell.folder, Evaluating(most_false=0))
    assert f"{what}: sub-002 used for" in str(error.value)


@pytest.mark.parametrize("what", ["darknet.json", "patches.json"])
def test_records_that_no_longer_fit_the_results_stop_it_too(cell, what):
    leak_into(cell, what)
    with pytest.raises(DataError, match=r"made from another (project|patches) than the cell holds now"):
        evaluate(cell.folder)


@pytest.mark.parametrize("what", ["darknet.json", "patches.json"])
def test_roles_that_overlap_are_found_where_nothing_was_made_from_them(cell, what):
    made = (cell.weights, cell.candidates) if what == "darknet.json" else (cell.cnn, cell.findings)
    for result in made:
        rewrite_json(
            sidecar(result), lambda note: note["parameters"].pop("project" if made[0] == cell.weights else "patches")
        )
    leak_into(cell, what)
    with pytest.raises(DataError, match=rf"{what}: sub-002 used for training"):
        evaluate(cell.folder)


def test_a_detector_of_an_earlier_split_is_found(cell):
    parameters = read_record(cell.project)["parameters"]
    parameters["roles"] = {**parameters["roles"], "train": ["sub-007"]}
    with publish(cell.project, Record("prepare-yolo", parameters)) as folder:
        folder.mkdir()
    with pytest.raises(DataError, match=r"yolo\.weights: made from another project .*Run `cmbtk stage1-train` and"):
        evaluate(cell.folder)


MADE_FOR = {"resolution": "slab", "input": "swi+cphase-averaged", "size": 448, "mode": "crop"}


def other_fold(study, train):
    """A second cell, whose detector was trained on other subjects."""
    cell = study.cell("slab", "swi+cphase-averaged", "2")
    roles = {"train": train, "validation": ["sub-009"], "test": ["sub-008"], "control": []}
    with publish(cell.project, Record("prepare-yolo", {**MADE_FOR, "fold": "2", "roles": roles})) as folder:
        folder.mkdir()
    trained_with(cell, roles, b"other weights")
    return cell


def test_weights_of_another_fold_bring_its_training_subjects_with_them(cell, classified_study):
    other = other_fold(classified_study, ["sub-003"])
    detected_with(cell, other.weights)
    with pytest.raises(DataError, match=re.escape(f"{other.name}/darknet.json: sub-003 used for training")):
        evaluate(cell.folder)
    evaluate(cell.folder, Evaluating(roles=("control",), most_false=0))  # the controls were never trained on


def test_training_that_began_from_another_fold_is_found(cell, classified_study):
    other = other_fold(classified_study, ["sub-001"])
    note = read_record(cell.weights)
    with publish(cell.weights, Record("stage1-train", note["parameters"], (other.weights,))) as path:
        path.write_bytes(b"weights")
    with pytest.raises(
        DataError, match=re.escape(f"{other.name}/darknet/train.txt: sub-001 used for training of stage 1")
    ):
        evaluate(cell.folder)


def test_training_that_began_from_what_began_from_another_fold_is_found(cell, classified_study):
    other = other_fold(classified_study, ["sub-008"])
    third = classified_study.cell("slab", "swi+cphase-averaged", "3")
    roles = {"train": ["sub-001"], "validation": ["sub-009"], "test": [], "control": []}
    with publish(third.project, Record("prepare-yolo", {**MADE_FOR, "fold": "3", "roles": roles})) as folder:
        folder.mkdir()
    trained_with(third, roles, b"first of all")
    note = read_record(other.weights)
    with publish(other.weights, Record("stage1-train", note["parameters"], (third.weights,))) as path:
        path.write_bytes(b"other weights")
    detected_with(cell, other.weights)
    with pytest.raises(DataError, match=r"fold-3/darknet/train\.txt: sub-001 used for training of stage 1"):
        evaluate(cell.folder)


def test_weights_from_elsewhere_are_said_to_be_unknown(cell, tmp_path, read_json):
    foreign = tmp_path / "pretrained.weights"
    foreign.write_bytes(b"from somewhere")
    detected_with(cell, foreign)
    result = CliRunner().invoke(cli, ["evaluate", str(cell.folder), "--false-pictures", "0"])
    assert result.exit_code == 0, result.output
    assert "Leaks: unknown whether a person tested was in training, thresholds or model choice" in result.output
    assert "Not known: who candidates.json: pretrained.weights" in result.output
    (unknown,) = CellResult.from_json(read_json(cell.metrics)).leak_check.unknown
    assert unknown.startswith("candidates.json: pretrained.weights, sha256 ")


def test_a_cell_whose_records_say_everything_has_no_leak(cell, read_json):
    result = CliRunner().invoke(cli, ["evaluate", str(cell.folder), "--false-pictures", "0"])
    assert "Leaks: no person tested in training, thresholds or model choice (8 records)" in result.output
    assert CellResult.from_json(read_json(cell.metrics)).leak_check.verdict == "none"


@pytest.mark.parametrize(
    "what", ["candidates.json", "cnn.json", "findings.json", "cnn.keras", "weights.bin", "yolo.json"]
)
def test_without_provenance_leaks_are_unknown_never_none(cell, tmp_path, read_json, what):
    if what == "weights.bin":  # whatever the ending of a file of weights is
        (tmp_path / what).write_bytes(b"from somewhere")
        detected_with(cell, tmp_path / what)
    elif what == "cnn.keras":  # a network from elsewhere, put in place of the cell's
        cell.cnn.write_bytes(b"another")
        findings, threshold = read_tsv(cell.findings), read_record(cell.findings)["threshold"]
        parameters = {"patches": patches_digest(cell)}
        with publish(cell.findings, Record("stage2-classify", parameters, (cell.cnn,))) as path:
            path.note(threshold=threshold)
            write_tsv(findings, path)
        sidecar(cell.cnn).unlink()
    else:
        (cell.folder / what).unlink()
    evaluate(cell.folder, Evaluating(most_false=0))
    assert CellResult.from_json(read_json(cell.metrics)).leak_check.verdict == "unknown"


def test_another_scan_of_a_person_learned_from_is_found(cell, classified_study):
    people = read_tsv(classified_study.participants)
    people["person_id"] = ["x" if name in ("sub-002", "sub-009") else None for name in people["participant_id"]]
    with publish(classified_study.participants, Record("simulate", {})) as path:
        write_tsv(people, path)
    with pytest.raises(DataError, match=re.escape("sub-009 (the same person as sub-002) used for")):
        evaluate(cell.folder)


def test_persons_are_held_against_each_other_not_names():
    uses = [Use("a.json", "training", ("s1", "s2"))]
    with pytest.raises(DataError, match=r"a\.json: s2 \(the same person as s7\) used for training"):
        check_leaks(["s7"], uses, persons={"s2": "p", "s7": "p"})
    check_leaks(["s7"], uses, persons={"s2": "p", "s7": "q"})
