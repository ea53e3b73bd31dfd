import numpy as np
import pytest

from cmb_toolkit.errors import UsageError
from cmb_toolkit.imaging.frame import apply, make_frame
from cmb_toolkit.model import INPUTS
from cmb_toolkit.stage1.composite import average_slices, composite, needs

SHAPE = (14, 16, 4)
FRAME = make_frame(SHAPE[:2], 16)


@pytest.fixture
def volumes():
    rng = np.random.default_rng(3)
    swi, phase, magnitude = (rng.random(SHAPE).astype(np.float32) for _ in range(3))
    mask = np.zeros(SHAPE, bool)
    mask[3:-3, 3:-3] = True
    return {"swi": swi, "phase": phase, "magnitude": magnitude, "mask": mask}


def eight_bit(volume):
    return np.rint(apply(FRAME, volume) * 255).astype(np.uint8)


def close(image, wanted):
    return np.abs(image.astype(int) - wanted.astype(int)).max() <= 1


def test_needs():
    assert [needs(name) for name in INPUTS] == [
        ("swi",),
        ("swi", "phase"),
        ("swi", "phase", "magnitude"),
        ("swi", "phase"),
        ("swi", "phase"),
    ]
    with pytest.raises(UsageError, match="swi\\+cphase-averaged"):
        needs("phase")


@pytest.mark.parametrize("name", INPUTS)
def test_shape_and_type(name, volumes):
    images = composite(name, FRAME, **volumes)
    assert images.shape == (4, 16, 16, 3)
    assert images.dtype == np.uint8
    assert images[..., 0].any()


def test_channels_are_red_swi_green_phase_blue_magnitude(volumes):
    images = composite("swi+phase+magnitude", FRAME, **volumes)
    for n, name in enumerate(("swi", "phase", "magnitude")):
        assert close(images[..., n], eight_bit(volumes[name]))


def test_swi_alone_is_grey(volumes):
    images = composite("swi", FRAME, swi=volumes["swi"])
    assert close(images[..., 0], eight_bit(volumes["swi"]))
    assert (images == images[..., :1]).all()


def test_two_channels_leave_blue_black(volumes):
    assert not composite("swi+phase", FRAME, **volumes)[..., 2].any()


def test_complement_inside_the_mask_and_black_outside(volumes):
    images = composite("swi+cphase", FRAME, **volumes)
    assert close(images[..., 1], eight_bit(np.where(volumes["mask"], 1 - volumes["phase"], 0)))
    assert not images[..., 1][eight_bit(volumes["mask"].astype(float)) == 0].any()


def test_complement_with_the_literal_background(volumes):
    """1 - 0 = 1 outside the brain, and where the image reaches beyond the volume; other channels stay as they are."""
    frame = make_frame(SHAPE[:2], 16, "crop")
    images = composite("swi+cphase", frame, background="white", **volumes)
    inside = apply(frame, volumes["mask"]) > 0
    assert (images[..., 1][~inside] == 255).all()
    assert close(images[..., 1][inside], composite("swi+cphase", frame, **volumes)[..., 1][inside])
    assert (images[:, :, 0, 1] == 255).all(), "14 columns padded to 16"
    assert not images[:, :, 0, 0].any()
    plain = composite("swi+phase", FRAME, background="white", **volumes)
    np.testing.assert_array_equal(plain, composite("swi+phase", FRAME, **volumes))


def test_averaging_takes_what_exists_at_the_ends():
    images = np.arange(5, dtype=np.float32)[:, None, None] ** 2 * np.ones((1, 2, 3), np.float32)
    assert np.allclose(average_slices(images)[:, 0, 0], [0.5, 5 / 3, 14 / 3, 29 / 3, 12.5])
    single = np.full((1, 2, 2), 7, np.float32)
    assert np.array_equal(average_slices(single), single)


def test_averaged_input_is_the_mean_of_neighbours(volumes):
    images = composite("swi+cphase-averaged", FRAME, **volumes)
    swi = volumes["swi"]
    complement = np.where(volumes["mask"], 1 - volumes["phase"], 0)
    for n, volume in enumerate((swi, complement)):
        assert close(images[1, ..., n], eight_bit(volume[..., 0:3].mean(axis=2)))
        assert close(images[0, ..., n], eight_bit(volume[..., 0:2].mean(axis=2)))
        assert close(images[3, ..., n], eight_bit(volume[..., 2:4].mean(axis=2)))


def test_values_beyond_one_are_clipped(volumes):
    images = composite("swi", FRAME, swi=volumes["swi"] * 3 - 1)
    assert images.max() == 255
    assert images.min() == 0


def test_missing_volumes_are_named(volumes):
    with pytest.raises(UsageError, match="phase and magnitude"):
        composite("swi+phase+magnitude", FRAME, swi=volumes["swi"])
    with pytest.raises(UsageError, match="mask"):
        composite("swi+cphase", FRAME, swi=volumes["swi"], phase=volumes["phase"])
