"""Which finding each thing that came back is about."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cmb_toolkit.review.matching import PART, matched
from cmb_toolkit.review.words import GONE_MM, NEAR_MM, PART_MM

PLACES = st.integers(0, 8).flatmap(lambda n: arrays(float, (n, 3), elements=st.floats(-20, 20, width=32)))
NAN = np.full(3, np.nan)


def ids(places):
    return np.arange(1, len(places) + 1)


@given(PLACES)
def test_what_comes_back_untouched_is_itself(places):
    found = matched(ids(places), places, ids(places).astype(float), places)
    assert found.tolist() == list(range(len(places)))


@given(PLACES, PLACES, st.randoms(use_true_random=False), st.data())
def test_each_finding_has_one_row_whatever_their_order(places, at, random, data):
    said = data.draw(arrays(float, len(at), elements=st.sampled_from([np.nan, 1.0, 2.0, 3.0, 99.0])))
    found = matched(ids(places), places, said, at)
    of_findings = found[found >= 0]
    assert len(set(of_findings.tolist())) == len(of_findings)
    for row, finding in enumerate(found.tolist()):
        own = said[row] == finding + 1
        if finding >= 0:
            assert np.linalg.norm(at[row] - places[finding]) <= (GONE_MM if own else NEAR_MM)
        elif finding == PART:
            assert np.linalg.norm(at[row] - places[int(said[row]) - 1]) <= PART_MM
    # what is near a finding that nobody else is about is about it
    left = set(range(len(places))) - set(of_findings.tolist())
    for row in np.flatnonzero(found == -1):
        assert all(np.linalg.norm(at[row] - places[finding]) > NEAR_MM for finding in left)
    order = random.sample(range(len(at)), len(at))
    distinct = len({tuple(row) for row in at}) == len(at)
    away = np.round(np.linalg.norm(at[:, None] - places[None], axis=2), 9)
    if distinct and len(np.unique(away)) == away.size:
        assert matched(ids(places), places, said[order], at[order]).tolist() == found[order].tolist()


def test_by_id_without_a_place_by_place_without_an_id_and_never_twice():
    places = np.array([(0.0, 0, 0), (10, 0, 0), (20, 0, 0)])
    said = np.array([2.0, np.nan, np.nan, 3, 7])
    at = np.array([NAN, (2.5, 0, 0), (9.0, 0, 0), (45, 0, 0), NAN])
    assert matched(ids(places), places, said, at).tolist() == [1, 0, -1, -1, -1]


def test_pieces_of_a_finding_are_parts_of_it():
    places = np.array([(0.0, 0, 0), (8.0, 0, 0)])
    at = np.array([(4.0, 0, 0), (0.5, 0, 0), (9.5, 0, 0)])
    assert matched(ids(places), places, np.array([1.0, 1, 1]), at).tolist() == [PART, 0, 1]
