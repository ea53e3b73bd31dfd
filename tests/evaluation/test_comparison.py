import math

import numpy as np
import pandas as pd
import pytest

from cmb_toolkit.errors import DataError
from cmb_toolkit.evaluation.comparison import compare, pool_seeds
from cmb_toolkit.evaluation.metrics import bootstrap
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
    assert (same[["difference", "low", "high"]] == 0).all(axis=None)


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
