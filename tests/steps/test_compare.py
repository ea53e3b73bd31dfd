import shutil

import pytest
from click.testing import CliRunner

from cmb_toolkit.cli.main import cli
from cmb_toolkit.errors import DataError, MissingError
from cmb_toolkit.evaluation.recipe import Evaluating
from cmb_toolkit.io.tables import read_tsv, write_tsv
from cmb_toolkit.steps.compare import compare_cells
from cmb_toolkit.steps.evaluate import evaluate

pytestmark = pytest.mark.usefixtures("without_pictures")

INPUT = "swi+cphase-averaged"


@pytest.fixture
def cells(evaluated_study):
    return [evaluated_study.cell("slab", INPUT, fold) for fold in "12"]


@pytest.fixture
def other(cells):
    """The same cells under another name, with more false positives in fold 2."""
    for cell in cells:
        shutil.copytree(cell.folder, cell.folder.parent / cell.name.replace(INPUT, "other"))
    table = cells[1].folder.parent / "slab_other_fold-2" / "evaluation" / "subjects.tsv"
    rows = read_tsv(table)
    rows.loc[(rows["stage"] == "stage1") & (rows["participant_id"] == "sub-003"), "fp"] += 6
    write_tsv(rows, table)
    return table.parents[2]


def test_one_cell_against_another(cells):
    found = compare_cells(cells[0].folder, cells[0].folder)
    assert (found.folds, found.subjects, found.microbleeds) == (("1",), 3, 4)
    assert found.label.startswith("centre rule")
    for table in found.stages.values():
        assert (table["difference"] == 0).all()
    stage1 = found.stages["stage1"].set_index("rate")
    assert stage1.at["sensitivity", "first"] == pytest.approx(3 / 4)


def test_all_folds_together(other, cells):
    found = compare_cells(cells[0].folder.parent / f"slab_{INPUT}", other / "slab_other")
    assert found.folds == ("1", "2")
    stage1 = found.stages["stage1"].set_index("rate")
    assert stage1.at["fp_per_subject", "difference"] == pytest.approx(6 / 3)
    assert stage1.at["sensitivity", "difference"] == 0
    result = CliRunner().invoke(
        cli, ["compare", str(cells[0].folder.parent / f"slab_{INPUT}"), str(other / "slab_other")]
    )
    assert result.exit_code == 0, result.output
    assert f"slab_other against slab_{INPUT}" in result.output
    assert "+2.00" in result.output
    assert "folds 1, 2" in result.output


def test_what_cannot_be_compared(cells, tmp_path):
    folder = cells[0].folder
    with pytest.raises(DataError, match="no fold in common"):
        compare_cells(folder, cells[1].folder)
    with pytest.raises(MissingError, match="not a cell, and no cell's name begins so"):
        compare_cells(folder, tmp_path / "nothing")
    evaluate(cells[1].folder, Evaluating(most_false=0, distance_mm=5))
    shutil.copytree(cells[1].folder, folder.parent / "slab_wider_fold-1")
    with pytest.raises(DataError, match="different rules"):
        compare_cells(folder, folder.parent / "slab_wider_fold-1")
    (folder / "evaluation" / "metrics.json").unlink()
    with pytest.raises(MissingError, match="not evaluated"):
        compare_cells(folder, folder)
