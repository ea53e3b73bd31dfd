"""Intervals are over persons; where all persons are alike they do not claim to know the rate."""

import math

import numpy as np
import pandas as pd
import pytest

from cmb_toolkit.evaluation.intervals import bootstrap, by_person, interval, poisson, wilson


def test_bootstrap_is_seeded_and_covers_the_pooled_rate():
    lines = pd.DataFrame({"tp": [9, 3, 0, 7], "fp": [1, 0, 6, 2], "fn": [0, 1, 0, 2]})
    interval = bootstrap(lines)
    assert interval == bootstrap(lines)
    assert bootstrap(lines, level=0.3) != bootstrap(lines, level=0.3, seed=1)
    low, high = interval["sensitivity"]
    assert 0.5 < low < 19 / 22 < high <= 1
    low, high = interval["fp_per_subject"]
    assert 0 <= low < 9 / 4 < high <= 6
    wide, narrow = (np.diff(bootstrap(lines, level=level)["f1"])[0] for level in (0.95, 0.5))
    assert wide > narrow


def test_nobody_has_no_interval():
    nobody = pd.DataFrame({"tp": [], "fp": [], "fn": []})
    assert np.isnan([*bootstrap(nobody).values()]).all()
    assert np.isnan(interval(np.array([np.nan]))).all()


@pytest.mark.parametrize("found", [0, 1])
def test_none_or_all_of_n_is_not_an_interval_of_width_nothing(found):
    lines = pd.DataFrame({"tp": [3 * found] * 20, "fn": [3 - 3 * found] * 20, "fp": [0] * 20})
    low, high = bootstrap(lines)["sensitivity"]
    # Wilson, of 20 persons and not of 60 microbleeds: those of a person are not independent
    assert (low, high) == pytest.approx((0.8389, 1) if found else (0, 0.1611), abs=1e-4)
    low, high = bootstrap(lines)["fp_per_subject"]
    assert low == 0
    assert high == pytest.approx(-math.log(0.025) / 20), "the rule of three, two-sided"


def test_only_persons_with_something_to_count_count():
    lines = pd.DataFrame({"tp": [2, 0, 0, 0], "fn": [0, 0, 0, 0], "fp": [0, 0, 0, 0]})
    assert bootstrap(lines)["sensitivity"] == pytest.approx(wilson(1.0, 1))
    assert np.isnan(bootstrap(lines.assign(tp=0))["sensitivity"]).all()


def test_persons_who_are_all_alike():
    same = bootstrap(pd.DataFrame({"tp": [2] * 5, "fp": [1] * 5, "fn": [1] * 5}))
    low, high = same["sensitivity"]
    assert low < 2 / 3 < high
    low, high = same["fp_per_subject"]
    assert (low, high) == pytest.approx((1.6235 / 5, 11.6683 / 5), abs=1e-4)  # Garwood's limits of a count of 5


def test_one_person_says_little_about_others():
    one = bootstrap(pd.DataFrame({"tp": [9], "fp": [400], "fn": [1]}))
    assert one["sensitivity"] == pytest.approx(wilson(0.9, 1))
    assert one["sensitivity"][0] < 0.3
    assert np.isnan(one["fp_per_subject"]).all()


def test_scans_of_a_person_are_drawn_together():
    rng = np.random.default_rng(0)
    single = pd.DataFrame({"tp": rng.integers(0, 5, 12), "fp": rng.integers(0, 9, 12), "fn": rng.integers(0, 3, 12)})
    single.insert(0, "participant_id", [f"sub-{n}" for n in range(12)])
    twice = pd.concat([single.assign(person_id=single["participant_id"])] * 2, ignore_index=True)
    twice["participant_id"] = [f"sub-{n}" for n in range(24)]
    assert by_person(twice)[:, 3].tolist() == [2] * 12
    # the same persons scanned twice are no more persons: every rate and every interval stays
    assert bootstrap(twice) == bootstrap(single)
    narrower = bootstrap(twice.drop(columns="person_id"))
    assert np.ptp(narrower["fp_per_subject"]) < np.ptp(bootstrap(twice)["fp_per_subject"])


def test_scans_without_a_person_are_their_own():
    table = pd.DataFrame({"participant_id": ["a", "b", "c"], "person_id": ["x", None, "x"], "tp": 1, "fp": 0, "fn": 2})
    assert by_person(table).tolist() == [[2, 0, 4, 2], [1, 0, 2, 1]]


@pytest.mark.parametrize(
    ("share", "trials", "expected"),
    [(0.0, 10, (0, 0.2775)), (1.0, 10, (0.7225, 1)), (0.5, 20, (0.2993, 0.7007)), (0.8, 50, (0.6696, 0.8876))],
)
def test_wilson_as_in_the_books(share, trials, expected):
    assert wilson(share, trials) == pytest.approx(expected, abs=1e-4)


def test_poisson_as_in_the_books():
    assert poisson(0, 1) == pytest.approx((0, 3.6889), abs=1e-4)
    assert poisson(10, 2) == pytest.approx((4.7954 / 2, 18.3904 / 2), abs=1e-4)
