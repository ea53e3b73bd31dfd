"""Marks that count otherwise are told from right ones by their ranks, also few of them; right ones raise no alarm."""

import numpy as np
import pytest

from cmb_toolkit.evaluation.mark_evidence import better_way, chance_of_ranks, shifted, too_few_dark, touching

DARK, ANY = [0.01, 0.004, 0.03, 0.02], [0.7, 0.3, 0.9, 0.5]


def test_ranks_of_random_spots_are_likely_and_those_of_dark_ones_are_not():
    assert chance_of_ranks([]) == 1
    assert chance_of_ranks([0.3]) == pytest.approx(0.3)  # of one rank it is the rank
    assert chance_of_ranks(ANY) > 0.5
    assert chance_of_ranks(DARK) < 1e-4
    uniform = np.random.default_rng(0).uniform(size=(2000, 5))
    assert np.mean([chance_of_ranks(row) < 0.05 for row in uniform]) == pytest.approx(0.05, abs=0.015)


def test_a_better_way_is_named_of_four_and_of_three_marks():
    others = {"mirrored": np.array(DARK), "exchanged": np.array(ANY[::-1])}
    better = better_way(ANY, others)
    assert (better.way, better.dark) == ("mirrored", 4)
    assert better.chance == pytest.approx(2 * chance_of_ranks(DARK))
    assert better_way(ANY[:3], {"mirrored": np.array(DARK[:3])}).dark == 3
    assert better_way(ANY, others, groups=1000) is None, "asked so often, chance finds it"


def test_what_was_given_is_kept_where_it_explains_the_marks_as_well():
    assert better_way(DARK, {"one voxel on": np.array(DARK) / 2}) is None
    assert better_way(ANY, {"mirrored": np.array([0.0005, 0.6, 0.8, 0.7])}) is None, "one dark spot is no evidence"
    assert better_way(ANY, {}) is None


def test_of_equal_ways_the_first_is_named():
    assert better_way(ANY, {"an option": np.array(DARK) * 1.02, "by hand": np.array(DARK)}).way == "an option"


def test_random_marks_raise_an_alarm_as_rarely_as_is_said():
    rng = np.random.default_rng(1)
    alarms = [
        better_way(rng.uniform(size=6), {way: rng.uniform(size=6) for way in range(20)}) is not None for _ in range(500)
    ]
    assert np.mean(alarms) < 0.02


def test_too_few_dark():
    assert too_few_dark([0.5, 0.9, 0.3]) == pytest.approx(0.2**3)
    assert too_few_dark([0.5, 0.9]) is None, "two tell nothing"
    assert too_few_dark([0.01] * 3) is None
    assert too_few_dark([0.01] * 8 + [0.5] * 2) is None
    assert too_few_dark([0.01] * 4 + [0.5] * 6) < 0.01
    assert too_few_dark([0.5, 0.9, 0.3], groups=10) is None


def test_marks_a_voxel_off():
    off = [(1, 1, 1)] * 3
    assert shifted(off, [0.01] * 3).step == (1, 1, 1)
    slice_off = shifted([(0, 0, -1)] * 11 + [(0, 0, 0)], [0.01] * 12)
    assert (slice_off.step, slice_off.marks) == ((0, 0, -1), 11)
    assert shifted([(0, 0, -1)] * 3, [0.01] * 3) is None, "three marks a slice off may be chance"
    assert shifted(off, [0.01, 0.5, 0.6]) is None, "no dark spot there either"
    assert shifted([(0, 0, 0)] * 20 + [(1, 0, 0)] * 5, [0.01] * 25) is None
    assert shifted([], []) is None


def test_imprecise_marks_are_not_shifted():
    rng = np.random.default_rng(2)
    for _ in range(200):
        jitter = np.c_[rng.integers(-1, 2, (12, 2)), np.zeros(12, int)]
        assert shifted(jitter, np.full(12, 0.01)) is None


def test_touching_marks():
    cube = np.stack(np.indices((3, 3, 2)), axis=-1).reshape(-1, 3)
    assert touching(np.concatenate([cube, cube + 10, [(30, 30, 30)]])) == (36, 2)
    assert touching([(0, 0, 0), (2, 0, 0), (0, 9, 0)]) == (0, 0)
    assert touching(np.empty((0, 3))) == (0, 0)
