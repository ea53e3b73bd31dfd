"""Scores as probabilities."""

import numpy as np
from scipy.special import expit

from cmb_toolkit.evaluation.calibration import calibrated, platt


def test_a_curve_that_made_the_outcomes_is_found_again():
    rng = np.random.default_rng(0)
    log_odds = rng.uniform(-8, 8, 20_000)
    hit = rng.random(20_000) < expit(0.6 * log_odds - 1.5)
    slope, intercept = platt(expit(log_odds), hit)
    assert abs(slope - 0.6) < 0.05
    assert abs(intercept + 1.5) < 0.1


def test_few_that_are_told_apart_do_not_become_a_step():
    score = np.array([0.9, 0.95, 0.99, 0.97, 0.96, 0.01, 0.02, 0.03, 0.01, 0.05])
    hit = np.arange(10) < 5
    probability = calibrated(score, *platt(score, hit))
    assert probability[:5].min() > 0.7
    assert probability[5:].max() < 0.3
    assert probability.max() < 0.95, "five of five are no certainty"


def test_scores_that_tell_nothing_all_mean_the_share():
    rng = np.random.default_rng(1)
    score = rng.random(2000)
    slope, intercept = platt(score, rng.random(2000) < 0.2)
    assert abs(calibrated(np.array([0.1, 0.9]), slope, intercept) - 0.2).max() < 0.05
    assert slope >= 0
    np.testing.assert_allclose(calibrated(np.array([0.0, 1.0]), 1, 0), [1e-6, 1 - 1e-6])
