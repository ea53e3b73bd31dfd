"""Counting findings that are no cell's: of a model on new scans, or of another detector."""

import json

import pandas as pd
import pytest
from click.testing import CliRunner

from cmb_toolkit.cli.main import cli
from cmb_toolkit.errors import DataError, MissingError
from cmb_toolkit.evaluation.recipe import Evaluating
from cmb_toolkit.steps.evaluate_findings import evaluate_findings


@pytest.fixture
def tables(tmp_path):
    """Two microbleeds, one found; a false positive; somebody without either."""
    (tmp_path / "truth.tsv").write_text("participant_id\tx_mm\ty_mm\tz_mm\nsub-01\t10\t20\t5\nsub-02\t0\t0\t0\n")
    (tmp_path / "found.csv").write_text(
        "participant_id,x_mm,y_mm,z_mm,confidence\nsub-01,11,20,5,0.9\nsub-01,60,20,5,0.4\nsub-03,1,1,1,0.2\n"
    )
    return tmp_path


def counts(counted):
    return {
        each.stage: (each.counts.tp, each.counts.fp, each.counts.fn, each.counts.subjects)
        for each in counted.evaluation.stages
    }


def test_a_table_of_candidates_and_one_of_marks_are_enough(tables):
    counted = evaluate_findings(tables / "found.csv", tables / "truth.tsv")
    assert counts(counted) == {"stage1": (1, 2, 1, 3)}
    assert counted.folder == tables / "found_evaluation"
    assert any("not known" in note for note in counted.notes)
    assert any("sub-02" in note for note in counted.notes)
    said = json.loads((counted.folder / "metrics.json").read_text())
    assert said["stages"][0]["counts"]["tp"] == 1
    assert {path.name for path in counted.folder.iterdir()} >= {"froc.tsv", "froc.png", "subjects.tsv"}
    near = evaluate_findings(tables / "found.csv", tables / "truth.tsv", Evaluating(distance_mm=0.5), tables / "near")
    assert counts(near)["stage1"] == (0, 3, 2, 3)


def results(folder, learned):
    """A folder as `cmbtk detect` writes it, of four scans."""
    folder.mkdir()
    names = ["sub-01", "sub-02", "sub-03", "sub-04"]
    cohort = pd.DataFrame(
        {"participant_id": names, "range": ["green", "green", "amber", None], "learned_from": learned}
    )
    cohort.to_csv(folder / "cohort.tsv", sep="\t", index=False, na_rep="n/a")
    (folder / "findings.tsv").write_text(
        "candidate_id\tparticipant_id\tx_mm\ty_mm\tz_mm\tconfidence\tprobability\tkept\n"
        "a\tsub-01\t11\t20\t5\t0.9\t0.8\tTrue\nb\tsub-01\t60\t20\t5\t0.9\t0.1\tFalse\nc\tsub-03\t1\t1\t1\t0.5\t0.6\tTrue\n"
    )
    return folder


def test_findings_of_a_model_are_counted_with_everybody_it_looked_at(tables):
    folder = results(tables / "results", [False, False, False, None])
    run = CliRunner().invoke(cli, ["evaluate", str(folder), "--truth", str(tables / "truth.tsv")])
    assert run.exit_code == 0, run.output
    assert "those kept: 1 of 2 microbleeds (50.0 %" in run.output
    assert "1 false positives in 3 subjects (0.33 each)" in run.output, "who was not looked at is not counted"


def test_scans_that_the_model_learned_from_are_not_counted(tables):
    folder = results(tables / "results", [False, True, False, None])
    with pytest.raises(DataError, match="learned from the scans of sub-02"):
        evaluate_findings(folder, tables / "truth.tsv")


def test_what_is_neither_is_said(tables):
    (tables / "empty").mkdir()
    with pytest.raises(MissingError, match=r"holds no findings\.tsv"):
        evaluate_findings(tables / "empty", tables / "truth.tsv")
    (tables / "bare.tsv").write_text("participant_id\tx_mm\ty_mm\tz_mm\nsub-01\t1\t1\t1\n")
    with pytest.raises(DataError, match="neither a column confidence nor probability"):
        evaluate_findings(tables / "bare.tsv", tables / "truth.tsv")
    with pytest.raises(DataError, match="left"):
        evaluate_findings(tables / "found.csv", tables / "truth.tsv", Evaluating(rule="overlap"))
