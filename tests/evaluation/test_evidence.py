"""What is too little to choose by, and too near to be hit."""

import pytest

from cmb_toolkit.evaluation.evidence import chosen_on_few, nearer_than_a_slice


@pytest.mark.parametrize(("persons", "microbleeds", "few"), [(3, 10, False), (2, 99, True), (9, 9, True), (0, 0, True)])
def test_too_little_to_choose_by(persons, microbleeds, few):
    said = chosen_on_few("the threshold", persons, microbleeds)
    assert bool(said) == few
    assert all(f"the threshold was chosen on {persons} validation person" in line for line in said)


@pytest.mark.parametrize(
    ("distance", "slices", "near"), [(3, 2, False), (3, 3, False), (3, 3.0001, False), (3, 5, True)]
)
def test_nearer_than_the_next_slice(distance, slices, near):
    said = nearer_than_a_slice(distance, slices)
    assert bool(said) == near
    assert all(f"of 3 mm is less than the {slices:g} mm from slice to slice" in line for line in said)
