import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmb_toolkit.errors import DataError
from cmb_toolkit.evaluation.matching import match
from cmb_toolkit.evaluation.metrics import counts, froc, per_subject, pool_froc
from cmb_toolkit.evaluation.rules import RULES, rule_named
from cmb_toolkit.evaluation.thresholds import choose_threshold
from cmb_toolkit.model import Counts

CENTRE = rule_named("centre")


def table(listed, score=None):
    """One row per (subject, column, row, k[, score])."""
    frame = pd.DataFrame([row[:4] for row in listed], columns=["participant_id", "column", "row", "k"])
    frame = frame.astype({"participant_id": str, "column": float, "row": float, "k": int})
    for side, axis, offset in (
        ("left", "column", -10),
        ("top", "row", -10),
        ("right", "column", 10),
        ("bottom", "row", 10),
    ):
        frame[side] = frame[axis] + offset
    frame["x_mm"], frame["y_mm"], frame["z_mm"] = frame["column"] / 2, frame["row"] / 2, frame["k"] * 2.0
    if score:
        frame[score] = np.array([row[4] for row in listed], float)
    return frame


def test_every_subject_counts_in_false_positives_per_subject():
    candidates = table([("a", 0, 0, 0, 0.9), ("a", 99, 0, 0, 0.8), ("b", 50, 0, 0, 0.7)], "confidence")
    truth = table([("a", 0, 0, 0), ("c", 0, 0, 0)])
    matching = match(candidates, truth, CENTRE)
    assert counts(matching, ["a", "b", "c", "d"]) == Counts(tp=1, fp=2, fn=1, subjects=4)
    assert counts(matching, ["a", "b", "c", "d"]).fp_per_subject == 0.5
    lines = per_subject(matching, ["d", "c", "b", "a"]).set_index("participant_id")
    assert lines.loc["a"].to_dict() == {"microbleeds": 1, "candidates": 2, "tp": 1, "fn": 0, "fp": 1, "duplicates": 0}
    assert lines.loc["c", "fn"] == 1
    assert lines.loc["d"].sum() == 0
    assert lines.index.tolist() == ["d", "c", "b", "a"]


def test_a_stranger_or_a_subject_listed_twice_is_refused():
    matching = match(table([("a", 0, 0, 0)]), table([]), CENTRE)
    with pytest.raises(DataError, match="candidate belongs to a"):
        counts(matching, ["b"])
    with pytest.raises(DataError, match="a is listed twice"):
        counts(matching, ["a", "a"])


def test_rates_without_a_denominator_are_nan():
    nothing = match(table([]), table([]), CENTRE)
    rates = counts(nothing, ["a"])
    assert math.isnan(rates.sensitivity)
    assert math.isnan(rates.precision)
    assert rates.fp_per_subject == 0
    assert math.isnan(counts(nothing, []).fp_per_subject)


def test_froc_by_hand():
    candidates = table(
        [("a", 0, 0, 0, 0.9), ("a", 1, 0, 0, 0.8), ("a", 90, 0, 0, 0.8), ("b", 0, 0, 0, 0.3), ("b", 9, 90, 0, 0.1)],
        "confidence",
    )
    truth = table([("a", 0, 0, 0), ("b", 0, 0, 0)])
    curve = froc(candidates, truth, CENTRE, ["a", "b", "c", "d"])
    assert curve["threshold"].tolist() == [math.inf, 0.9, 0.8, 0.3, 0.1]
    assert curve["sensitivity"].tolist() == [0, 0.5, 0.5, 1, 1]
    assert curve["fp_per_subject"].tolist() == [0, 0, 0.25, 0.25, 0.5]
    assert curve["duplicates"].tolist() == [0, 0, 1, 1, 1]
    paper = froc(candidates, truth, rule_named("paper"), ["a", "b", "c", "d"])
    assert paper["fp"].tolist() == [0, 0, 2, 2, 3]  # a second box on the same lesion is a false positive


def test_froc_of_nothing():
    empty = table([], "confidence")
    assert len(froc(empty, table([("a", 0, 0, 0)]), CENTRE, ["a"])) == 1
    no_truth = froc(table([("a", 0, 0, 0, 0.5)], "confidence"), table([]), CENTRE, ["a"])
    assert no_truth["sensitivity"].isna().all()
    assert no_truth["fp_per_subject"].tolist() == [0, 1]
    with pytest.raises(DataError, match="probability holds a value"):
        froc(table([("a", 0, 0, 0, math.nan)], "probability"), empty, CENTRE, ["a"], "probability")


spots = st.tuples(st.sampled_from("ab"), st.integers(0, 9), st.integers(0, 9), st.integers(0, 2))
scored = st.lists(st.tuples(spots, st.sampled_from([0.1, 0.2, 0.5, 0.9])), max_size=9)


@settings(max_examples=25, deadline=None)
@given(scored, st.lists(spots, max_size=5), st.sampled_from(list(RULES)))
def test_every_point_of_the_curve_is_what_matching_gives(found, marked, name):
    rule, subjects = rule_named(name), ["a", "b", "c"]
    candidates, truth = table([(*spot, score) for spot, score in found], "confidence"), table(marked)
    curve = froc(candidates, truth, rule, subjects)
    assert curve["threshold"].is_monotonic_decreasing
    for column in ("tp", "fp", "duplicates", "fp_per_subject") if name != "valdo" else ("tp",):
        assert (np.diff(curve[column]) >= 0).all()
    assert (np.diff(curve["sensitivity"].dropna()) >= 0).all()
    for line in curve.itertuples():
        kept = candidates[candidates["confidence"] >= line.threshold]
        matching = match(kept, truth, rule)
        direct = counts(matching, subjects)
        assert (line.tp, line.fp) == (matching.found.sum(), direct.fp)
        assert line.duplicates == (matching.outcome == "duplicate").sum()
        assert line.fp_per_subject == pytest.approx(direct.fp_per_subject)
    assert len(curve) == 1 + candidates["confidence"].nunique()  # the lowest threshold, with all candidates, included
    if name != "valdo":  # where several equally near candidates are one microbleed found
        assert curve[["tp", "fp", "duplicates"]].iloc[-1].sum() == len(candidates)
    shuffled = froc(candidates.iloc[::-1], truth.iloc[::-1], rule, subjects)
    pd.testing.assert_frame_equal(curve, shuffled)


CANDIDATES = table(
    [
        ("a", 0, 0, 0, 0.9),
        ("a", 90, 0, 0, 0.8),
        ("b", 0, 0, 0, 0.7),
        ("b", 90, 0, 0, 0.6),
        ("b", 90, 90, 0, 0.5),
        ("c", 0, 0, 0, 0.4),
        ("c", 90, 0, 0, 0.3),
    ],
    "confidence",
)
TRUTH = table([("a", 0, 0, 0), ("b", 0, 0, 0), ("c", 0, 0, 0), ("c", 50, 50, 1)])


@pytest.mark.parametrize(
    ("wanted", "threshold"),
    [
        ({"sensitivity": 1 / 3}, 0.9),
        ({"sensitivity": 2 / 3}, 0.7),
        ({"sensitivity": 0.8}, 0.4),
        ({"sensitivity": 1.0}, 0.4),  # of what can be found: the fourth has no candidate
        ({"sensitivity": 1.0, "most_false": 0.5}, 0.7),
        ({"sensitivity": 0.1, "most_false": 0.5}, 0.9),
        ({}, 0.35),  # 2*3/(3+3+4) = .600 at 0.4 beats .571 at 0.7; nothing lies between 0.3 and 0.4
    ],
)
def test_thresholds_are_chosen_by_hand_made_cases(wanted, threshold):
    assert choose_threshold(CANDIDATES, TRUTH, CENTRE, ["a", "b", "c"], **wanted) == threshold
    strange = pd.concat([CANDIDATES, CANDIDATES.assign(participant_id="d", confidence=0.99)], ignore_index=True)
    assert choose_threshold(strange, TRUTH, CENTRE, ["a", "b", "c"], **wanted) == threshold, "others do not count"


def test_a_threshold_that_cannot_be_chosen_says_why():
    with pytest.raises(DataError, match="no validation subject has a microbleed to find"):
        choose_threshold(CANDIDATES.iloc[:2], TRUTH.iloc[:0], CENTRE, ["a", "b"])
    with pytest.raises(DataError, match="no validation subject has a candidate"):
        choose_threshold(CANDIDATES.iloc[:0], TRUTH, CENTRE, ["a", "b", "c"])
    with pytest.raises(DataError, match="no candidate lies on a microbleed of the 3 validation subjects"):
        choose_threshold(CANDIDATES.iloc[1:2], TRUTH, CENTRE, ["a", "b", "c"], sensitivity=0.5)


@pytest.mark.parametrize("most_false", [0.1, 0.5, 1, 2, 100])
def test_the_lowest_threshold_within_a_budget_of_false_positives(most_false):
    subjects = ["a", "b", "c"]
    chosen = choose_threshold(CANDIDATES, TRUTH, CENTRE, subjects, most_false=most_false)

    def false(threshold):
        kept = CANDIDATES[CANDIDATES["confidence"] >= threshold]
        return counts(match(kept, TRUTH, CENTRE), subjects).fp_per_subject

    assert false(chosen) <= most_false
    lower = [value for value in CANDIDATES["confidence"] if value < chosen]
    assert all(false(value) > most_false for value in lower)


def test_a_budget_within_which_nothing_is_found_says_so():
    with pytest.raises(DataError, match=r"no microbleed of the 3 validation subjects is found at 0\.1 false"):
        choose_threshold(CANDIDATES.iloc[1:2], TRUTH, CENTRE, ["a", "b", "c"], most_false=0.1)


def test_pooled_curves_stand_at_one_threshold():
    first = froc(CANDIDATES, TRUTH, CENTRE, ["a", "b", "c"])
    other = table([("d", 0, 0, 0, 0.65), ("d", 90, 0, 0, 0.4)], "confidence")
    marks = table([("d", 0, 0, 0)])
    second = froc(other, marks, CENTRE, ["d", "e"])
    pooled = pool_froc([first, second], 5, 5)
    together = froc(
        pd.concat([CANDIDATES, other], ignore_index=True),
        pd.concat([TRUTH, marks], ignore_index=True),
        CENTRE,
        ["a", "b", "c", "d", "e"],
    )
    pd.testing.assert_frame_equal(pooled, together)
