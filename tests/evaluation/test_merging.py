import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmb_toolkit.errors import UsageError
from cmb_toolkit.evaluation.matching import match
from cmb_toolkit.evaluation.merging import merge_boxes
from cmb_toolkit.evaluation.metrics import counts, froc, per_subject
from cmb_toolkit.evaluation.rules import RULES, rule_named
from cmb_toolkit.model import Counts


def boxes(*listed, score=None):
    """Rows of (subject, column, row, k): squares of 20 px, 0.5 x 0.5 x 2 mm."""
    frame = pd.DataFrame(listed, columns=["participant_id", "column", "row", "k"])
    frame = frame.astype({"participant_id": str, "column": float, "row": float, "k": int})
    for side, axis, offset in zip(
        ("left", "top", "right", "bottom"), ("column", "row") * 2, (-10, -10, 10, 10), strict=True
    ):
        frame[side] = frame[axis] + offset
    frame["x_mm"], frame["y_mm"], frame["z_mm"] = frame["column"] / 2, frame["row"] / 2, 2.0 * frame["k"]
    return frame if score is None else frame.assign(confidence=score)


def test_one_lesion_on_three_slices_and_what_is_beside_it():
    found = boxes(
        ("a", 100, 100, 29),
        ("a", 101, 100, 30),
        ("a", 100, 101, 31),
        ("a", 140, 100, 30),  # 20 mm away
        ("a", 100, 100, 33),  # two slices higher
        ("b", 100, 100, 30),
        score=[0.5, 0.9, 0.2, 0.3, 0.8, 0.7],
    )
    merged = merge_boxes(found, 3.0)
    assert merged["lesion"].tolist() == [0, 0, 0, 1, 2, 3]
    assert merged["confidence"].tolist() == [0.9, 0.9, 0.9, 0.3, 0.8, 0.7]
    assert found["confidence"].tolist() == [0.5, 0.9, 0.2, 0.3, 0.8, 0.7]


@pytest.mark.parametrize(("millimetres", "lesions"), [(2.999, 1), (3.0, 1), (3.001, 2)])
def test_a_distance_equal_to_the_limit_still_links(millimetres, lesions):
    found = boxes(("a", 100, 100, 30), ("a", 100 + 2 * millimetres, 100, 30))
    assert merge_boxes(found, 3.0)["lesion"].nunique() == lesions


def test_thick_slices_apart_are_not_linked_however_near():
    found = boxes(("a", 100, 100, 30), ("a", 100, 100, 32))
    assert merge_boxes(found, 10.0)["lesion"].nunique() == 2


def test_false_positives_per_box_and_per_lesion():
    truth = boxes(("a", 100, 100, 30))
    found = boxes(
        ("a", 100, 100, 30), ("a", 100, 101, 31), ("a", 200, 100, 10), ("a", 201, 100, 11), ("a", 200, 102, 12)
    )
    whole = merge_boxes(found, 3.0)
    for name, per_box in (("paper", 4), ("centre", 3), ("overlap", 4), ("valdo", 4)):
        rule = rule_named(name)
        assert counts(match(found, truth, rule), ["a"]) == Counts(1, per_box, 0, subjects=1)
        matching = match(whole, truth, rule)
        assert counts(matching, ["a"]) == Counts(1, 1, 0, subjects=1)
        assert matching.outcome.tolist() == ["tp", "merged", "fp", "merged", "merged"]
        assert per_subject(matching, ["a"])["candidates"].tolist() == [2]


def test_a_lesion_is_where_any_of_its_boxes_is_and_that_box_stands_for_it():
    truth = boxes(("a", 100, 100, 31))
    whole = merge_boxes(boxes(("a", 103, 100, 30), ("a", 100, 100, 31), ("a", 103, 100, 32)), 3.0)
    for name in ("paper", "centre", "overlap"):
        assert match(whole, truth, rule_named(name)).outcome.tolist() == ["merged", "tp", "merged"]
    # the VALDO rule knows only the centroid, which is 1 mm off here
    assert match(whole, truth, rule_named("valdo")).found.tolist() == [True]
    far = merge_boxes(boxes(*(("a", 100 + 5 * n, 100, 31) for n in range(5))), 3.0)
    assert far["lesion"].nunique() == 1
    assert match(far, truth, rule_named("valdo")).outcome.tolist() == ["fp", *["merged"] * 4]  # its middle is 5 mm away


EXAMPLE = {  # of docs/evaluation.md: what four boxes are at two microbleeds
    "paper": ["tp", "fp", "fp", "fp"],
    "centre": ["tp", "tp", "duplicate", "fp"],
    "overlap": ["tp", "tp", "fp", "fp"],
    "valdo": ["tp", "fp", "fp", "fp"],
}


@pytest.mark.parametrize("name", RULES)
def test_the_example_of_the_documentation(name):
    truth = boxes(("a", 100, 100, 30), ("a", 106, 100, 30))
    found = boxes(("a", 100, 100, 30), ("a", 102, 100, 30), ("a", 100, 100, 31), ("a", 140, 100, 30))
    assert match(found, truth, rule_named(name)).outcome.tolist() == EXAMPLE[name]
    lesions = match(merge_boxes(found, 3.0), truth, rule_named(name, slices=1))
    assert lesions.outcome.tolist() == ["tp", "merged", "merged", "fp"]
    assert lesions.found.tolist() == [True, False]


def test_distances_that_are_none_are_refused():
    for wrong in (0, -1, math.nan, math.inf):
        with pytest.raises(UsageError, match="linking distance"):
            merge_boxes(boxes(), wrong)
    assert merge_boxes(boxes(), 3.0)["lesion"].tolist() == []


spots = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 14), st.integers(0, 6), st.integers(0, 4)), max_size=10
)


def slow_lesions(found, distance_mm):
    """Sets of rows that hang together, grown one by one."""
    rows = found[["participant_id", "k", "x_mm", "y_mm", "z_mm"]].to_numpy().tolist()

    def linked(a, b):
        return a[0] == b[0] and abs(a[1] - b[1]) <= 1 and math.dist(a[2:], b[2:]) <= distance_mm

    left, lesions = set(range(len(rows))), set()
    while left:
        lesion, new = set(), {left.pop()}
        while new:
            lesion |= new
            new = {n for n in left if any(linked(rows[n], rows[m]) for m in new)}
            left -= new
        lesions.add(frozenset(lesion))
    return lesions


@settings(max_examples=60, deadline=None)
@given(spots, st.sampled_from([0.5, 2.0, 2.5, 4.0]), st.randoms(use_true_random=False))
def test_lesions_against_a_slow_reference(listed, distance, random):
    found = boxes(*listed).iloc[random.sample(range(len(listed)), len(listed))]
    merged = merge_boxes(found, distance)
    groups = {frozenset(rows.tolist()) for rows in merged.groupby("lesion").indices.values()}
    assert groups == slow_lesions(found, distance)
    assert pd.factorize(merged["lesion"])[0].tolist() == merged["lesion"].tolist()  # numbered by first row


@settings(max_examples=30, deadline=None)
@given(spots, spots, st.sampled_from(list(RULES)), st.randoms(use_true_random=False))
def test_the_curve_of_lesions_is_what_matching_gives(listed, marked, name, random):
    rule = rule_named(name, slices=1)
    found = boxes(*listed, score=[random.choice([0.1, 0.5, 0.9]) for _ in listed])
    truth, whole = boxes(*marked), merge_boxes(found, 2.5)
    matching = match(whole, truth, rule)
    assert (matching.outcome != "merged").sum() == whole["lesion"].nunique()
    for line in froc(whole, truth, rule, ["a", "b"]).itertuples():
        kept = match(whole[whole["confidence"] >= line.threshold], truth, rule)
        assert (line.tp, line.fp) == (kept.found.sum(), (kept.outcome == "fp").sum())
    heads = whole.drop_duplicates("lesion")
    if len(heads) == len(whole):
        assert matching.outcome.tolist() == match(found, truth, rule).outcome.tolist()
    assert np.isin(matching.truth["candidate"], [-1, *np.flatnonzero(matching.outcome == "tp")]).all()
