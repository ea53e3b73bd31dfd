"""Which brain mask is taken where the one that was asked for cannot be a brain's."""

from __future__ import annotations

import numpy as np
import pytest

from cmb_toolkit.errors import DataError
from cmb_toolkit.imaging.brain import find_brain, too_large, volume_ml

ZOOMS = (4.0, 4.0, 4.0)
RADIUS = np.sqrt(((np.mgrid[:50, :50, :50] - 24.5) ** 2).sum(0)) * 4


def ball(ml):
    return RADIUS**3 * 4 * np.pi / 3 < ml * 1000


def by_table(table):
    """An extraction whose volume at each fraction is known; it fails where the table has None."""
    asked = []

    def extract(fraction):
        asked.append(fraction)
        ml = np.interp(fraction, list(table), list(table.values()))
        if ml < 100:
            raise DataError("no brain was found")
        return ball(ml)

    return extract, asked


def test_a_usual_volume_is_taken_at_once():
    extract, asked = by_table({0: 1600, 1: 1400})
    found = find_brain(extract, ZOOMS, 0.5)
    assert (found.fraction, found.asked_ml, found.doubt, asked) == (0.5, None, "", [0.5])
    assert found.volume_ml == pytest.approx(1500, rel=0.02)


def test_a_leak_is_left_for_the_middle_of_the_steady_range():
    """The volumes of a real head of 3 mm voxels, whose mask leaks into neck, orbits and face."""
    volumes = {0.1: 3755, 0.5: 2402, 0.55: 2025, 0.6: 1785, 0.7: 1688, 0.8: 1619, 0.9: 1528, 1.0: 900}
    found = find_brain(by_table(volumes)[0], ZOOMS, 0.5)
    assert found.fraction == pytest.approx(0.75)
    assert found.volume_ml < 1700
    assert found.asked_ml == pytest.approx(2402, rel=0.02)
    assert found.doubt == ""


def test_a_mask_that_is_too_small_is_looked_for_the_other_way():
    found = find_brain(by_table({0: 1500, 0.3: 1400, 0.5: 400, 1: 300})[0], ZOOMS, 0.6)
    assert found.fraction < 0.4
    assert found.volume_ml > 1350


def test_a_large_head_that_stays_large_is_a_large_head():
    extract, asked = by_table({0.3: 2060, 0.7: 1940})
    found = find_brain(extract, ZOOMS, 0.5)
    assert (found.fraction, found.asked_ml, found.doubt) == (0.5, None, "")
    assert asked == [0.5, 0.55]


@pytest.mark.parametrize(
    ("volumes", "doubt"),
    [
        ({0: 3000, 1: 2500}, "large"),  # never a brain
        ({0.5: 2400, 0.55: 1500, 0.6: 1000, 0.65: 700, 0.7: 0}, "large"),  # passes through, never steady
        ({0: 500, 1: 100}, "small"),
    ],
)
def test_where_nothing_is_better_what_was_asked_for_stays_and_is_doubted(volumes, doubt):
    found = find_brain(by_table(volumes)[0], ZOOMS, 0.5)
    assert (found.fraction, found.asked_ml, found.doubt) == (0.5, None, doubt)


def test_the_end_of_the_scale():
    assert find_brain(by_table({0: 3000, 1: 2900})[0], ZOOMS, 0.95).doubt == "large"
    with pytest.raises(DataError):
        find_brain(by_table({0: 0, 1: 0})[0], ZOOMS, 0.5)


def test_a_slab_is_taken_as_it_is():
    extract, asked = by_table({0: 2500, 1: 2500})
    found = find_brain(lambda fraction: extract(fraction)[:, :, 20:30], ZOOMS, 0.5)
    assert (found.doubt, asked) == ("", [0.5])


def test_more_than_any_brain():
    assert too_large(np.ones((100, 100, 70), bool), (2, 2, 2))
    assert not too_large(ball(1900), ZOOMS)
    assert volume_ml(np.ones((10, 10, 10), bool), (1, 2, 0.5)) == pytest.approx(1.0)
