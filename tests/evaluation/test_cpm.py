import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmb_toolkit.evaluation.cpm import RATES, cpm
from cmb_toolkit.evaluation.intervals import wilson
from cmb_toolkit.evaluation.matching import match
from cmb_toolkit.evaluation.metrics import counts
from cmb_toolkit.evaluation.rules import RULES, rule_named

SUBJECTS = ["a", "b", "c"]


def table(listed, scores=None):
    frame = pd.DataFrame(listed, columns=["participant_id", "x_mm", "k"]).astype({"participant_id": str, "x_mm": float})
    frame = frame.assign(y_mm=0.0, z_mm=frame["k"] * 2.0, left=frame["x_mm"] - 10, right=frame["x_mm"] + 10)
    frame = frame.assign(top=-10.0, bottom=10.0)
    return frame if scores is None else frame.assign(confidence=np.array(scores, float))


def slow_cpm(candidates, truth, rule, subjects):
    """By trying every threshold, with all candidates counted anew at each."""
    results = []
    for threshold in {math.inf, *candidates["confidence"]}:
        matching = match(candidates[candidates["confidence"] >= threshold], truth, rule)
        results.append((counts(matching, subjects).fp / len(subjects), matching.found.sum() / len(truth)))
    return [max(hits for false, hits in results if false <= rate) for rate in RATES]


def test_by_hand():
    truth = table([("a", 0, 0), ("b", 0, 0)])
    candidates = table(
        [("a", 0, 0), ("a", 50, 0), ("c", 50, 0), ("b", 0, 0), ("b", 50, 0), ("b", 60, 0)],
        [0.9, 0.8, 0.7, 0.6, 0.5, 0.5],
    )
    found = cpm(candidates, truth, rule_named("centre"), ["a", "b", "c", "d"])
    # 0.5 up to less than 2 / 4 false positives a subject, then all; the curve ends at 1
    assert found.sensitivity == (0.5, 0.5, 1, 1, 1, 1, 1)
    assert found.value == pytest.approx(6 / 7)
    assert found.low <= found.value <= found.high


def test_the_point_with_all_detections_counts():
    truth, candidates = table([("a", 0, 0)]), table([("a", 0, 0)], [0.5])
    assert cpm(candidates, truth, rule_named("centre"), ["a"]).value == 1.0  # one threshold only, and it is the lowest


def test_equal_scores_come_in_together():
    truth = table([("a", 0, 0)])
    candidates = table([("a", 0, 0), ("a", 50, 0), ("a", 70, 0)], [0.5, 0.5, 0.5])
    assert cpm(candidates, truth, rule_named("centre"), ["a"]).sensitivity == (0, 0, 0, 0, 1, 1, 1)
    assert cpm(candidates.iloc[::-1], truth, rule_named("centre"), ["a"]).sensitivity == (0, 0, 0, 0, 1, 1, 1)


def test_without_microbleeds_or_candidates():
    nothing = cpm(table([("a", 0, 0)], [0.5]), table([]), rule_named("centre"), ["a"])
    assert np.isnan([nothing.value, nothing.low, nothing.high, *nothing.sensitivity]).all()
    missed = cpm(table([], []), table([("a", 0, 0)]), rule_named("centre"), ["a", "b"])
    assert (missed.value, missed.low) == (0, 0)
    assert missed.high == wilson(0.0, 1)[1] > 0.7, "one person's microbleeds missed say little about others'"


spots = st.tuples(st.sampled_from("ab"), st.integers(0, 9), st.integers(0, 2))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(spots, st.sampled_from([0.1, 0.2, 0.5, 0.9])), max_size=9),
    st.lists(spots, min_size=1, max_size=4),
    st.sampled_from(list(RULES)),
)
def test_against_a_slow_reference(found, marked, name):
    candidates, truth = table([spot for spot, _ in found], [score for _, score in found]), table(marked)
    result = cpm(candidates, truth, rule_named(name), SUBJECTS, samples=50)
    slow = slow_cpm(candidates, truth, rule_named(name), SUBJECTS)
    assert result.sensitivity == pytest.approx(slow)
    assert result.value == pytest.approx(np.mean(slow))
    assert result == cpm(candidates, truth, rule_named(name), SUBJECTS, samples=50)


def test_the_interval_is_that_of_resampled_subjects():
    rng = np.random.default_rng(1)
    names = list("abcdefgh")
    truth = table([(name, 20 * n, 0) for name in names for n in range(int(rng.integers(0, 4)))])
    at = [(str(rng.choice(names)), float(20 * rng.integers(0, 6)), 0) for _ in range(60)]
    candidates, rule = table(at, np.round(rng.random(60), 1)), rule_named("centre")
    draws = np.random.default_rng(7).integers(len(names), size=(10, len(names)))
    values = []
    for draw in draws:
        # every drawn subject becomes a person of its own
        parts = [
            [frame[frame["participant_id"] == names[m]].assign(participant_id=f"s{n}") for n, m in enumerate(draw)]
            for frame in (candidates, truth)
        ]
        found, marks = (pd.concat(part, ignore_index=True) for part in parts)
        values.append(np.mean(slow_cpm(found, marks, rule, [f"s{n}" for n in range(len(names))])))
    result = cpm(candidates, truth, rule, names, samples=10, seed=7)
    assert (result.low, result.high) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])))


def test_scans_of_one_person_are_drawn_together():
    marks = table([(subject, 0, 0) for subject in "abcdef"])
    found = table([(subject, 0, 0) for subject in "abc"], [0.9, 0.8, 0.7])
    apart = cpm(found, marks, rule_named("centre"), list("abcdef"))
    two = cpm(
        found,
        marks,
        rule_named("centre"),
        list("abcdef"),
        persons=dict.fromkeys("abc", "x") | dict.fromkeys("def", "y"),
    )
    assert two.value == apart.value
    assert (two.low, two.high) == (0, 1), "one person of two was found"
    assert 0 < apart.low < apart.high < 1
