"""Sources of field, told by the phase around them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmb_toolkit.imaging.dipole import DIAMAGNETIC, dipole_likeness

SHAPE, SPACING, CENTRE = (40, 40, 12), (0.5, 0.5, 2.0), (20.3, 19.6, 6.2)
BRAIN = np.ones(SHAPE, bool)


def field(main_field, radius_mm=1.0):
    """Phase around a paramagnetic ball, and nothing in it."""
    offsets = (np.moveaxis(np.indices(SHAPE), 0, -1) - CENTRE) * SPACING
    away = np.maximum(np.linalg.norm(offsets, axis=-1), radius_mm)
    return (3 * ((offsets @ main_field) / away) ** 2 - 1) * (radius_mm / away) ** 3


@given(st.floats(0, np.pi), st.floats(0, 2 * np.pi), st.sampled_from([1, -1]))
def test_a_source_is_told_by_its_sign_whichever_way_the_field_goes(polar, azimuth, sign):
    along = np.array([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)])
    phase = sign * field(along).astype(np.float32)
    assert sign * dipole_likeness(phase, BRAIN, CENTRE, SPACING, along) > 0.99


def test_along_another_axis_it_is_no_such_dipole():
    found = dipole_likeness(field((0, 0, 1)).astype(np.float32), BRAIN, CENTRE, SPACING, (1, 0, 0))
    assert found < 0.3


def test_noise_is_neither():
    noise = np.random.default_rng(0).normal(0, 0.3, SHAPE).astype(np.float32)
    assert abs(dipole_likeness(noise, BRAIN, CENTRE, SPACING, (0, 0, 1))) < -DIAMAGNETIC


@pytest.mark.parametrize("what", ["outside the brain", "flat"])
def test_where_nothing_can_be_said_nothing_is(what):
    brain = np.zeros(SHAPE, bool) if what == "outside the brain" else BRAIN
    assert np.isnan(dipole_likeness(np.zeros(SHAPE, np.float32), brain, CENTRE, SPACING, (0, 0, 1)))


def test_at_the_corner_of_a_volume_what_is_there_is_asked():
    offsets = (np.moveaxis(np.indices(SHAPE), 0, -1) - (1.0, 1.0, 1.0)) * SPACING
    away = np.maximum(np.linalg.norm(offsets, axis=-1), 0.5)
    phase = ((3 * (offsets[..., 2] / away) ** 2 - 1) / away**3).astype(np.float32)
    assert dipole_likeness(phase, BRAIN, (1, 1, 1), SPACING, (0, 0, 1)) > 0.99
