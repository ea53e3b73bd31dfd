"""A new detector that learns is one file (tests/toys/toy_learner.py) and one line of the registry."""

import json

import pytest

from cmb_toolkit.detectors import DETECTORS, Detector
from cmb_toolkit.errors import DataError, MissingError
from cmb_toolkit.io.publish import read_record
from cmb_toolkit.io.tables import read_tsv
from cmb_toolkit.stage1.recipe import LearnedSearch
from cmb_toolkit.steps.find import find
from cmb_toolkit.study.layout import Cell
from cmb_toolkit.study.lineage import check_cell

_LINE = Detector(("darkness",), "Find what is as dark as microbleeds are.", "toy_learner:Darkness", learns=True)


@pytest.fixture
def run(registered):
    return registered(DETECTORS, "darkness", _LINE)


def test_its_line_is_enough_for_a_command_that_learns_and_finds(run, study):
    assert "--margin" in run("darkness", "--help")
    said = run("darkness", study.root, "--fold", 1, "--size", 64, "--threshold", 0.3)
    cell = study.cell("HR", "darkness", "1")
    assert f"cmbtk stage2-crop {cell.folder}" in said
    assert json.loads(cell.network.read_text())["level"] == pytest.approx(90)
    record = read_record(cell.network)
    assert record["parameters"]["roles"] == {"train": ["sub-001"]}, "nobody else is read"
    assert {source["file"].split("/")[0] for source in record["sources"]} <= {"sub-001", *_files(study, "sub-001")}
    assert record["microbleeds"] == 2
    assert len(read_tsv(cell.candidates)) == 6, "two in each of three scans"
    assert not study.found("darkness", "sub-003").exists()
    assert cell.found("sub-003").is_file()
    assert "2 of 2 microbleeds" in run("evaluate", cell.folder, "--false-pictures", 0)
    assert check_cell(study, cell, ["sub-003"]).unknown == ()


def _files(study, subject):
    return [path.name for path in study.subject(subject).iterdir()]


def test_it_learns_anew_when_its_settings_or_marks_change_and_not_otherwise(run, study):
    cell = study.cell("HR", "darkness", "1")
    options = ("--fold", 1, "--size", 64, "--threshold", 0.3)
    run("darkness", study.root, *options)
    first = _made(cell)
    run("darkness", study.root, *options)
    assert _made(cell) == first
    table = study.microbleeds.read_text()
    study.microbleeds.write_text("".join(line for line in table.splitlines(True) if "sub-003" not in line))
    run("darkness", study.root, *options)
    assert _made(cell)[0] == first[0], "marks of test subjects teach nothing"
    run("darkness", study.root, *options, "--margin", 1.2)
    assert _made(cell) != first
    second = _made(cell)
    lines = table.splitlines(True)
    study.microbleeds.write_text("".join([lines[0], *lines[2:]]))
    run("darkness", study.root, *options, "--margin", 1.2)
    assert _made(cell)[0] != second[0]


def _made(cell: Cell) -> tuple[int, int]:
    return tuple(path.stat().st_mtime_ns for path in (cell.network, cell.found("sub-003")))


def test_without_training_subjects_it_says_so(run, study):
    with pytest.raises(DataError, match="has no training subjects"):
        find(study.root, "darkness", LearnedSearch(fold="none", threshold=0.5, size=64))


def test_a_scan_that_is_not_preprocessed_is_seen_before_the_training(run, study):
    study.mask("sub-003").unlink()
    with pytest.raises(MissingError, match=r"sub-003.*cmbtk preprocess"):
        find(study.root, "darkness", LearnedSearch(fold="1", threshold=0.5, size=64))
    assert not study.cell("HR", "darkness", "1").network.exists()


def test_it_is_planned_as_a_rival(run, study):
    settings = study.root / "own.toml"
    settings.write_text('base = "paper"\n[experiment]\ntables = [9]\nrivals = ["darkness"]\n[darkness]\nmargin = 2\n')
    assert "darkness" in run("experiment", "plan", study.root, "--settings", settings)
