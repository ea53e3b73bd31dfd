"""A model beside its parent: worse where it finds less, whatever its false positives."""

import json

import pytest
from hand_made_model import content

from cmb_toolkit.bundle.card import card
from cmb_toolkit.bundle.content import Compared, Parent, parse
from cmb_toolkit.bundle.parent import verdict

SAME = (0.8, 0.8, 0.0, -0.1, 0.1)
FEWER, MORE = (3.0, 1.0, -2.0, -3.0, -1.0), (1.0, 3.0, 2.0, 1.0, 3.0)


@pytest.mark.parametrize(
    ("sensitivity", "false_positives", "expected"),
    [
        (SAME, FEWER, "better"),
        ((0.8, 0.5, -0.3, -0.5, -0.1), FEWER, "worse"),
        (SAME, MORE, "worse"),
        ((0.5, 0.8, 0.3, 0.1, 0.5), MORE, "not told apart"),
        ((0.5, 0.8, 0.3, 0.1, 0.5), (1.0, 1.0, 0.0, -1.0, 1.0), "better"),
        (SAME, (1.0, 1.0, 0.0, -1.0, 1.0), "not told apart"),
    ],
)
def test_worse_and_better(sensitivity, false_positives, expected):
    assert verdict(Compared(sensitivity, false_positives)) == expected


def test_nothing_held_out_tells_nothing():
    assert verdict(None) == "not told apart"


def test_a_model_says_what_it_came_from_and_one_without_a_parent_is_as_before():
    parent = Parent("ours 1", "ab" * 32, 9, 20, 3, {"vein": 14}, 12, {"balanced": Compared(SAME, MORE)}, "worse")
    said = content(parent=parent)
    value = json.loads(json.dumps(said.as_json()))
    assert parse(value, "x").parent == parent
    assert "**It is worse than its parent: do not use it in its place**" in card(said)
    assert "+2.00 (+1.00 to +3.00)" in card(said)
    assert "parent" not in content().as_json()
    assert "parent" not in card(content())
