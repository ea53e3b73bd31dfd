"""Cleaning a scan is one call on arrays."""

import numpy as np
import pytest

from cmb_toolkit.imaging.clean import Acquired, UnusableError, clean
from cmb_toolkit.imaging.recipe import Cleaning

CROP = Cleaning(brain_mask="none", phase_range="radians", highpass="homodyne", minip_slices=2)


@pytest.fixture
def crop():
    rng = np.random.default_rng(0)
    magnitude = (100 + rng.normal(0, 1, (32, 32, 6))).astype(np.float32)
    phase = rng.normal(0, 0.05, magnitude.shape).astype(np.float32)
    phase[15:18, 15:18, 3] = 1.5
    return Acquired(phase, magnitude, (0.5, 0.5, 2.0))


def test_all_volumes_lie_in_the_brain_and_show_what_is_paramagnetic(crop):
    brain = np.ones(crop.phase.shape, bool)
    brain[:4] = False
    done = clean(crop, CROP, brain)
    assert set(done.volumes) == {"magnitude", "phase", "swi", "minip"}
    assert all(not data[~done.mask].any() for data in done.volumes.values())
    assert done.volumes["phase"][16, 16, 3] > 0.5
    assert done.volumes["swi"][16, 16, 3] < 0.5 * crop.magnitude[16, 16, 3]
    assert (done.brain_mask, done.sign, done.brain_ml) == ("given", 1, round(28 * 32 * 6 * 0.5e-3, 1))


def test_the_sign_turns_every_phase(crop):
    one, other = clean(crop, CROP), clean(crop, Cleaning(**{**vars(CROP), "phase_sign": -1}), sign_is_known=True)
    np.testing.assert_array_equal(one.steps["wrapped"], -other.steps["wrapped"])
    np.testing.assert_array_equal(one.volumes["phase"], -other.volumes["phase"])
    assert other.phase_sign == "-1 as given"


def test_another_program_may_find_the_brain_and_what_is_not_finite_is_left_out(crop):
    hole = np.zeros(crop.phase.shape, bool)
    hole[20, 20, 2] = True
    scan = Acquired(crop.phase, crop.magnitude, crop.spacing, invalid={"phase": hole})
    inside = np.zeros(crop.phase.shape, bool)
    inside[8:28, 8:28] = True
    done = clean(scan, Cleaning(phase_range="radians"), extract=("a program", lambda fraction: inside))
    np.testing.assert_array_equal(done.mask, inside & ~hole)
    assert done.brain_mask == "a program"
    assert [image for image, text in done.notes if "NaN" in text] == ["phase"]


def test_an_error_says_which_image(crop):
    with pytest.raises(UnusableError, match="no voxel is left") as error:
        clean(crop, CROP, np.zeros(crop.phase.shape, bool))
    assert error.value.image == "structure"
