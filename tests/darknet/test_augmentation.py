from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmb_toolkit.darknet.augmentation import augment, is_plain, network_size
from cmb_toolkit.darknet.cfg import Cfg
from cmb_toolkit.darknet.layers import Net, Region

REGION = Region(anchors=((1.0, 1.0),), classes=1, jitter=0.0)
BOX = np.array([[0.4, 0.55, 0.2, 0.3, 0]], np.float32)


def make_cfg(jitter: float = 0.0, random: float = 0.0, **net: object) -> Cfg:
    settings = {"width": 80, "height": 80, "flip": False, "max_batches": 1000} | net
    return Cfg(Net(**settings), (replace(REGION, jitter=jitter, random=random),), ((6, 10, 10),))


def marked() -> np.ndarray:
    """A grey image with the box painted white."""
    image = np.full((80, 80, 3), 60, np.uint8)
    image[32:56, 24:40] = 255
    return image


def test_nothing_asked_nothing_done():
    cfg = make_cfg()
    assert is_plain(cfg)
    image, boxes = augment(marked(), BOX, cfg, (80, 80), np.random.default_rng(0))
    np.testing.assert_array_equal(image, marked())
    np.testing.assert_array_equal(boxes, BOX)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), flip=st.booleans(), side=st.sampled_from([64, 80, 96]))
def test_boxes_follow_the_image(seed, flip, side):
    """Cut, stretched and mirrored, the box still is where the white is."""
    cfg = make_cfg(jitter=0.3, flip=flip)
    image, boxes = augment(marked(), BOX, cfg, (side, side), np.random.default_rng(seed))
    assert image.shape == (side, side, 3)
    white = np.argwhere(image[..., 0] > 157)
    if not len(boxes):
        assert len(white) < side  # less than a pixel of width or height is left
        return
    low, high = white.min(axis=0), white.max(axis=0) + 1
    x, y, w, h, _ = boxes[0] * side
    assert [y - h / 2, x - w / 2] == pytest.approx(low.tolist(), abs=1.6)
    assert [y + h / 2, x + w / 2] == pytest.approx(high.tolist(), abs=1.6)


def test_jitter_is_as_strong_as_asked():
    """Each side moves by up to 30 %, so the box's width becomes 0.2 / (1 +- 0.6) of the image."""
    cfg = make_cfg(jitter=0.3)
    widths = [augment(marked(), BOX, cfg, (80, 80), np.random.default_rng(n))[1][:, 2] for n in range(300)]
    found = np.concatenate(widths)
    assert 0.2 / 1.6 <= found.min() < 0.14
    assert 0.35 < found.max() <= 0.51


def test_flip_happens_half_of_the_time():
    cfg = make_cfg(flip=True)
    left = [augment(marked(), BOX, cfg, (80, 80), np.random.default_rng(n))[1][0, 0] for n in range(200)]
    assert sorted({round(float(x), 3) for x in left}) == [0.4, 0.6]
    assert 70 < sum(x < 0.5 for x in left) < 130


def test_colours():
    cfg = make_cfg(exposure=1.5, saturation=1.5, hue=0.1)
    assert not is_plain(cfg)
    grey = np.full((80, 80, 3), 100, np.uint8)
    values = [augment(grey, BOX, cfg, (80, 80), np.random.default_rng(n))[0] for n in range(200)]
    assert all(np.ptp(image) == 0 for image in values)  # hue and saturation do nothing to grey
    brightness = [int(image[0, 0, 0]) for image in values]
    assert min(brightness) == pytest.approx(67, abs=2)
    assert max(brightness) == pytest.approx(150, abs=2)
    red = grey * np.array([2, 0, 0], np.uint8)
    reds = [augment(red, BOX, cfg, (80, 80), np.random.default_rng(n))[0] for n in range(200)]
    hues = [cv2.cvtColor(image, cv2.COLOR_RGB2HSV)[0, 0, 0] for image in reds]
    assert {int(hue) for hue in hues} <= {*range(19), *range(162, 180)}
    assert len(set(hues)) > 20


@pytest.mark.parametrize(("width", "low", "high"), [(416, 320, 608), (448, 352, 672)])
def test_multi_scale_sizes_are_alexeyabs(width, low, high):
    cfg = make_cfg(random=1, width=width, height=width)
    sizes = [network_size(cfg, 500, np.random.default_rng(n)) for n in range(300)]
    assert all(h == w and h % 32 == 0 for h, w in sizes)
    assert (min(sizes)[0], max(sizes)[0]) == (low, high)
    assert {network_size(cfg, n, np.random.default_rng(0)) for n in (1, 10, 901, 1000)} == {(high, high)}
    assert network_size(make_cfg(width=width, height=width), 500, np.random.default_rng(0)) == (width, width)
