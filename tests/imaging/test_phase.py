"""Units and sign of the phase."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmb_toolkit.errors import DataError
from cmb_toolkit.imaging.phase import alternating_slices, phase_scale, to_radians, without_alternation

TRUE = np.random.default_rng(0).uniform(-np.pi, np.pi, (20, 21, 22))
BITS = np.floor((TRUE + np.pi) / (2 * np.pi) * 4096)  # 0..4095
ROWS = {
    "radians, -pi..pi": TRUE,
    "radians, 0..2 pi": TRUE + np.pi,
    "milliradians, -3142..3142": TRUE * 1000,
    "12 bits, 0..4095": BITS,
    "12 bits scaled, -4096..4094": 2 * BITS - 4096,
    "12 bits scaled twice, -12288..4092": 2 * (2 * BITS - 4096) - 4096,
}


def smooth(span):
    i, j, _ = np.mgrid[:40, :40, :6]
    ramp = (i + j) / 78.0
    return (ramp * span - span / 3).astype(np.float32)


@pytest.mark.parametrize("unit", ROWS)
def test_known_ranges_become_the_same_radians(unit):
    scale = phase_scale(ROWS[unit])
    assert scale.unit == unit
    assert scale.wrapped
    difference = np.angle(np.exp(1j * (to_radians(ROWS[unit], scale) - TRUE)))
    assert np.abs(difference).max() < 2 * np.pi / 4096 + 1e-4
    assert bool(scale.warnings) == ("twice" in unit)


def test_scaled_twice_without_the_lowest_values():
    values = ROWS["12 bits scaled twice, -12288..4092"]
    scale = phase_scale(values[values >= -8192])
    assert "twice" in scale.unit


@pytest.mark.parametrize("unit", ROWS)
@given(cut=st.floats(0.0, 0.015), more=st.floats(0.05, 0.4))
@settings(max_examples=20, deadline=None)
def test_tolerance_is_two_percent_of_the_span(unit, cut, more):
    values = ROWS[unit]
    low, high = values.min(), values.max()
    span = high - low
    assert phase_scale(np.clip(values, low + cut * span, high - cut * span)).unit == unit
    with pytest.raises(DataError, match="unit of the phase is not known"):
        phase_scale(np.clip(values, low, high - more * span))


@pytest.mark.parametrize(
    "values",
    [
        TRUE * 0.003674 / np.pi,  # a real file whose slope was applied to nothing known
        np.rint((TRUE + np.pi) / (2 * np.pi) * 255),  # a screenshot
        TRUE / np.pi * 180,
        TRUE * 0.8,  # no wraps: the scale cannot be seen
        TRUE * 10 / np.pi,  # wraps in an unknown unit, not unwrapped radians
        BITS / 2,
        (TRUE + np.pi) / (2 * np.pi),
        TRUE / np.pi,
    ],
    ids=["real crop", "8 bits", "degrees", "no wraps", "span 20", "11 bits", "0..1", "-1..1"],
)
def test_unknown_units_are_refused_with_the_way_out(values):
    with pytest.raises(DataError, match=r"--phase-range SPAN"):
        phase_scale(values)


def test_unwrapped_radians_are_taken_as_such():
    scale = phase_scale(smooth(20.0))
    assert not scale.wrapped
    np.testing.assert_array_equal(to_radians(smooth(20.0), scale), smooth(20.0))


def test_given_span():
    scale = phase_scale(TRUE * 0.003674 / np.pi, 0.007348)
    np.testing.assert_allclose(to_radians(TRUE * 0.003674 / np.pi, scale), TRUE, atol=1e-5)
    assert not scale.warnings


def test_given_span_from_zero_lands_on_minus_pi_to_pi():
    radians = to_radians((TRUE + np.pi) * 7, phase_scale((TRUE + np.pi) * 7, 14 * np.pi))
    np.testing.assert_allclose(radians, TRUE, atol=1e-5)


def test_given_radians_need_not_fill_the_cycle():
    scale = phase_scale(TRUE * 0.3, "radians")
    np.testing.assert_allclose(to_radians(TRUE * 0.3, scale), TRUE * 0.3, atol=1e-6)
    assert "fills only 30%" in scale.warnings[0]


def test_given_unwrapped():
    assert not phase_scale(smooth(20.0), "radians").wrapped


def test_a_picture_is_told_from_a_phase_image():
    picture = np.rint((TRUE + np.pi) / (2 * np.pi) * 255)
    (warning,) = phase_scale(picture, 256).warnings
    assert warning.startswith("the phase has only 256 different values")
    assert not phase_scale(BITS).warnings
    assert not phase_scale(picture[:2, :2] * 16, 4096.0).warnings  # too few voxels to tell


# -- signed values stored as unsigned ones, and other groups ----------------------------------------------------------


def unsigned(values):
    """What a reader makes of signed 16 bits that it takes for unsigned ones."""
    return np.rint(values).astype(np.int16).view(np.uint16).astype(np.float32)


@pytest.mark.parametrize(
    ("signed", "cycle"), [(TRUE * 1000, 6283.19), (2 * BITS - 4096, 8192), (BITS * 2 - 4096, 8192.0)]
)
@pytest.mark.parametrize(("slope", "intercept"), [(1, 0), (0.25, 0), (2.0, -7)])
def test_signed_values_stored_as_unsigned_ones(signed, cycle, slope, intercept):
    values = np.float32(unsigned(signed) * slope + intercept)
    with pytest.raises(DataError, match=r"signed numbers, .* that were stored as unsigned ones") as caught:
        phase_scale(values)
    if (slope, intercept) == (1, 0):
        proposed = re.findall(r"--phase-range ([\d.]+)", str(caught.value))
        assert [float(span) for span in proposed] == [pytest.approx(cycle)]
    scale = phase_scale(values, cycle * slope)
    assert "this was undone" in scale.warnings[-1]
    expected = np.rint(signed) * 2 * np.pi / cycle
    difference = to_radians(values, scale) - expected
    assert np.ptp(difference) < 1e-3  # no cycle more or less anywhere
    for wrong in (65535 * slope, 65536 * slope):
        with pytest.raises(DataError, match=r"fill only 1\d% of the given cycle"):
            phase_scale(values, wrong)


def test_signed_values_of_an_unknown_unit_stored_as_unsigned_ones():
    values = unsigned(TRUE * 2000)
    with pytest.raises(DataError, match="stored as unsigned ones") as caught:
        phase_scale(values)
    assert "--phase-range" not in str(caught.value)
    assert not phase_scale(values, 12566.4).warnings[:-1]


def test_unsigned_values_that_fill_16_bits_need_no_repair():
    values = unsigned(TRUE / np.pi * 32767.4)
    scale = phase_scale(values, 65536)
    assert scale.groups is None
    difference = np.angle(np.exp(1j * (to_radians(values, scale) - TRUE - np.pi)))
    assert np.abs(difference).max() < 1e-3


@pytest.mark.parametrize("values", [np.where(TRUE > 2.9, -9.0, TRUE * 0.2), np.where(TRUE > 2.9, 4.0, TRUE * 0.2)])
def test_padding_is_no_end_of_a_cycle(values):
    with pytest.raises(DataError, match="values lie in two groups") as caught:
        phase_scale(values)
    assert not re.search(r"--phase-range [\d.]", str(caught.value))
    assert any("two groups" in warning for warning in phase_scale(values, float(np.ptp(values))).warnings)


def test_a_hot_voxel_makes_no_unwrapped_phase():
    values = np.where(np.arange(TRUE.size).reshape(TRUE.shape) == 77, 9.0, TRUE)
    with pytest.raises(DataError, match="nearly all of its values lie within one"):
        phase_scale(values, "radians")
    with pytest.raises(DataError, match="unit of the phase is not known"):
        phase_scale(values)


# -- what is proposed -------------------------------------------------------------------------------------------


def proposed(values):
    with pytest.raises(DataError) as caught:
        phase_scale(values)
    return [float(span) for span in re.findall(r"--phase-range ([\d.]+)", str(caught.value))]


@pytest.mark.parametrize(
    ("values", "cycle"),
    [
        (TRUE * 0.003674 / np.pi, 0.007348),
        (TRUE / np.pi * 180, 360),
        (np.floor((TRUE + np.pi) / (2 * np.pi) * 360), 360),
        (np.floor((TRUE + np.pi) / (2 * np.pi) * 65536), 65536),
        (TRUE * 17999 / np.pi, 35998),
    ],
)
def test_a_cycle_that_is_filled_is_proposed(values, cycle):
    (span,) = proposed(values)
    assert span == pytest.approx(cycle, rel=1e-3)
    assert not [warning for warning in phase_scale(values, span).warnings if "check" in warning]


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).normal(0, 0.4, TRUE.shape),  # filtered
        np.where(np.arange(TRUE.size).reshape(TRUE.shape) == 77, 9.0, TRUE),  # one hot voxel
        np.clip(TRUE, -np.pi, 1.5),
        TRUE[:, :, :1].repeat(20, 2) * 0 + np.linspace(0, 0.7, 21)[None, :, None],  # no wraps
    ],
    ids=["filtered", "one hot voxel", "clipped", "no wraps"],
)
def test_no_cycle_is_proposed_where_none_is_seen(values):
    assert proposed(values) == []


def test_another_cycle_than_the_one_that_is_seen_is_named():
    (warning,) = phase_scale(TRUE / np.pi * 1800, 4096).warnings
    assert re.search(r"a cycle of 3599\.\d+ and not of the given 4096: check --phase-range", warning)


@pytest.mark.parametrize(
    ("values", "given_range", "message"),
    [
        (TRUE, 1.0, "6.28 cycles"),  # still wraps inside the given span
        (TRUE * 0.001, "radians", "spans only"),
        (TRUE, 4096.0, "spans only"),
        (TRUE, 0.0, "expected `radians` or"),
        (TRUE, float("nan"), "expected `radians` or"),
        (TRUE, "degrees", "expected `radians` or"),
    ],
)
def test_given_span_that_cannot_be(values, given_range, message):
    with pytest.raises(DataError, match=message):
        phase_scale(values, given_range)


def test_alternating_slices():
    mask = np.ones((20, 20, 8), bool)
    still = np.random.default_rng(1).normal(0.5, 0.1, mask.shape).astype(np.float32)
    assert not alternating_slices(still, mask)
    jumping = still + np.pi * (np.arange(8) % 2)
    assert alternating_slices(np.angle(np.exp(1j * jumping)).astype(np.float32), mask)
    assert not alternating_slices(still[:, :, :1], mask[:, :, :1])


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_alternation_is_undone_up_to_a_constant(seed):
    rng = np.random.default_rng(seed)
    phase = rng.uniform(-np.pi, np.pi, (5, 6, 7)).astype(np.float32)
    shift = rng.uniform(-np.pi, np.pi)
    jumping = np.angle(np.exp(1j * (phase + shift + np.pi * (np.arange(7) % 2)))).astype(np.float32)
    fixed = without_alternation(jumping)
    assert np.abs(fixed).max() <= np.float32(np.pi)
    np.testing.assert_allclose(np.angle(np.exp(1j * (fixed - phase - shift))), 0, atol=1e-5)
