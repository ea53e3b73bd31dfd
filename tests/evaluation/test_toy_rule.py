"""A new hit rule is one file (tests/toys/toy_rule.py) and one line of the registry."""

from importlib import import_module

import pytest

from cmb_toolkit.evaluation.rules import RULES
from cmb_toolkit.io.tables import read_tsv


@pytest.fixture
def run(registered):
    return registered(RULES, "same-slice", ("toy_rule:SameSlice", "the candidate lies on the microbleed's slice"))


def test_its_name_is_enough_for_evaluate_tables_figures_and_report(run, two_fold_study):
    assert "same-slice: the candidate lies on" in " ".join(run("evaluate", "--help").split())
    for fold in "12":
        cell = two_fold_study.cell("slab", "swi+cphase-averaged", fold)
        said = run("evaluate", cell.folder, "--rule", "same-slice", "--false-pictures", 0)
    assert "same-slice rule: on its slice" in said
    subjects = read_tsv(cell.evaluation / "subjects.tsv")
    assert subjects[subjects["rule"] == "same-slice"]["tp"].sum() > 0
    page = run("tables", two_fold_study.root, "--rule", "same-slice")
    assert "Results, same-slice rule: on its slice" in page
    assert "dupl." in page, "further candidates of a lesion are counted apart"
    assert (two_fold_study.root / "tables" / "stage1_same-slice.tsv").is_file()
    settings = two_fold_study.root / "own.toml"
    settings.write_text('base = "demo"\n[evaluate]\nrule = "same-slice"\n[stage2-crop]\nrule = "same-slice"\n')
    run("experiment", "report", two_fold_study.root, "--settings", settings)
    assert "same-slice rule" in (two_fold_study.root / "report" / "index.html").read_text()


@pytest.mark.parametrize("name", RULES)
def test_every_rule_can_be_set_for_the_experiment(name, tmp_path):
    settings = import_module("cmb_toolkit.paper.settings")
    own = tmp_path / "own.toml"
    own.write_text(f'base = "demo"\n[evaluate]\nrule = "{name}"\n[stage2-crop]\nrule = "{name}"\n')
    assert settings.load_settings(own).step("evaluate")["rule"] == name
