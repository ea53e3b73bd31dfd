"""Two opinions of a candidate as one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmb_toolkit.stage2.weighing import pooled

SHARE = st.floats(0, 1)


def test_log_odds_are_averaged():
    """Odds of 4 and 1/9 pool to the root of their product, 2/3, which is a probability of 0.4."""
    assert pooled(np.array([0.8]), np.array([0.1])) == pytest.approx([0.4])


@given(SHARE, SHARE, SHARE)
def test_between_the_two_alike_and_rising_in_each(one, other, higher):
    both = pooled(np.array([one, other]), np.array([other, one]))
    assert both[0] == both[1]
    assert min(one, other) - 2e-6 <= both[0] <= max(one, other) + 2e-6
    assert pooled(np.array([max(one, higher)]), np.array([other])) >= both[0] - 1e-15


def test_what_is_no_number_stays_none():
    assert np.isnan(pooled(np.array([np.nan]), np.array([0.5]))).all()
