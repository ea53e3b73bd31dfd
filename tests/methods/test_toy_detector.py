"""A new detector that learns nothing is one file (tests/toys/toy_detector.py) and one line of the registry."""

from importlib import import_module

import pytest

from cmb_toolkit.detectors import DETECTORS, Detector
from cmb_toolkit.errors import MissingError
from cmb_toolkit.io.tables import read_tsv
from cmb_toolkit.steps.stage2_crop import stage2_crop
from cmb_toolkit.study.cell import read_setup


@pytest.fixture
def run(registered):
    line = Detector(("darkest",), "Find candidates without a detector: what is dark.", "toy_detector:Darkest")
    return registered(DETECTORS, "darkest", line)


def test_its_line_is_enough_for_a_command_evaluate_tables_and_report(run, study):
    assert "darkest" in run("--help")
    assert "what is dark" in run("darkest", "--help")
    said = run("darkest", study.root, "--fold", 1, "--size", 64, "--jobs", 1, "--threshold", 200)
    cell = study.cell("HR", "darkest", "1")
    assert f"cmbtk stage2-crop {cell.folder}" in said
    assert read_setup(cell).method == "darkest"
    assert len(read_tsv(cell.candidates)) == 6, "two in each of three scans"
    assert "2 of 2 microbleeds" in run("evaluate", cell.folder, "--false-pictures", 0)
    assert "darkest" in run("tables", study.root)
    run("experiment", "report", study.root)
    assert "darkest" in (study.root / "report" / "index.html").read_text()
    cell.candidates.unlink()
    with pytest.raises(MissingError, match="Run `cmbtk darkest` on this cell first"):
        stage2_crop(cell.folder)


def test_the_experiment_plans_it(run, study):
    settings = study.root / "own.toml"
    settings.write_text(
        'base = "paper"\n[experiment]\ntables = [9]\nrivals = ["darkest"]\n[darkest]\nmost-false = 50\n'
    )
    jobs = import_module("cmb_toolkit.workflow.experiment").read_experiment(study.root, str(settings)).jobs
    (found,) = [job for job in jobs if job.step == "darkest" and job.cell == "HR_darkest_fold-1"]
    assert " ".join(found.options) == "--fold 1 --resolution HR --most-false 50"
    assert found.outputs == ("cells/HR_darkest_fold-1/candidates.tsv",)
    assert "frst" not in {job.step for job in jobs}
    assert "darkest" in run("experiment", "plan", study.root, "--settings", settings)
