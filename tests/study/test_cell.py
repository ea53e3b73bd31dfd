"""What a cell is: said in cell.json, or known by the provenance of what made it."""

import json

import pytest

from cmb_toolkit.errors import DataError, MissingError
from cmb_toolkit.io.publish import Record, publish
from cmb_toolkit.study.cell import Setup, labelled_by, looked_at, read_setup, thresholds, write_setup

ROLES = {"train": ["sub-008"], "validation": ["sub-009"], "test": ["sub-001"], "control": []}


def of():
    return Setup(
        resolutions=("HR", "LR"),
        method="yolo",
        input="swi",
        fold="2",
        size=448,
        mode="resize",
        roles={role: tuple(names) for role, names in ROLES.items()},
        repeat=2,
        scale="fixed",
        background="black",
        seed=3,
    )


@pytest.fixture
def cell(classified_study):
    """A cell that was made before there was a cell.json."""
    return classified_study.cell("slab", "swi+cphase-averaged", "1")


def test_a_cell_without_its_file_is_known_by_its_provenance(cell):
    setup = read_setup(cell)
    assert (setup.method, setup.resolutions, setup.fold, setup.size) == ("yolo", ("slab",), "1", 128)
    assert setup.roles["test"] == ("sub-001", "sub-002", "sub-003")
    assert (setup.repeat, setup.seed) == (1, None)


def test_a_cell_of_frst_has_no_project(classified_study):
    cell = classified_study.cell("slab", "frst", "1")
    noted = {"resolution": "slab", "input": "frst", "fold": "1", "size": 448, "mode": "auto", "roles": ROLES}
    with publish(cell.candidates, Record("frst", noted)) as path:
        path.write_text("candidate_id\n")
    assert (read_setup(cell).method, read_setup(cell).scale) == ("frst", None)


def test_what_was_said_is_read_back_and_not_written_twice(cell):
    write_setup(cell, of())
    setup = read_setup(cell)
    assert setup.made_from
    assert (setup.resolution, setup.input, setup.repeat, setup.seed) == ("HR+LR", "swi", 2, 3)
    then = cell.setup.stat().st_mtime_ns
    write_setup(cell, of())
    assert cell.setup.stat().st_mtime_ns == then


def test_a_file_that_speaks_of_another_project_is_not_believed(cell):
    write_setup(cell, of())
    noted = {"resolution": "slab", "input": "swi", "fold": "7", "size": 64, "mode": "crop", "roles": ROLES}
    with publish(cell.project, Record("prepare-yolo", noted)) as folder:
        folder.mkdir()
    assert (read_setup(cell).fold, read_setup(cell).size) == ("7", 64)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("method", ["yolo"]),
        ("method", "other"),
        ("resolutions", []),
        ("resolutions", [1]),
        ("fold", None),
        ("size", "448"),
        ("size", 0),
        ("mode", "cut"),
        ("roles", ["sub-001"]),
        ("roles", {"test": "sub-001"}),
        ("seed", 0.5),
    ],
)
def test_what_is_damaged_is_refused_with_the_command_that_mends_it(cell, name, value):
    write_setup(cell, of())
    content = json.loads(cell.setup.read_text())
    cell.setup.write_text(json.dumps({**content, name: value}))
    with pytest.raises(DataError, match=r"cell\.json: does not say what .* Run `cmbtk prepare-yolo` for it again"):
        read_setup(cell)


def test_a_folder_that_is_no_cell_yet(classified_study):
    with pytest.raises(MissingError, match="Run `cmbtk prepare-yolo` for this cell first"):
        read_setup(classified_study.cell("slab", "swi", "1"))


def test_what_its_steps_say_of_themselves(cell):
    assert looked_at(cell) == ("validation", "test", "control")
    assert {stage: each.value for stage, each in thresholds(cell).items()} == {"stage1": 0.05, "stage2": 0.5}
    with pytest.raises(DataError, match="does not say how the patches were labelled"):
        labelled_by(cell)
