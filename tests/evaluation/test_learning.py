"""A detector's figures at a look, and what they say, against numbers worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from cmb_toolkit.evaluation.learning import by_heart, found_by_chance, look_figures, told_from_chance

MARKS = pd.DataFrame(
    [("sub-001", 5, 0.0, 0.0, 10.0), ("sub-001", 8, 20.0, 0.0, 16.0), ("sub-002", 3, 5.0, 5.0, 6.0)],
    columns=["participant_id", "k", "x_mm", "y_mm", "z_mm"],
)


def candidates(rows):
    return pd.DataFrame(rows, columns=["participant_id", "k", "x_mm", "y_mm", "z_mm", "confidence"])


def falses(count, confidence, subject="sub-001"):
    return [(subject, 1, 100.0 + n, 100.0, 2.0, confidence) for n in range(count)]


def test_figures_of_a_look():
    hits = [
        ("sub-001", 5, 1.0, 0.0, 10.0, 0.9),  # 1 mm off in the plane
        ("sub-001", 9, 20.0, 2.0, 18.0, 0.5),  # a slice and 2 mm off
        ("sub-002", 3, 5.0, 5.0, 6.0, 0.1),
    ]
    table = candidates([*hits, *falses(45, 0.7), *falses(90, 0.3), *falses(200, 0.05)])
    found = look_figures(table, MARKS, ["sub-001", "sub-002"], {"sub-001": 2.0, "sub-002": 2.0})
    # 45 false ones of two subjects are 22.5, with the next 90 they are 67.5
    assert (found["found_20"], found["found_50"], found["found_100"]) == (1, 2, 3)
    assert found["error_mm"] == pytest.approx(math.sqrt((1 + 8 + 0) / 3))
    assert found["error_in_plane_mm"] == pytest.approx(math.sqrt((1 + 4 + 0) / 3))
    # a third subject without a candidate still counts: 45 / 3 are 15, and all that is left is within 100
    assert look_figures(table, MARKS, ["sub-001", "sub-002", "sub-003"], {})["found_20"] == 2


def test_figures_where_nothing_is_found():
    for table in (candidates([]), candidates(falses(300, 0.5))):
        found = look_figures(table, MARKS, ["sub-001", "sub-002"], {})
        assert [found[f"found_{n}"] for n in (20, 50, 100)] == [0, 0, 0]
        assert math.isnan(found["error_mm"])
    assert look_figures(candidates(falses(3, 0.5)), MARKS[:0], ["sub-001"], {})["found_100"] == 0


@pytest.mark.parametrize(
    ("train", "validation", "expected"),
    [
        ((99, 100), (79, 100), True),
        ((30, 30), (17, 24), True),
        ((10, 10), (8, 10), False),  # two of ten: chance
        ((990, 1000), (920, 1000), False),  # surely, but not by much
        ((79, 100), (99, 100), False),
        ((5, 5), (0, 0), False),
    ],
)
def test_what_is_learned_by_heart(train, validation, expected):
    assert by_heart(*train, *validation) is expected


def test_chance_is_what_candidates_placed_anywhere_reach():
    shape, thick = (60, 60, 16), 2.0  # mm, mm, slices
    expected = found_by_chance(60 * 60 * 16 * thick, thick, 100)
    random = np.random.default_rng(0)
    places = np.stack([random.uniform(0, 60, (4000, 100)), random.uniform(0, 60, (4000, 100))], axis=-1)
    slices = random.integers(shape[2], size=(4000, 100))
    square = ((places - 30) ** 2).sum(axis=-1) + ((slices - 8) * thick) ** 2
    assert (square <= 9).any(axis=1).mean() == pytest.approx(expected, abs=0.02)
    assert found_by_chance(1000.0, 5.0, 0) == 0
    assert found_by_chance(1000.0, 5.0, 1) == pytest.approx(np.pi * 9 * 5 / 1000)


def test_what_cannot_be_told_from_chance():
    assert not told_from_chance(0, [0.001] * 20)
    assert told_from_chance(2, [0.001] * 20)
    assert not told_from_chance(12, [0.5] * 20)
    assert told_from_chance(17, [0.5] * 20)
    assert told_from_chance(0, [])
