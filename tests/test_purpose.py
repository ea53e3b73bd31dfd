import json
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmb_toolkit.purpose import TOLERANCE, Purpose, contradictions, doubts, together

LENGTH = st.floats(0.05, 20)
SPAN = st.tuples(LENGTH, LENGTH).map(lambda pair: (min(pair), max(pair)))
MODES = st.sampled_from(["crop", "resize", "crop+resize"])
WORDS = st.sampled_from(["swi", "swi+phase", "paper", "fixed"])
EXACT = ("network", "input", "scale", "background", "phase", "swi")
WHOLE = {
    **dict.fromkeys(EXACT, WORDS),
    **dict.fromkeys(("channels", "size"), st.integers(1, 512)),
    "mode": MODES,
    **dict.fromkeys(("pixel_mm", "slice_mm"), SPAN),
}
KNOWN = st.builds(Purpose, **WHOLE)
ANY = st.builds(Purpose, **{name: st.none() | strategy for name, strategy in WHOLE.items()})
HR = Purpose(
    "abc", "swi", 3, 448, "crop", "paper", "black", "paramagnetic positive", "paramagnetic", (0.5, 0.5), (2, 2)
)


def test_every_field_is_drawn():
    assert set(WHOLE) == {field.name for field in fields(Purpose)}


@given(ANY)
def test_what_it_was_trained_for_is_never_refused(purpose):
    assert contradictions(purpose, purpose) == []
    assert doubts(purpose, purpose) == []


@given(ANY)
def test_it_goes_through_json(purpose):
    again = Purpose.from_json(json.loads(json.dumps(purpose.as_json())))
    assert (again or Purpose()) == purpose


@given(KNOWN, st.sampled_from([*EXACT, "channels", "size"]))
def test_each_difference_is_named_once_and_only_if_both_are_known(purpose, name):
    other = {"channels": 1000, "size": 1000}.get(name, "another")
    asked = replace(purpose, **{name: other})
    (line,) = contradictions(purpose, asked)
    assert str(other) in line
    assert str(getattr(purpose, name)) in line
    assert contradictions(replace(purpose, **{name: None}), asked) == []
    assert contradictions(purpose, replace(purpose, **{name: None})) == []


@given(KNOWN, st.sampled_from(["pixel_mm", "slice_mm"]), st.floats(0.05, 20))
def test_sizes_beyond_a_fifth_are_doubted_and_no_others(purpose, name, factor):
    low, high = getattr(purpose, name)
    asked = replace(purpose, **{name: (low * factor, high * factor)})
    if abs(factor - 1) < TOLERANCE - 1e-4:
        assert doubts(purpose, asked) == []
    if (factor > 1 + TOLERANCE + 1e-4) or (factor < 1 - TOLERANCE - 1e-4):
        (line,) = doubts(purpose, asked)
        assert "more than 20% apart" in line
    assert contradictions(purpose, asked) == []


@given(KNOWN, st.sampled_from(sorted(WHOLE)))
def test_what_nobody_noted_is_doubted(purpose, name):
    (line,) = doubts(replace(purpose, **{name: None}), purpose)
    assert line.startswith("not known")
    assert doubts(purpose, replace(purpose, **{name: None})) == []


@given(st.lists(ANY, min_size=1, max_size=4))
def test_several_together_cover_each_of_them(purposes):
    both = together(purposes)
    for each in purposes:
        assert contradictions(both, each) == []
        assert [line for line in doubts(both, each) if not line.startswith("not known")] == []
    assert together(purposes[::-1]) == both
    assert together([both, both]) == both


def test_cropped_or_resized_matters_where_pixels_are_of_other_size():
    resized = replace(HR, mode="resize", pixel_mm=(0.5, 0.57))
    assert contradictions(HR, resized) == ["planes become images by: trained with crop, given resize"]
    nearly = replace(HR, mode="resize", pixel_mm=(0.51, 0.51))
    assert contradictions(HR, nearly) == []
    assert "pixels of nearly one size" in doubts(HR, nearly)[0]
    assert contradictions(replace(HR, mode="crop+resize"), resized) == []


def test_the_lines_are_for_people():
    asked = replace(HR, input="swi+phase", pixel_mm=(0.9, 1.0))
    assert contradictions(HR, asked) == ["input: trained with swi, given swi+phase"]
    assert doubts(HR, asked) == ["0.9 to 1 mm per pixel, trained with 0.5: more than 20% apart"]


@pytest.mark.parametrize(
    "value",
    [
        None, [], {}, "swi", {"inputs": "swi"}, {"input": 1}, {"size": "448"}, {"size": True}, {"pixel_mm": 0.5},
        {"pixel_mm": [0.5]}, {"pixel_mm": [0.5, "x"]}, {"slice_mm": [0, 1]}, {"slice_mm": [1, float("inf")]},
    ],
)  # fmt: skip
def test_what_is_no_purpose_is_none(value):
    assert Purpose.from_json(value) is None
