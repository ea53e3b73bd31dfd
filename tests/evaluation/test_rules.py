import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmb_toolkit.errors import DataError, UsageError
from cmb_toolkit.evaluation.matching import OUTCOMES, match
from cmb_toolkit.evaluation.metrics import per_subject
from cmb_toolkit.evaluation.patients import averages
from cmb_toolkit.evaluation.rules import RULES, rule_named
from cmb_toolkit.evaluation.rules.paper import Paper

PAPER, CENTRE, VALDO = rule_named("paper"), rule_named("centre"), rule_named("valdo")


def rows(*points, subject="sub-a", spacing=(0.5, 0.5, 2.0)):
    """One row per (column, row, k): a 20x20 box around it, world coordinates by the spacing."""
    column, row, k = np.array(points, float).reshape(-1, 3).T
    return pd.DataFrame(
        {
            "participant_id": pd.Series([subject] * len(k), dtype=str),
            "k": k.astype(int),
            "left": column - 10,
            "top": row - 10,
            "right": column + 10,
            "bottom": row + 10,
            "x_mm": column * spacing[0],
            "y_mm": row * spacing[1],
            "z_mm": k * spacing[2],
        }
    )


def both(*tables):
    return pd.concat(tables, ignore_index=True)


@pytest.mark.parametrize(
    ("shift", "hit"),
    [
        ((0, 0), True),
        ((2, 0), True),  # 360 / 440 = .818
        ((0, -2), True),
        ((1, 1), True),  # 361 / 439 = .822
        ((2, 1), False),  # 342 / 458 = .747
        ((3, 0), False),  # 340 / 460 = .739
        ((20 / 9, 0), False),  # IoU exactly 0.8 does not exceed it
        ((20 / 9 - 1e-6, 0), True),
    ],
)
def test_the_papers_overlap_allows_about_two_pixels(shift, hit):
    truth = rows((100, 100, 30))
    found = match(rows((100 + shift[0], 100 + shift[1], 30)), truth, PAPER)
    assert found.found.tolist() == [hit]
    assert found.outcome.tolist() == ["tp" if hit else "fp"]


@pytest.mark.parametrize("shape", [(16, 16), (18, 22), (23, 23)])
def test_the_papers_rule_also_asks_for_the_size(shape):
    candidate = rows((100, 100, 30))
    candidate[["left", "right"]] = 100 - shape[0] / 2, 100 + shape[0] / 2
    candidate[["top", "bottom"]] = 100 - shape[1] / 2, 100 + shape[1] / 2
    inside = min(shape[0], 20) * min(shape[1], 20)
    expected = inside / (400 + shape[0] * shape[1] - inside) > 0.8
    assert match(candidate, rows((100, 100, 30)), PAPER).found.tolist() == [expected]


def test_the_papers_rule_is_two_dimensional_and_counts_boxes():
    matching = match(rows((100, 100, 29), (100, 100, 30), (101, 100, 30), (100, 100, 31)), rows((100, 100, 30)), PAPER)
    assert matching.outcome.tolist() == ["fp", "tp", "fp", "fp"]
    assert matching.truth["candidate"].tolist() == [1]
    assert matching.candidates["microbleed"].tolist() == [-1, 0, -1, -1]


def test_the_centre_rule_sees_neighbouring_slices_as_duplicates():
    matching = match(rows((100, 100, 29), (100, 101, 30), (100, 100, 31), (100, 100, 32)), rows((100, 100, 30)), CENTRE)
    assert matching.outcome.tolist() == ["duplicate", "tp", "duplicate", "fp"]  # 2, 0.5, 2 and 4 mm away
    assert matching.candidates["microbleed"].tolist() == [0, 0, 0, -1]
    assert matching.truth["candidate"].tolist() == [1]


@pytest.mark.parametrize(("millimetres", "hit"), [(2.999, True), (3.0, True), (3.001, False)])
def test_a_distance_equal_to_the_limit_still_counts(millimetres, hit):
    truth = rows((100, 100, 30))
    candidate = rows((100 + 2 * millimetres, 100, 30))
    assert match(candidate, truth, CENTRE).found.tolist() == [hit]
    assert match(candidate, truth, rule_named("centre", distance_mm=4)).found.tolist() == [True]


def test_candidates_of_another_subject_never_count():
    truth = rows((100, 100, 30))
    for name in RULES:
        matching = match(rows((100, 100, 30), subject="sub-b"), truth, rule_named(name))
        assert matching.found.tolist() == [False]
        assert matching.outcome.tolist() == ["fp"]


def test_one_candidate_finds_one_microbleed_and_as_many_as_possible_are_found():
    # the left candidate is nearest to both marks; the right one reaches the right mark only
    truth = rows((100, 100, 30), (104, 100, 30))
    one = match(rows((102.5, 100, 30)), truth, CENTRE)
    assert one.found.tolist() == [False, True]
    two = match(rows((103.5, 100, 30), (108, 100, 30)), truth, CENTRE)
    assert two.found.tolist() == [True, True]
    assert two.truth["candidate"].tolist() == [0, 1]


def test_the_index_of_the_tables_is_kept():
    candidates = rows((0, 0, 1), (100, 100, 30)).set_index(pd.Index([7, 3]))
    matching = match(candidates, rows((100, 100, 30)).set_index(pd.Index(["m"])), CENTRE)
    assert matching.candidates.index.tolist() == [7, 3]
    assert matching.truth.index.tolist() == ["m"]
    assert matching.truth["candidate"].tolist() == [1]


@pytest.mark.parametrize("name", RULES)
def test_nothing_against_nothing(name):
    rule = rule_named(name)
    nothing, something = rows(), rows((1, 1, 1), (50, 1, 1))
    assert match(nothing, nothing, rule).outcome.tolist() == []
    assert match(nothing, something, rule).found.tolist() == [False, False]
    assert match(something, nothing, rule).outcome.tolist() == ["fp", "fp"]


# the vectors of the VALDO 2021 task 2 evaluation, at 0.5 x 0.5 x 2 mm: candidates and microbleeds in voxels
VALDO_VECTORS = {
    "exact": ([(10, 10, 5)], [(10, 10, 5)], (1, 0, 0), 1.0),
    "4.5 mm off": ([(19, 10, 5)], [(10, 10, 5)], (1, 0, 0), 1.0),
    "exactly 5 mm off": ([(20, 10, 5)], [(10, 10, 5)], (0, 1, 1), 0.0),
    "two near one microbleed": ([(10, 10, 5), (12, 10, 5)], [(10, 10, 5)], (1, 1, 0), 2 / 3),
    "no falling through": ([(10, 10, 5), (12, 10, 5)], [(10, 10, 5), (16, 10, 5)], (1, 1, 1), 0.5),
    "equally near": ([(12, 10, 5), (8, 10, 5)], [(10, 10, 5)], (2, 0, 0), 1.0),
    "nothing there": ([(10, 10, 5), (30, 10, 5)], [], (0, 2, 0), math.nan),
    "nothing found": ([], [(10, 10, 5)], (0, 0, 1), 0.0),
    "nothing at all": ([], [], (0, 0, 0), math.nan),
}


@pytest.mark.parametrize("case", VALDO_VECTORS)
def test_the_vectors_of_the_valdo_challenge(case):
    found, marked, (tp, fp, fn), f1 = VALDO_VECTORS[case]
    table = per_subject(match(rows(*found), rows(*marked), VALDO), ["sub-a"])
    assert table[["tp", "fp", "fn"]].to_numpy().tolist() == [[tp, fp, fn]]
    average = averages(table)
    assert average["f1"].mean == pytest.approx(f1, nan_ok=True)
    assert average["f1"].subjects == (1 if marked else 0)  # a subject without a microbleed has no F1
    assert average["count_error"].mean == abs(len(found) - len(marked))


def slow_valdo(found, marked):
    """The rule in the challenge's own words: counts of hits, false positives and misses."""
    nearest = []
    for place in found:
        distances = [(math.dist(place, mark), mark) for mark in marked]
        nearest.append(min(distances) if distances else (math.inf, None))
    hits, detected = 0, set()
    for distance, mark in nearest:
        if distance < 5:
            detected.add(mark)
            hits += distance == min(d for d, other in nearest if other == mark)
    return hits, len(found) - hits, len(marked) - len(detected)


places = st.lists(st.tuples(*[st.integers(0, n) for n in (24, 20, 4)]), max_size=10, unique=True)


@settings(max_examples=200, deadline=None)
@given(places, places, st.randoms(use_true_random=False))
def test_the_valdo_rule_against_a_slow_reference(found, marked, random):
    millimetres = [[(i * 0.5, j * 0.5, k * 2.0) for i, j, k in listed] for listed in (found, marked)]
    hits, false, missed = slow_valdo(*millimetres)
    candidates = rows(*random.sample(found, len(found)))
    matching = match(candidates, rows(*random.sample(marked, len(marked))), VALDO)
    outcome = matching.outcome.tolist()
    assert (outcome.count("tp"), outcome.count("fp"), (~matching.found).sum()) == (hits, false, missed)


@pytest.mark.parametrize(
    ("shift", "slices", "hit"),
    [
        ((19.9, 0, 0), 0, True),
        ((0, -19.9, 0), 0, True),
        ((20, 0, 0), 0, False),  # they touch along an edge, which is no area
        ((0, 0, 1), 0, False),
        ((0, 0, 1), 1, True),
        ((19.9, 19.9, -1), 1, True),
        ((0, 0, 2), 1, False),
    ],
)
def test_any_overlap(shift, slices, hit):
    matching = match(
        rows((100 + shift[0], 100 + shift[1], 30 + shift[2])),
        rows((100, 100, 30)),
        rule_named("overlap", slices=slices),
    )
    assert matching.found.tolist() == [hit]
    assert matching.outcome.tolist() == ["tp" if hit else "fp"]


def test_further_boxes_that_overlap_are_duplicates_and_the_best_is_the_hit():
    matching = match(rows((110, 100, 30), (101, 100, 30), (100, 100, 31)), rows((100, 100, 30)), rule_named("overlap"))
    assert matching.outcome.tolist() == ["duplicate", "tp", "fp"]


points = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 12), st.integers(0, 12), st.integers(0, 3)), max_size=12
)


def table(listed):
    parts = [rows((c, r, k), subject=s) for s, c, r, k in listed]
    return both(*parts) if parts else rows()


@settings(max_examples=25, deadline=None)
@given(points, points, st.sampled_from(list(RULES)), st.randoms(use_true_random=False))
def test_counts_add_up_whatever_the_order(found, marked, name, random):
    rule, candidates, truth = rule_named(name), table(found), table(marked)
    matching = match(candidates, truth, rule)
    numbers = matching.candidates["outcome"].value_counts().reindex(OUTCOMES, fill_value=0)
    assert numbers.sum() == len(candidates)
    assert numbers["merged"] == 0
    assert numbers["tp"] == matching.found.sum() <= len(truth) or (
        name == "valdo" and numbers["tp"] > matching.found.sum()
    )
    assert not (name in ("paper", "valdo") and numbers["duplicate"])
    hits = matching.truth["candidate"].to_numpy()
    assert len(set(hits[hits >= 0])) == (hits >= 0).sum()  # one to one
    assert (matching.candidates["microbleed"].to_numpy()[hits[hits >= 0]] == np.flatnonzero(hits >= 0)).all()
    a, b = random.sample(range(len(candidates)), len(candidates)), random.sample(range(len(truth)), len(truth))
    shuffled = match(candidates.iloc[a], truth.iloc[b], rule)
    assert shuffled.candidates["outcome"].value_counts().reindex(OUTCOMES, fill_value=0).equals(numbers)
    if len(candidates):  # fewer candidates never find more
        fewer = match(candidates.iloc[:-1], truth, rule)
        assert fewer.found.sum() in (matching.found.sum() - 1, matching.found.sum())


@settings(max_examples=30, deadline=None)
@given(points, points)
def test_a_wider_distance_finds_no_less_and_alarms_no_more(found, marked):
    narrow, wide = (match(table(found), table(marked), rule_named("centre", distance_mm=d)) for d in (1, 4))
    assert narrow.found.sum() <= wide.found.sum()
    assert (narrow.outcome == "fp").sum() >= (wide.outcome == "fp").sum()


def test_rules_say_what_they_are():
    assert rule_named("paper").label == "paper rule: IoU > 0.8 on the labelled slice"
    assert rule_named("centre", distance_mm=2.5).label == "centre rule: within 2.5 mm"
    assert rule_named("overlap").label == "overlap rule: boxes overlap on the labelled slice"
    assert (
        rule_named("overlap", slices=1).label
        == "overlap rule: boxes overlap on the labelled slice or up to 1 beside it"
    )
    assert rule_named("valdo").label == "VALDO rule: nearest microbleed, nearer than 5 mm"
    wrong = [
        ("voxel", {}),
        ("overlap", {"slices": -1}),
        ("centre", {"distance_mm": 0}),
        ("centre", {"distance_mm": math.nan}),
    ]
    for name, limits in wrong:
        with pytest.raises(UsageError):
            rule_named(name, **limits)
    with pytest.raises(UsageError, match=r"0\.8"):
        Paper(iou=1.0)


def test_every_rule_is_known_by_its_own_name():
    assert [rule_named(name).name for name in RULES] == list(RULES)


def test_missing_columns_and_nan_are_named():
    with pytest.raises(DataError, match=r"truth table: columns left, top missing.*paper rule"):
        match(rows((1, 1, 1)), rows((1, 1, 1)).drop(columns=["left", "top"]), PAPER)
    broken = rows((1, 1, 1), (2, 2, 2))
    broken.loc[1, "z_mm"] = np.nan
    with pytest.raises(DataError, match=r"candidates table: row 2 \(subject sub-a\).*not a finite number"):
        match(broken, rows((1, 1, 1)), CENTRE)
    assert match(broken, rows((1, 1, 1)), PAPER).found.tolist() == [True]  # the paper's rule does not read z_mm
