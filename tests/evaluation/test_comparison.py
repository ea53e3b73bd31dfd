import math

import numpy as np
import pandas as pd
import pytest

from cmb_toolkit.errors import DataError
from cmb_toolkit.evaluation.comparison import compare, pool_seeds
from cmb_toolkit.evaluation.intervals import bootstrap
from cmb_toolkit.model import Counts


def table(tp, fp, fn):
    names = [f"sub-{n}" for n in range(len(tp))]
    frame = pd.DataFrame({"participant_id": names, "tp": tp, "fp": fp, "fn": fn})
    return frame.assign(microbleeds=frame["tp"] + frame["fn"])


FIRST = table([1, 5, 0, 3, 2, 7], [9, 1, 4, 0, 2, 3], [1, 0, 2, 1, 0, 3])
SECOND = table([2, 5, 1, 3, 2, 8], [8, 1, 2, 0, 2, 1], [0, 0, 1, 1, 0, 2])


def test_differences_of_pooled_rates():
    found = compare(FIRST, SECOND).set_index("rate")
    assert found.at["sensitivity", "first"] == pytest.approx(18 / 25)
    assert found.at["sensitivity", "second"] == pytest.approx(21 / 25)
    assert found.at["sensitivity", "difference"] == pytest.approx(3 / 25)
    assert found.at["fp_per_subject", "difference"] == pytest.approx((14 - 19) / 6)
    assert ((found["low"] <= found["difference"]) & (found["difference"] <= found["high"])).all()


def test_the_same_twice_differs_by_nothing_and_order_does_not_matter():
    same = compare(FIRST, FIRST.iloc[::-1])
    assert (same["difference"] == 0).all()
    pd.testing.assert_frame_equal(compare(FIRST, SECOND), compare(FIRST.iloc[::-1], SECOND))


def test_no_difference_in_few_persons_is_not_known_to_be_none():
    few = compare(FIRST, FIRST).set_index("rate")
    more = pd.concat([FIRST] * 5, ignore_index=True)
    more["participant_id"] = [f"sub-{n}" for n in range(len(more))]
    many = compare(more, more).set_index("rate")
    assert (few["low"] == -few["high"]).all()
    assert (many["high"] < few["high"]).all()
    assert few.loc["sensitivity", "high"] == pytest.approx(3.8415 / (3.8415 + 6), abs=1e-4)
    one = compare(FIRST.iloc[:1], SECOND.iloc[:1]).set_index("rate")
    assert np.isnan(one.loc["fp_per_subject", ["low", "high"]].to_numpy(float)).all()
    assert one.loc["sensitivity", "low"] < 0 < one.loc["sensitivity", "high"] <= 1


def test_scans_of_one_person_are_one_draw():
    people = [f"p{n // 2}" for n in range(6)]
    apart, together = compare(FIRST, SECOND), compare(FIRST.assign(person_id=people), SECOND.assign(person_id=people))
    pd.testing.assert_frame_equal(apart.iloc[:, :4], together.iloc[:, :4])
    summed = [
        each.groupby(people).sum(numeric_only=True).reset_index(names="participant_id") for each in (FIRST, SECOND)
    ]
    expected = compare(*summed)
    assert together.loc[:2, "low"].tolist() == expected.loc[:2, "low"].tolist()
    assert together.loc[3, "high"] == pytest.approx(expected.loc[3, "high"] / 2), "per scan, of which each has two"


def test_pairing_makes_the_interval_narrower():
    paired = compare(FIRST, SECOND).set_index("rate")
    single = bootstrap(FIRST)["fp_per_subject"]
    assert np.ptp(paired.loc["fp_per_subject", ["low", "high"]].to_numpy(float)) < single[1] - single[0]


def test_the_interval_by_hand():
    draws = np.random.default_rng(3).integers(6, size=(40, 6))
    differences = [(SECOND["fp"].to_numpy()[draw].sum() - FIRST["fp"].to_numpy()[draw].sum()) / 6 for draw in draws]
    line = compare(FIRST, SECOND, samples=40, seed=3).set_index("rate").loc["fp_per_subject"]
    assert (line["low"], line["high"]) == pytest.approx(tuple(np.quantile(differences, [0.025, 0.975])))


def test_different_subjects_or_marks_are_not_compared():
    with pytest.raises(DataError, match="sub-5 is not"):
        compare(FIRST, SECOND.iloc[:5])
    with pytest.raises(DataError, match="sub-0 has 2 microbleeds on one side and 3"):
        compare(FIRST, SECOND.assign(microbleeds=SECOND["microbleeds"] + (SECOND["participant_id"] == "sub-0")))
    with pytest.raises(DataError, match="no subject"):
        compare(FIRST.iloc[:0], SECOND.iloc[:0])


def test_seeds():
    found = pool_seeds([Counts(8, 4, 2, subjects=4), Counts(6, 2, 4, subjects=4), Counts(10, 0, 0, subjects=4)])
    lines = found.set_index("rate")
    assert lines.loc["sensitivity", ["mean", "low", "high", "seeds"]].tolist() == pytest.approx([0.8, 0.6, 1.0, 3])
    assert lines.loc["fp_per_subject", ["mean", "low", "high"]].tolist() == pytest.approx([0.5, 0, 1])
    nothing = pool_seeds([Counts(subjects=2), Counts(fp=1, subjects=2)]).set_index("rate")
    assert math.isnan(nothing.at["sensitivity", "mean"])
    assert nothing.at["precision", "seeds"] == 1
    with pytest.raises(DataError, match="numbers of subjects: 4, 5"):
        pool_seeds([Counts(subjects=4), Counts(subjects=5)])
