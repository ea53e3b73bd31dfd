import math

import pandas as pd
import pytest

from cmb_toolkit.evaluation.patients import CLASSES, Average, averages, burden_classes

TABLE = pd.DataFrame(
    {
        "microbleeds": [4, 1, 0, 0, 6],
        "tp": [3, 0, 0, 0, 6],
        "fn": [1, 1, 0, 0, 0],
        "fp": [1, 0, 2, 0, 0],
    }
)


def test_means_and_medians_by_hand():
    found = averages(TABLE)
    assert found["sensitivity"] == Average(pytest.approx((0.75 + 0 + 1) / 3), 0.75, 3)
    assert found["precision"] == Average(pytest.approx((0.75 + 0 + 1) / 3), 0.75, 3)  # of those with a finding
    assert found["f1"] == Average(pytest.approx((6 / 8 + 0 + 1) / 3), 0.75, 3)
    assert found["fp"] == Average(0.6, 0, 5)
    assert found["count_error"] == Average(pytest.approx((0 + 1 + 2 + 0 + 0) / 5), 0, 5)


def test_pooled_and_averaged_are_not_the_same():
    assert averages(TABLE)["sensitivity"].mean != pytest.approx(9 / 11)


def test_of_nobody():
    found = averages(TABLE.iloc[:0])
    assert all(math.isnan(each.mean) and math.isnan(each.median) and each.subjects == 0 for each in found.values())


def test_classes_by_hand():
    found = burden_classes(TABLE)
    assert found == {
        "0": {"0": 1, "1-4": 1, ">=5": 0},
        "1-4": {"0": 1, "1-4": 1, ">=5": 0},
        ">=5": {"0": 0, "1-4": 0, ">=5": 1},
    }
    limits = pd.DataFrame({"microbleeds": [4, 5], "tp": [4, 5], "fn": 0, "fp": [1, 0]})
    assert burden_classes(limits)["1-4"][">=5"] == 1
    assert burden_classes(limits)[">=5"][">=5"] == 1
    assert list(CLASSES) == ["0", "1-4", ">=5"]
