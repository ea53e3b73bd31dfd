"""What a reviewed scan teaches."""

import numpy as np
import pandas as pd
import pytest

from cmb_toolkit.review.lessons import copies_of_rejected, lessons

AGREED = pd.DataFrame(
    {
        "id": [1, 2, 3, 4, 5],
        "verdict": ["yes", "no", "no", "unsure", None],
        "mimic": [None, "vein", None, None, None],
        "x_mm": [0.0, 20, 40, 60, 80],
        "y_mm": 0.0,
        "z_mm": 0.0,
    }
)
PLACES = np.array([(0.0, 2, 0), (0, 0, 4.5), (21, 0, 0), (40, 0, 0), (60, 0, 4.5), (80, 0, 1), (100, 0, 0)])


def test_what_is_agreed_is_learned_and_what_is_not_known_is_not():
    table = lessons(AGREED, PLACES, 2.0, reviewed=True)
    assert table["label"].fillna(-1).tolist() == [1, -1, 0, 0, -1, -1, 0]
    assert table["mimic"].fillna("").tolist() == ["", "", "vein", "not said", "", "", ""]


def test_a_scan_that_is_not_reviewed_gives_no_negatives_but_what_was_rejected():
    table = lessons(AGREED, PLACES, 2.0, reviewed=False)
    assert table["label"].fillna(-1).tolist() == [1, -1, 0, 0, -1, -1, -1]


def test_a_scan_without_findings_or_candidates():
    assert lessons(AGREED.iloc[:0], PLACES, 2.0, reviewed=True)["label"].tolist() == [0] * 7
    assert len(lessons(AGREED, np.zeros((0, 3)), 2.0, reviewed=True)) == 0


@pytest.mark.parametrize(("microbleeds", "rejected", "copies"), [(50, 10, 3), (50, 70, 2), (50, 200, 1), (5, 0, 3)])
def test_rejected_findings_are_learned_from_up_to_three_times(microbleeds, rejected, copies):
    assert copies_of_rejected(microbleeds, rejected) == copies
