import json
import math

import numpy as np
import pandas as pd
import pytest

from cmb_toolkit.errors import DataError
from cmb_toolkit.evaluation.results import CellResult, Threshold, evaluate
from cmb_toolkit.evaluation.rules import rule_named
from cmb_toolkit.model import Counts

RULES = (rule_named("paper"), rule_named("centre"))
SUBJECTS = {"test": ["a", "b", "c"], "control": ["h"]}


def place(frame):
    frame = frame.astype({"participant_id": str})
    frame["left"], frame["right"] = frame["x_mm"] - 10, frame["x_mm"] + 10
    frame["top"], frame["bottom"] = -10, 10
    return frame.assign(y_mm=0.0, z_mm=2.0 * frame["k"])


def candidates(*rows):
    frame = pd.DataFrame(rows, columns=["participant_id", "x_mm", "k", "confidence", "probability", "kept"])
    return place(frame).assign(candidate_id=[f"cand-{n}" for n in range(len(rows))])


def truth(*rows):
    return place(pd.DataFrame(rows, columns=["participant_id", "x_mm", "k"]))


FOUND = candidates(
    ("a", 0.0, 1, 0.9, 0.9, True),  # hit
    ("a", 0.0, 2, 0.8, 0.8, True),  # the same one slice higher
    ("a", 50.5, 1, 0.7, 0.2, False),  # hit of stage 1, lost by stage 2
    ("b", 99.0, 1, 0.6, 0.7, True),  # false, kept
    ("b", 70.0, 1, 0.5, 0.1, False),  # false, thrown out
    ("h", 10.0, 1, 0.4, 0.6, True),
    ("h", 20.0, 1, 0.3, 0.1, False),
    ("stranger", 0.0, 1, 0.9, 0.9, True),
)
TRUTH = truth(("a", 0.0, 1), ("a", 50.0, 1), ("c", 5.0, 1), ("stranger", 0.0, 1))


def result(evaluation, rule, role, stage):
    (found,) = [s for s in evaluation.stages if (s.rule, s.role, s.stage) == (rule, role, stage)]
    return found


def test_both_stages_by_hand():
    evaluation = evaluate(FOUND, TRUTH, SUBJECTS, RULES)
    centre = {stage: result(evaluation, "centre", "test", stage) for stage in ("stage1", "stage2", "overall")}
    assert centre["stage1"].counts == Counts(tp=2, fp=2, fn=1, subjects=3)
    assert centre["stage2"].counts == Counts(tp=1, fp=1, fn=1, tn=1, subjects=3)
    assert centre["overall"].counts == Counts(tp=1, fp=1, fn=2, subjects=3)
    assert centre["stage1"].duplicates == centre["overall"].duplicates == 1
    paper = {stage: result(evaluation, "paper", "test", stage) for stage in centre}
    assert paper["stage1"].counts == Counts(tp=2, fp=3, fn=1, subjects=3)
    assert paper["overall"].counts == Counts(tp=1, fp=2, fn=2, subjects=3)
    assert paper["stage1"].duplicates == 0
    control = result(evaluation, "centre", "control", "stage2").counts
    assert control == Counts(fp=1, tn=1, subjects=1)
    assert control.specificity == 0.5
    assert math.isnan(control.sensitivity)


def test_the_overall_sensitivity_is_the_product_of_the_stages():
    evaluation = evaluate(FOUND, TRUTH, SUBJECTS, RULES)
    for rule in ("paper", "centre"):
        stage1, stage2, overall = (result(evaluation, rule, "test", s).counts for s in ("stage1", "stage2", "overall"))
        assert stage1.sensitivity * stage2.sensitivity == pytest.approx(overall.sensitivity)
        assert stage2.tp + stage2.fn == stage1.tp
        assert stage2.fp + stage2.tn == stage1.fp


def test_tables_name_every_candidate_and_microbleed():
    evaluation = evaluate(FOUND, TRUTH, SUBJECTS, RULES)
    lines = evaluation.candidates.set_index("candidate_id")
    assert "cand-7" not in lines.index
    assert lines["centre_stage1"].tolist() == ["tp", "duplicate", "tp", "fp", "fp", "fp", "fp"]
    assert lines["paper_stage1"].tolist() == ["tp", "fp", "tp", "fp", "fp", "fp", "fp"]
    assert lines["centre_overall"].fillna("").tolist() == ["tp", "duplicate", "", "fp", "", "fp", ""]
    assert evaluation.microbleeds["centre_stage1"].fillna("").tolist() == ["cand-0", "cand-2", ""]
    assert evaluation.microbleeds["centre_overall"].fillna("").tolist() == ["cand-0", "", ""]
    curve = evaluation.froc[(evaluation.froc["rule"] == "centre") & (evaluation.froc["stage"] == "overall")]
    at = curve[curve["threshold"] == 0.7].iloc[0]
    assert (at["tp"], at["fp"], at["duplicates"]) == (1, 1, 1)
    assert set(evaluation.froc["role"]) == {"test"}  # controls have no sensitivity


def test_a_microbleed_that_stage_2_moves_to_another_candidate_is_not_lost():
    # the nearest candidate is thrown out, one on the next slice is kept: the lesion is still found
    moved = candidates(("a", 0.0, 1, 0.9, 0.1, False), ("a", 0.0, 2, 0.8, 0.8, True))
    evaluation = evaluate(moved, truth(("a", 0.0, 1)), {"test": ["a"]}, RULES[1:])
    assert result(evaluation, "centre", "test", "stage2").counts == Counts(tp=1, subjects=1)
    assert evaluation.microbleeds["centre_overall"].tolist() == ["cand-1"]


def test_stage_1_alone():
    evaluation = evaluate(FOUND.drop(columns=["probability", "kept"]), TRUTH, SUBJECTS, RULES)
    assert {each.stage for each in evaluation.stages} == {"stage1"}
    assert set(evaluation.froc["stage"]) == {"stage1"}
    assert "centre_overall" not in evaluation.microbleeds


def test_nothing_was_found_and_nothing_was_there():
    evaluation = evaluate(candidates(), truth(), SUBJECTS, RULES)
    counts = result(evaluation, "centre", "test", "overall").counts
    assert counts == Counts(subjects=3)
    assert math.isnan(counts.sensitivity)
    assert len(evaluation.froc) == 0
    assert list(evaluation.froc.columns[:3]) == ["rule", "role", "stage"]


def test_a_candidate_that_stands_twice_is_refused():
    with pytest.raises(DataError, match="cand-0 stands more than once"):
        evaluate(pd.concat([FOUND, FOUND]), TRUTH, SUBJECTS, RULES)


def cell_result():
    evaluation = evaluate(FOUND, TRUTH, SUBJECTS, RULES)
    labels = {rule.name: rule.label for rule in RULES}
    thresholds = {"stage1": Threshold(0.05, "given")}
    return CellResult("HR_swi_fold-1", "HR", "swi", "1", True, labels, thresholds, evaluation.stages)


def test_json_and_back():
    cell = cell_result()
    text = json.dumps(cell.as_json(), allow_nan=False)
    again = CellResult.from_json(json.loads(text))
    assert again.as_json() == cell.as_json()
    assert again.find("centre", "test", "stage2").counts == cell.find("centre", "test", "stage2").counts
    assert np.isnan(again.find("centre", "control", "stage1").intervals["sensitivity"]).all()
    assert again.find("centre", "train", "stage1") is None
    assert again.thresholds["stage1"] == Threshold(0.05, "given")


@pytest.mark.parametrize("broken", [{}, {"stages": [{}]}, {"stages": 3}, {"stages": [], "thresholds": {"stage1": {}}}])
def test_content_that_is_no_result_is_refused(broken):
    with pytest.raises(DataError, match=r"not the content of a metrics\.json"):
        CellResult.from_json(broken)
