"""Blocks of scans, as they are and enlarged."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cmb_toolkit.lessons.brains import Brain, cut_out, cut_out_enlarged

SPACING = (0.5, 0.5, 2.0)


def brain(mark=(20.0, 24.0, 9.0)):
    """A dark ball on grey, in a brain that ends at voxel 4 of the first axis."""
    grid = np.indices((48, 48, 20)).astype(float)
    ball = np.exp(-((grid - np.array(mark)[:, None, None, None]) ** 2).sum(0) / (2 * 2.0**2))
    mask = grid[0] >= 4
    channels = np.stack([np.where(mask, 0.3 - 0.6 * ball, 0), np.where(mask, 0.1 + 0.3 * ball, 0)], -1)
    return Brain(channels.astype(np.float16), mask, np.array([mark]), SPACING, (0, 0, 0))


@settings(max_examples=40, deadline=None)
@given(
    st.floats(1, 3),
    st.tuples(st.floats(17, 23), st.floats(21, 27), st.floats(8, 10)),
    st.sampled_from([(40, 40, 14), (33, 32, 15)]),
)
def test_what_is_enlarged_keeps_its_mark_and_grows(factor, middle, sides):
    image, mask, marks = cut_out_enlarged(brain(), np.array(middle), sides, factor)
    assert image.shape == (*sides, 2)
    assert image.dtype == np.float32
    assert (image[~mask] == 0).all()
    depth = (0.3 - image[..., 0]) / 0.6
    depth[image[..., 1] < 0.11] = 0  # and not what lies between the brain's last voxels and nothing
    for axis, at in enumerate(marks[0]):
        if not 5 * factor < at < sides[axis] - 1 - 5 * factor:
            continue  # the ball is not whole
        profile = depth.sum(axis=tuple(other for other in range(3) if other != axis))
        place = (profile * np.arange(sides[axis])).sum() / profile.sum()
        spread = np.sqrt((profile * (np.arange(sides[axis]) - place) ** 2).sum() / profile.sum())
        assert abs(place - at) < 0.15
        assert abs(spread / (1.93 * factor) - 1) < 0.1


def test_a_factor_of_one_changes_nothing():
    for middle in ((20, 24, 9), (3, 40, 2)):
        plain = cut_out(brain(), np.array(middle), (33, 31, 15))
        same = cut_out_enlarged(brain(), np.array(middle, float), (33, 31, 15), 1)
        for one, other in zip(plain, same, strict=True):
            np.testing.assert_allclose(other, one, atol=1e-6)


def test_beyond_the_brain_there_is_nothing():
    image, mask, _ = cut_out_enlarged(brain(), np.array([4.0, 24, 9]), (40, 40, 14), 2)
    assert 0.4 < mask.mean() < 0.6
    assert not mask[:18].any()
    assert (image[~mask] == 0).all()
    assert image[22:, ..., 0].mean() > 0.25
