"""Every table is declared once; the page on the study and what makes tables are held to it."""

import re
from pathlib import Path

import pytest

from cmb_toolkit import schema
from cmb_toolkit.darknet.state import Row
from cmb_toolkit.evaluation.learning import BUDGETS
from cmb_toolkit.evaluation.strata import NEAR_MM, RIM_MM
from cmb_toolkit.schema import Table, is_text, kind_of, unit_of

PAGE = (Path(__file__).parents[1] / "docs" / "study.md").read_text("utf-8")
TABLES = {name: table for name, table in vars(schema).items() if isinstance(table, Table)} | {
    f"evaluation/{name}": table for name, table in schema.EVALUATION.items()
}
KNOWN = {column for table in TABLES.values() for column in table.columns}


def section(heading):
    return re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL)[1]


def columns_in(text):
    return {name for name in re.findall(r"`([^`]+)`", text) if name in KNOWN}


def test_the_page_has_the_columns_of_participants():
    rows = re.findall(r"^\| (`.*?) \|", section("participants.tsv"), re.MULTILINE)
    assert columns_in(" ".join(rows)) == set(schema.PARTICIPANTS.columns)


@pytest.mark.parametrize(
    ("heading", "tables"),
    [("microbleeds.tsv", [schema.MICROBLEEDS, schema.SIMULATED_MICROBLEEDS]), ("folds.tsv", [schema.FOLDS])],
)
def test_the_page_has_the_columns_of_the_study_s_tables(heading, tables):
    shown = columns_in(section(heading))
    assert shown == {column for table in tables for column in table.columns}


@pytest.mark.parametrize(
    ("file", "table", "besides"),
    [
        ("detections.tsv", schema.DETECTIONS, {}),
        ("candidates.tsv", schema.CANDIDATES, {}),
        ("patches/patches.tsv", schema.PATCHES, {}),
        ("findings.tsv", schema.FINDINGS, schema.CANDIDATES.columns),
        ("yolo_history.tsv", schema.YOLO_HISTORY, {}),
        ("yolo_watch.tsv", schema.YOLO_WATCH, {}),
        ("cnn_history.tsv", schema.CNN_HISTORY, {}),
    ],
)
def test_the_page_has_the_columns_of_a_cell_s_tables(file, table, besides):
    (row,) = re.findall(rf"^\| `{re.escape(file)}` \| (.*) \|$", section("The tables of a cell"), re.MULTILINE)
    assert columns_in(row) == set(table.columns) - set(besides)


def test_what_makes_tables_has_their_columns():
    assert list(Row._fields) == schema.YOLO_HISTORY.names
    assert [name for name in schema.YOLO_WATCH.names if name.startswith("found_")] == [f"found_{n}" for n in BUDGETS]
    nature = schema.EVALUATION["candidates.tsv"].columns["nature"]
    assert f"within {NEAR_MM:g} mm, else edge (rim of the brain mask within {RIM_MM:g} mm)" in nature


@pytest.mark.parametrize("name", TABLES)
def test_a_table_needs_columns_that_it_has(name):
    assert set(TABLES[name].needed) <= set(TABLES[name].columns)


def test_units_stand_in_descriptions_and_words_beside_numbers():
    assert schema.MICROBLEEDS.described()["x_mm"] == "World position of the voxel's centre [mm]"
    assert schema.MICROBLEEDS.described()["y_mm"] == "[mm]"
    assert unit_of("left") == "px"
    assert [column for column in sorted(KNOWN) if is_text(column) and isinstance(kind_of(column), schema.Range)] == []
