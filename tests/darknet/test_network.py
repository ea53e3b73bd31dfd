"""Layers one by one against plain loops; the training and detection builds against each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmb_toolkit.darknet.cfg import parse_cfg
from cmb_toolkit.darknet.layers import Maxpool
from cmb_toolkit.darknet.weights import initial_weights


def region_after(layers: str, side: int) -> str:
    return f"""[net]
width={side}
height={side}
channels=3
{layers}
[convolutional]
filters=6
size=1
stride=1
activation=linear
[region]
anchors=1,1
num=1
classes=1
softmax=1
"""


@settings(max_examples=12, deadline=None)
@given(
    size=st.integers(1, 4),
    stride=st.integers(1, 3),
    padding=st.integers(0, 3),
    side=st.integers(5, 9),
)
def test_maxpool_is_darknets(size, stride, padding, side):
    """Outputs (in + padding - size) / stride + 1, windows from -padding // 2, minus infinity outside."""
    from cmb_toolkit.darknet.network import _maxpool

    padding = min(padding, size - 1)
    x = np.random.default_rng(0).normal(size=(1, side, side, 2)).astype(np.float32)
    out = (side + padding - size) // stride + 1
    expected = np.full((1, out, out, 2), -np.inf)
    for i in range(out):
        for j in range(out):
            for m in range(size):
                for n in range(size):
                    row, column = i * stride - padding // 2 + m, j * stride - padding // 2 + n
                    if 0 <= row < side and 0 <= column < side:
                        expected[0, i, j] = np.maximum(expected[0, i, j], x[0, row, column])
    np.testing.assert_array_equal(_maxpool(Maxpool(size, stride, padding), x), expected)


@pytest.mark.parametrize(("size", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (2, 2, 0), (5, 1, 2), (4, 2, 1)])
def test_convolution_is_darknets(size, stride, padding):
    from cmb_toolkit.darknet.network import Network
    from cmb_toolkit.darknet.tensors import ops

    text = f"[convolutional]\nfilters=4\nsize={size}\nstride={stride}\npadding={padding}\nactivation=leaky"
    cfg = parse_cfg(region_after(text, 12))
    weights = initial_weights(cfg, 0)
    network = Network(cfg, weights)
    side = cfg.net.width
    x = np.random.default_rng(1).normal(size=(2, side, side, 3)).astype(np.float32)
    first, last = weights.layers
    p = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    out = (side + 2 * padding - size) // stride + 1
    hidden = np.zeros((2, out, out, 4))
    for i in range(out):
        for j in range(out):
            patch = p[:, i * stride : i * stride + size, j * stride : j * stride + size]
            hidden[:, i, j] = np.einsum("bmnc,ocmn->bo", patch, first.weights)
    hidden = np.where(hidden > 0, hidden, 0.1 * hidden)
    expected = np.einsum("bijc,oc->bijo", hidden, last.weights[:, :, 0, 0])
    np.testing.assert_allclose(ops.convert_to_numpy(network.model()(x)), expected, atol=1e-5)


def test_reorg_is_darknets():
    from cmb_toolkit.darknet.layers import Reorg
    from cmb_toolkit.darknet.network import _reorg

    c, h, w, s = 8, 4, 6, 2
    x = np.arange(c * h * w, dtype=np.float32).reshape(c, h, w)
    v = x.reshape(c // s**2, h * s, w * s)
    flat = [
        v[k % (c // s**2), j * s + k // (c // s**2) // s, i * s + k // (c // s**2) % s]
        for k in range(c)
        for j in range(h)
        for i in range(w)
    ]
    expected = np.array(flat).reshape(c * s**2, h // s, w // s)
    got = np.asarray(_reorg(Reorg(s), x.transpose(1, 2, 0)[None]))[0].transpose(2, 0, 1)
    np.testing.assert_array_equal(got, expected)
    space_to_depth = x.reshape(c, h // s, s, w // s, s).transpose(2, 4, 0, 1, 3).reshape(-1, h // s, w // s)
    assert not np.array_equal(got, space_to_depth)


def test_detector_equals_the_training_build(toy_cfg, lively_weights):
    """Folding batch norm into the convolutions changes nothing, and weights come back as they went in."""
    from cmb_toolkit.darknet.network import Network, detector
    from cmb_toolkit.darknet.tensors import ops

    cfg = parse_cfg(toy_cfg)
    weights = lively_weights(cfg)
    network = Network(cfg, weights)
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    plain = network.model()(images.astype(np.float32) / 255, training=False)
    np.testing.assert_allclose(detector(cfg, weights, 3)(images), ops.convert_to_numpy(plain), atol=2e-4)
    for a, b in zip(network.get_weights().layers, weights.layers, strict=True):
        for x, y in zip(a.arrays(), b.arrays(), strict=True):
            np.testing.assert_array_equal(x, y)


def test_models_of_other_sizes_share_the_weights(toy_cfg):
    from cmb_toolkit.darknet.network import Network

    cfg = parse_cfg(toy_cfg)
    network = Network(cfg, initial_weights(cfg, 0))
    larger = network.model((96, 128))
    assert larger(np.zeros((1, 96, 128, 3), np.float32)).shape == (1, 12, 16, 12)
    kernel = network.trainable()[0][0]
    assert any(kernel is variable for variable in larger.trainable_variables)


def test_decode_and_select():
    from cmb_toolkit.darknet.layers import Region
    from cmb_toolkit.darknet.region import decode, select_boxes

    region = Region(anchors=((1.0, 2.0), (3.0, 1.0)), classes=1)
    output = np.full((1, 2, 3, 12), -20.0, np.float32)
    output[0, 1, 2, 6:] = [0, np.log(3.0), np.log(2.0), 0, 2.0, 5.0]  # second anchor, row 1, column 2
    boxes, confidence = decode(output, region, 96, 64)
    place = (1 * 3 + 2) * 2 + 1
    confidence = confidence[..., 0]
    assert confidence[0].argmax() == place
    assert confidence[0, place] == pytest.approx(1 / (1 + np.exp(-2)))
    # centre (2.5, 1.75) cells of 32 px, size (6, 1) cells
    assert boxes[0, place] == pytest.approx([80 - 96, 56 - 16, 80 + 96, 56 + 16])
    (box,) = select_boxes(boxes[0], confidence[0], 0.1, 0.45, (96, 64))
    assert (box.left, box.right, box.confidence) == pytest.approx((0, 96, confidence[0, place]))


def test_weak_and_overlapping_boxes_go():
    from cmb_toolkit.darknet.region import select_boxes

    boxes = np.array([[10, 10, 30, 30], [11, 10, 31, 30], [50, 50, 60, 60], [-30, 5, -2, 9]], float)
    chosen = select_boxes(boxes, np.array([0.5, 0.9, 0.2, 0.99]), 0.2, 0.45, (64, 64))
    assert [(box.left, box.confidence) for box in chosen] == [(11, 0.9), (50, 0.2)]  # the last lies outside
    assert len(select_boxes(boxes, np.array([0.5, 0.9, 0.2, 0.1]), 0.21, 0.95, (64, 64))) == 2
    assert [
        box.confidence for box in select_boxes(boxes, np.array([0.5, 0.4, 0.2, 0.1]), 0.01, 0.1, (64, 64), most=2)
    ] == [
        0.5,
        0.2,
    ]  # 0.4 lies on 0.5


def test_boxes_beyond_all_bounds_and_empty_ones_take_nobodys_place():
    """An untrained network's sizes overflow; a box that is empty once clipped is none."""
    from cmb_toolkit.darknet.region import select_boxes

    boxes = np.array(
        [[-np.inf, -np.inf, np.inf, np.inf], [70, 5, 90, 9], [5, 5, 5, 9], [10, 10, 20, 20], [40, 40, 50, 50]]
    )
    confidence = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    with np.errstate(all="raise"):
        chosen = select_boxes(boxes, confidence, 0.1, 0.45, (64, 64), most=3)
    assert [box.confidence for box in chosen] == [0.9, 0.6, 0.5]
    assert (chosen[0].left, chosen[0].bottom) == (0, 64)


@pytest.mark.parametrize("way", ["own", "plainly"])
def test_both_ways_of_batch_norm(way):
    """Forward and backward as Darknet has them, in double precision: a backend's own kernels, and written out."""
    from cmb_toolkit.darknet import batch_norm
    from cmb_toolkit.darknet.tensors import compiled, gradients, keras, ops

    random = np.random.default_rng(0)
    x, dy = random.normal(2, 3, (2, 3, 4, 5)), random.normal(size=(2, 3, 4, 5))
    gamma, beta = random.uniform(0.5, 2, 5), random.normal(size=5)
    n = 24
    mean = x.sum((0, 1, 2)) / n
    variance = ((x - mean) ** 2).sum((0, 1, 2)) / (n - 1)
    r = 1 / np.sqrt(variance + 1e-5)
    d = dy * gamma
    by_mean, by_variance = -d.sum((0, 1, 2)) * r, -0.5 * (d * (x - mean)).sum((0, 1, 2)) * r**3
    expected = [
        (x - mean) * r * gamma + beta,
        mean,
        variance,
        d * r + by_variance * 2 * (x - mean) / n + by_mean / n,
        (dy * (x - mean)).sum((0, 1, 2)) * r,
        dy.sum((0, 1, 2)),
    ]
    single = [keras.Variable(array.astype(np.float32)) for array in (x, gamma, beta)]

    def own(upstream):
        def normalised():
            return batch_norm.normalise(*(variable.value for variable in single))

        return [*normalised(), *gradients(lambda: normalised()[0], single, lambda y: upstream)[1]]

    def plainly(upstream):
        x, gamma, beta = (variable.value for variable in single)
        y, mean, variance = batch_norm._normalise_plainly(x, gamma, beta)
        return [y, mean, variance, *batch_norm._gradients_plainly(upstream, x, gamma, mean, variance)]

    both = {"own": own, "plainly": plainly}[way]
    for got, wanted in zip(compiled(both, single)(dy.astype(np.float32)), expected, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(got), wanted, atol=2e-5)
