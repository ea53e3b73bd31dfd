"""README's lines for one's own scans, as a newcomer types them: from files, a table and marks in Excel to the page of a
patient whom nobody knew. Trained for so short that nothing is learned, and then as if something had been."""

import importlib.util
import json
import shlex
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from as_learned import as_learned

from cmb_toolkit.darknet.recipe import DetectorTraining
from cmb_toolkit.study.layout import Study

SHORT = "--preset small --quick --folds 2 --max-batches 1 --epochs 1"


@pytest.fixture
def newcomer():
    """The benchmark that does the same with scans and trainings large enough to learn from."""
    path = Path(__file__).parents[1] / "benchmarks" / "new_patient.py"
    spec = importlib.util.spec_from_file_location("new_patient", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_from_readme_alone_to_a_new_patients_report(newcomer, typed, tmp_path, monkeypatch, without_pictures):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cmb_toolkit.workflow.train.DetectorTraining", partial(DetectorTraining, watch=0))
    monkeypatch.setattr(newcomer, "cmbtk", typed)
    newcomer.what_a_group_has(tmp_path, 4, 41, "tiny")
    newcomer.new_patient(tmp_path, 1041, "tiny")
    commands = [shlex.split(line, comments=True)[1:] for line in newcomer.lines(SHORT).splitlines()]
    assert [words[0] for words in commands] == ["import", "check", "preprocess", "train", "detect"]
    *before, train, detect = commands
    said = [typed(*words) for words in before]
    assert "marks.xlsx" in said[0]
    assert "6 scans: no errors" in said[1]

    assert "no model to keep" in typed(*train, code=5)
    study = Study(Path("study"))
    fold = pd.read_csv(study.folds, sep="\t", dtype=str).query("fold == '1'").set_index("participant_id")["role"]
    persons = fold.groupby([name.split("_")[0] for name in fold.index])
    assert len(fold) == 6
    assert len(persons) == 4
    assert (persons.nunique() == 1).all(), "both scans of a person are in one set"
    (cell,) = study.cells()
    as_learned(study, cell)
    assert f"Next: cmbtk detect {train[train.index('-o') + 1]}" in typed(*train)

    said = typed(*detect)
    result = Path("result")
    assert said.splitlines()[-1] == f"Report      {result}/report.html"
    summary = json.loads((result / "summary.json").read_text())
    assert summary["range"] == "green"
    assert summary["findings"] == len(pd.read_csv(result / "lesions.tsv", sep="\t"))
    page = (result / "report.html").read_text("utf-8")
    assert "Cerebral microbleeds" in page
