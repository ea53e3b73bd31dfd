import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmb_toolkit.stage2.skill import auc, enough, no_skill, spread, standard_error

LABELS = np.repeat([1, 0], [35, 160])


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5)), min_size=2, max_size=40))
def test_auc_is_the_share_of_pairs_in_order(rows):
    labels, score = np.array(rows).T
    positive, negative = score[labels == 1], score[labels == 0]
    if not len(positive) or not len(negative):
        assert np.isnan(auc(labels, score))
        return
    pairs = (positive[:, None] > negative).mean() + 0.5 * (positive[:, None] == negative).mean()
    assert auc(labels, score) == pytest.approx(pairs)


def test_spread_is_of_the_log_odds():
    assert spread(np.array([0.5, 0.5])) == 0
    assert spread(np.array([0.2, 0.5, 0.8])) == pytest.approx(2 * np.log(4))
    assert spread(np.array([1e-6, 1e-5])) == pytest.approx(np.log(10), rel=1e-3), "far below any threshold, yet apart"
    assert spread(np.array([0.0, 1.0])) < 40
    assert spread(np.array([1.0, 1.0])) == spread(np.array([])) == 0


def test_the_standard_error_is_that_of_outputs_that_know_nothing():
    rng = np.random.default_rng(0)
    areas = [auc(LABELS, rng.random(len(LABELS))) for _ in range(2000)]
    assert np.std(areas) == pytest.approx(standard_error(LABELS), rel=0.06)


@pytest.mark.parametrize(
    ("area", "apart", "words"),
    [
        (0.95, 5.0, ""),
        (0.62, 5.0, ""),
        (0.60, 5.0, "no better than chance: the area under the ROC curve is 0.60, and chance gives 0.50 +- 0.11"),
        (0.20, 5.0, "no better than chance"),  # the wrong way round is of no use either
        (0.95, 0.001, "gives one output for all 195 validation patches"),
    ],
)
def test_what_is_no_skill(area, apart, words):
    why = no_skill(LABELS, area, apart)
    assert words in why
    assert bool(why) == bool(words)


@pytest.mark.parametrize(("positives", "others", "judged"), [(10, 10, True), (9, 500, False), (500, 9, False)])
def test_few_patches_are_not_judged_by(positives, others, judged):
    labels = np.repeat([1, 0], [positives, others])
    assert enough(labels) is judged
    assert bool(no_skill(labels, 0.5, 0.0)) is judged
