import io
from dataclasses import replace

import pandas as pd
import pytest

from cmb_toolkit.evaluation.cpm import Cpm
from cmb_toolkit.evaluation.results import StageResult
from cmb_toolkit.model import Counts
from cmb_toolkit.paper.further_tables import further_tables
from cmb_toolkit.paper.tables import paper_tables


def line(role, stage, by, stratum, microbleeds=None, found=None, false_positives=None):
    return {
        "rule": "paper",
        "role": role,
        "stage": stage,
        "by": by,
        "stratum": stratum,
        "microbleeds": microbleeds,
        "found": found,
        "false_positives": false_positives,
    }


STRATA = [
    line("test", "stage1", "diameter_mm", ">=5", 4, 4),
    line("test", "stage1", "diameter_mm", "<2", 10, 5),
    line("test", "stage1", "diameter_mm", "2-3", 2, 1),
    line("test", "overall", "diameter_mm", ">=5", 4, 3),
    line("test", "overall", "diameter_mm", "<2", 10, 1),
    line("test", "overall", "diameter_mm", "2-3", 2, 0),
    line("test", "stage1", "nature", "vein", None, None, 30),
    line("test", "stage1", "nature", "edge", None, None, 10),
    line("test", "overall", "nature", "vein", None, None, 4),
    line("control", "stage1", "nature", "calcification", None, None, 6),
    line("validation", "stage1", "diameter_mm", "<2", 99, 99),  # never shown
]


@pytest.fixture
def study(papers_study, one_cell):
    def make(fold, average):
        stages = []
        for role, scans in (("test", 10), ("control", 3)):
            for stage, fp in (("stage1", 40), ("overall", 4)):
                averaged = Cpm(average, 0.1, 0.9, (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, average)) if role == "test" else None
                stages.append(StageResult("paper", role, stage, Counts(5, fp, 5, 0, scans), 0, {}, averaged))
        result = one_cell("HR", "swi+cphase-averaged", fold, *stages)
        object.__setattr__(result, "strata", tuple(STRATA))
        return result

    return papers_study(cells=(make("1", 0.6), make("2", 0.8)))


def frames(tables):
    return {
        table.name: pd.read_csv(io.StringIO(table.tsv()), sep="\t", dtype=str, keep_default_na=False)
        for table in tables
    }


def test_average_sensitivity_is_the_mean_of_the_folds(study):
    table = frames(further_tables(study))["average-sensitivity"]
    assert table["Data"].tolist() == ["HR, stage 1, 2 folds", "HR, both stages, 2 folds"]
    at = [name for name in table if name.startswith("Sensitivity")]
    assert table.loc[0, at].tolist() == ["0.0", "10.0", "20.0", "30.0", "40.0", "50.0", "70.0"]
    assert table.loc[0, "Average (%): Mean of folds"] == "70.0"
    assert table.loc[0, "Average (%): Lowest to highest fold"] == "60.0\N{EN DASH}80.0"


def test_strata_are_summed_over_folds_and_stand_in_order(study):
    table = frames(further_tables(study))["strata"]
    assert table["Microbleeds"].tolist() == ["Diameter (mm) <2", "Diameter (mm) 2-3", "Diameter (mm) >=5"]
    assert table["HR: Number"].tolist() == ["20", "4", "8"]
    assert table["HR: Found by stage 1 (%)"].tolist() == ["50.0", "50.0", "100.0"]
    assert table["HR: Kept by stage 2 (%)"].tolist() == ["10.0", "0.0", "75.0"]


def test_false_positives_by_kind_are_a_scan_and_controls_apart(study):
    table = frames(further_tables(study))["false-positives"].set_index("What lies there")
    assert table.index.tolist() == ["calcification", "vein", "edge", "all"]
    assert table.loc["vein", "HR, patients: stage 1"] == "3.00"
    assert table.loc["vein", "HR, patients: both stages"] == "0.40"
    assert table.loc["calcification", "HR, controls: stage 1"] == "2.00"
    assert table.loc["all", "HR, patients: stage 1"] == "4.00"
    assert table.loc["all", "HR, controls: both stages"] == f"{4 / 3:.2f}"


def test_trainings_with_other_seeds_are_pooled_over_the_folds_that_all_have(study, papers_study, one_cell):
    def trained(fold, repeat, tp):
        result = one_cell(
            "HR", "frst", fold, StageResult("paper", "test", "stage1", Counts(tp, 20, 10 - tp, 0, 10), 0, {})
        )
        return replace(result, repeat=repeat)

    cells = (trained("1", 1, 4), trained("2", 1, 6), trained("1", 2, 8), trained("2", 2, 9), trained("3", 2, 1))
    table = frames(further_tables(papers_study(cells=(*study.cells, *cells))))["repeats"]
    assert table["Data"].tolist() == ["HR, frst, stage 1, 2 folds"]
    assert table["Trainings"].tolist() == ["2"]
    assert table.loc[0, "Sensitivity (%)"] == "67.5 (50.0\N{EN DASH}85.0)"
    assert table.loc[0, "FPavg"] == "2.00 (2.00\N{EN DASH}2.00)"


def test_only_the_first_training_stands_in_the_papers_tables(papers_study):
    again = [replace(cell, repeat=2, stages=()) for cell in papers_study().cells]
    more = papers_study(cells=(*papers_study().cells, *again))
    assert [table.tsv() for table in paper_tables(more)] == [table.tsv() for table in paper_tables(papers_study())]


def test_without_such_results_there_are_no_such_tables(papers_study):
    assert further_tables(papers_study()) == ()
