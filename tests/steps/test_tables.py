import json

import pytest
from click.testing import CliRunner

from cmb_toolkit.cli.main import cli
from cmb_toolkit.errors import DataError, MissingError
from cmb_toolkit.evaluation.recipe import Evaluating
from cmb_toolkit.evaluation.rules import RULES
from cmb_toolkit.io.tables import read_tsv
from cmb_toolkit.steps.evaluate import evaluate
from cmb_toolkit.steps.tables import read_page, tables

pytestmark = pytest.mark.usefixtures("without_pictures")


@pytest.fixture
def cells(evaluated_study):
    return [evaluated_study.cell("slab", "swi+cphase-averaged", fold) for fold in "12"]


def test_files_of_all_rules(evaluated_study):
    folder = tables(evaluated_study.root)
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [f"{stage}_{rule}.tsv" for stage in ("stage1", "stage2", "overall") for rule in RULES]
        + [f"results_{rule}.md" for rule in RULES]
        + ["paper_audit.md"]
    )
    stage1 = read_tsv(folder / "stage1_centre.tsv").set_index("fold")
    assert stage1.index.tolist() == ["1", "2", "all"]
    assert stage1["tp"].tolist() == [3, 2, 5]
    assert stage1["rule"].unique().tolist() == ["centre"]
    assert read_tsv(folder / "stage1_paper.tsv")["tp"].tolist() == [2, 2, 4]
    assert "158.91" in (folder / "paper_audit.md").read_text()


def test_running_again_does_nothing(evaluated_study):
    note = tables(evaluated_study.root).with_suffix(".json")
    before = note.stat().st_mtime_ns
    tables(evaluated_study.root)
    assert note.stat().st_mtime_ns == before


def test_the_command_prints_and_writes(evaluated_study):
    result = CliRunner().invoke(cli, ["tables", str(evaluated_study.root)])
    assert result.exit_code == 0, result.output
    assert "Both stages together (centre rule: within 3 mm; per lesion" in result.output
    assert "paper HR, other data" in result.output
    assert "simulated scans" in result.output
    assert "IoU" not in result.output
    paper = CliRunner().invoke(cli, ["tables", str(evaluated_study.root), "--rule", "paper"])
    assert "Both stages together (paper rule: IoU > 0.8 on the labelled slice; per lesion" in paper.output
    assert "centre rule" not in paper.output


def test_the_audit_needs_no_study():
    result = CliRunner().invoke(cli, ["tables", "--audit"])
    assert result.exit_code == 0, result.output
    assert "158.91" in result.output
    assert CliRunner().invoke(cli, ["tables"]).exit_code == 2


def test_a_cell_that_waits_is_named(two_fold_study, without_pictures):
    cells = [two_fold_study.cell("slab", "swi+cphase-averaged", fold) for fold in "12"]
    evaluate(cells[0].folder, Evaluating(most_false=0))
    page = read_page(two_fold_study.root, "centre")
    assert page.notes[-1] == f"Not evaluated yet: {cells[1].name}."
    evaluate(cells[1].folder, Evaluating(most_false=0))
    assert "Not evaluated" not in read_page(two_fold_study.root, "centre").markdown()


def test_the_rule_that_is_shown_is_that_of_the_evaluations(evaluated_study, cells, evaluated_by):
    assert read_page(evaluated_study.root).title.startswith("Results, centre rule")
    evaluated_by("overlap", *cells)
    said = CliRunner().invoke(cli, ["tables", str(evaluated_study.root)]).stdout
    assert said.startswith("Results, overlap rule: ")
    evaluated_by("centre", cells[0])
    assert read_page(evaluated_study.root).title.startswith("Results, centre rule")  # of two the usual one
    assert read_page(evaluated_study.root, "paper").title.startswith("Results, paper rule")


def test_a_study_without_results(two_fold_study, tmp_path):
    with pytest.raises(MissingError, match="2 cells, none of them evaluated"):
        tables(two_fold_study.root)
    with pytest.raises(MissingError, match="not a study folder"):
        tables(tmp_path)


def test_different_distances_do_not_meet(evaluated_study, cells):
    evaluate(cells[1].folder, Evaluating(distance_mm=5, most_false=0))
    with pytest.raises(DataError, match="under different rules"):
        tables(evaluated_study.root)


def test_a_damaged_result_is_named(evaluated_study, cells):
    content = json.loads(cells[0].metrics.read_text())
    cells[0].metrics.write_text(json.dumps({**content, "stages": "lost"}))
    with pytest.raises(DataError, match=r"metrics\.json: not the content of a metrics\.json .* Run `cmbtk evaluate`"):
        tables(evaluated_study.root)
    cells[0].metrics.write_text("{")
    with pytest.raises(DataError, match="fold-1/evaluation/metrics"):
        tables(evaluated_study.root)
