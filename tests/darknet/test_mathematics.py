"""The loss, the network and the update against a slow calculation in plain NumPy, written from Darknet's rules alone.

Nothing of the package but the cfg parser is used on the NumPy side: loops over images, cells and anchors, no
vectorised tricks, double precision.
"""

import math
from dataclasses import replace

import numpy as np
import pytest

from cmb_toolkit.darknet.cfg import parse_cfg
from cmb_toolkit.darknet.layers import Convolutional, Maxpool, Region, Reorg, Route
from cmb_toolkit.darknet.weights import initial_weights

TINY = """
[net]
width=16
height=16
channels=3
batch=4
subdivisions=2
learning_rate=0.01
momentum=0.9
decay=0.01
burn_in=3
max_batches=10
policy=steps
steps=4
scales=.5

[convolutional]
batch_normalize=1
filters=4
size=3
stride=1
pad=1
activation=leaky
[maxpool]
size=2
stride=2
[convolutional]
batch_normalize=1
filters=8
size=3
stride=1
pad=1
activation=leaky
[maxpool]
size=2
stride=2
[convolutional]
batch_normalize=1
filters=5
size=3
stride=1
pad=1
activation=leaky
[route]
layers=-3
[reorg]
stride=2
[route]
layers=-1,-3
[convolutional]
filters=14
size=1
stride=1
pad=1
activation=linear
[region]
anchors=1.2,1.1,2.5,3.5
num=2
classes=2
softmax=1
bias_match=1
rescore=1
object_scale=5
noobject_scale=1
class_scale=2
coord_scale=1.5
thresh=.3
jitter=0
"""


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def overlap(a, b):
    """IoU of two (x, y, w, h)."""
    w = min(a[0] + a[2] / 2, b[0] + b[2] / 2) - max(a[0] - a[2] / 2, b[0] - b[2] / 2)
    h = min(a[1] + a[3] / 2, b[1] + b[3] / 2) - max(a[1] - a[3] / 2, b[1] - b[3] / 2)
    both = max(w, 0) * max(h, 0)
    return both / (a[2] * a[3] + b[2] * b[3] - both)


def slow_delta(output, truths, seen, region: Region):
    """Delta of (n, rows, columns, num * (5 + classes)); truths per image as lists of (x, y, w, h, class)."""
    n, rows, columns, _ = output.shape
    num, features = len(region.anchors), 5 + region.classes
    t = output.reshape(n, rows, columns, num, features)
    delta = np.zeros_like(t)

    def coordinates(d, v, *, where, truth, anchor, scale):
        (i, j), (aw, ah) = where, anchor
        for axis, wanted in enumerate((truth[0] * columns - i, truth[1] * rows - j)):
            s = sigmoid(v[axis])
            d[axis] = scale * (wanted - s) * s * (1 - s)
        d[2] = scale * (math.log(truth[2] * columns / aw) - v[2])
        d[3] = scale * (math.log(truth[3] * rows / ah) - v[3])

    def box(v, i, j, anchor):
        return (
            (i + sigmoid(v[0])) / columns,
            (j + sigmoid(v[1])) / rows,
            math.exp(v[2]) * anchor[0] / columns,
            math.exp(v[3]) * anchor[1] / rows,
        )

    for b in range(n):
        for j in range(rows):
            for i in range(columns):
                for a, anchor in enumerate(region.anchors):
                    v, d = t[b, j, i, a], delta[b, j, i, a]
                    s = sigmoid(v[4])
                    best = max((overlap(box(v, i, j, anchor), truth[:4]) for truth in truths[b]), default=0)
                    d[4] = 0 if best > region.thresh else region.noobject_scale * (0 - s) * s * (1 - s)
                    if seen < 12800:
                        own = ((i + 0.5) / columns, (j + 0.5) / rows, anchor[0] / columns, anchor[1] / rows)
                        coordinates(d, v, where=(i, j), truth=own, anchor=anchor, scale=0.01)
        for truth in truths[b]:
            i, j = int(truth[0] * columns), int(truth[1] * rows)
            best, chosen = 0.0, 0
            for a, anchor in enumerate(region.anchors):
                shape = box(t[b, j, i, a], i, j, anchor)[2:]
                if region.bias_match:
                    shape = anchor[0] / columns, anchor[1] / rows
                iou = overlap((0, 0, *shape), (0, 0, truth[2], truth[3]))
                if iou > best:
                    best, chosen = iou, a
            v, d = t[b, j, i, chosen], delta[b, j, i, chosen]
            anchor = region.anchors[chosen]
            coordinates(d, v, where=(i, j), truth=truth, anchor=anchor, scale=region.coord_scale)
            s = sigmoid(v[4])
            target = overlap(box(v, i, j, anchor), truth[:4]) if region.rescore else 1
            d[4] = region.object_scale * (target - s) * s * (1 - s)
            total = sum(math.exp(value) for value in v[5:])
            for c in range(region.classes):
                d[5 + c] = region.class_scale * ((c == truth[4]) - math.exp(v[5 + c]) / total)
    return delta.reshape(output.shape)


def padded(truths, places):
    array = np.zeros((len(truths), places, 5), np.float32)
    for n, rows in enumerate(truths):
        array[n, : len(rows)] = rows if rows else np.zeros((0, 5))
    return array


TRUTHS = [
    # two in one cell with one anchor (the last wins), one far away
    [(0.30, 0.30, 0.20, 0.22, 0), (0.31, 0.29, 0.25, 0.20, 1), (0.8, 0.6, 0.6, 0.7, 1)],
    [],
    [(0.99999, 0.99999, 0.1, 0.1, 0)],
    [(0.1, 0.9, 0.3, 0.05, 1), (0.6, 0.1, 0.5, 0.5, 0)],
]


@pytest.mark.parametrize("seen", [12_799, 12_800])
@pytest.mark.parametrize(
    "changes",
    [{}, {"bias_match": False}, {"rescore": False}, {"thresh": 0.6}, {"thresh": 0.05, "noobject_scale": 0.5}],
)
def test_region_delta_agrees_with_loops(changes, seen):
    from cmb_toolkit.darknet.region import region_delta
    from cmb_toolkit.darknet.tensors import compiled, ops

    region = replace(parse_cfg(TINY).region, **changes)
    output = np.random.default_rng(3).normal(0, 1, (4, 5, 4, 14))
    run = compiled(lambda *arrays: region_delta(*arrays, region), [])
    got = ops.convert_to_numpy(run(output.astype(np.float32), padded(TRUTHS, 4), np.int32(seen)))
    expected = slow_delta(output, TRUTHS, seen, region)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    if "thresh" in changes:  # the threshold must matter for this test to mean something
        other = slow_delta(output, TRUTHS, seen, replace(region, thresh=2.0))
        assert np.abs(other - expected).max() > 1e-3


def test_warm_up_ends_at_12800_images():
    region = parse_cfg(TINY).region
    output = np.random.default_rng(3).normal(0, 1, (1, 4, 4, 14))
    assert np.abs(slow_delta(output, [[]], 1, region) - slow_delta(output, [[]], 12_800, region)).max() > 1e-3


def test_delta_of_images_without_any_box():
    from cmb_toolkit.darknet.region import region_delta
    from cmb_toolkit.darknet.tensors import compiled, ops

    region = parse_cfg(TINY).region
    output = np.random.default_rng(0).normal(0, 1, (2, 4, 4, 14))
    run = compiled(lambda *arrays: region_delta(*arrays, region), [])
    got = ops.convert_to_numpy(run(output.astype(np.float32), np.zeros((2, 0, 5), np.float32), np.int32(10)))
    np.testing.assert_allclose(got, slow_delta(output, [[], []], 10, region), atol=1e-6)


# --- a whole training in NumPy; arrays are (n, c, h, w) as in Darknet ---


def conv_forward(x, w, padding, stride=1):
    n, _, height, width = x.shape
    size = w.shape[2]
    p = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    rows, columns = (height + 2 * padding - size) // stride + 1, (width + 2 * padding - size) // stride + 1
    y = np.zeros((n, len(w), rows, columns))
    for i in range(rows):
        for j in range(columns):
            patch = p[:, :, i * stride : i * stride + size, j * stride : j * stride + size]
            y[:, :, i, j] = np.tensordot(patch, w, ([1, 2, 3], [1, 2, 3]))
    return y


def conv_backward(x, w, padding, dy):
    size = w.shape[2]
    p = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    dp, dw = np.zeros_like(p), np.zeros_like(w)
    for i in range(dy.shape[2]):
        for j in range(dy.shape[3]):
            patch = p[:, :, i : i + size, j : j + size]
            dw += np.tensordot(dy[:, :, i, j], patch, ([0], [0]))
            dp[:, :, i : i + size, j : j + size] += np.tensordot(dy[:, :, i, j], w, ([1], [0]))
    inner = slice(padding, -padding) if padding else slice(None)
    return dp[:, :, inner, inner], dw


def reorg_forward(x, s):
    """Written out element by element on flat buffers, as Darknet's reorg_cpu reads them."""
    n, c, h, w = x.shape
    small = c // s**2
    out = np.zeros_like(x).reshape(n, -1)
    for b in range(n):
        v = x[b].reshape(small, h * s, w * s)
        place = 0
        for k in range(c):
            offset = k // small
            for j in range(h):
                for i in range(w):
                    out[b, place] = v[k % small, j * s + offset // s, i * s + offset % s]
                    place += 1
    return out.reshape(n, c * s**2, h // s, w // s)


class SlowNetwork:
    """Forward, backward and update of a cfg, in double."""

    def __init__(self, cfg, weights):
        self.cfg = cfg
        self.p = []
        for layer in weights.layers:
            p = {"w": layer.weights.astype(float), "b": layer.biases.astype(float)}
            if layer.scales is not None:
                p |= {"g": layer.scales.astype(float), "m": layer.mean.astype(float), "v": layer.variance.astype(float)}
            self.p.append(p)
        self.u = [{key: np.zeros_like(p[key]) for key in p if key in "wbg"} for p in self.p]

    def train(self, images, truths, iteration):
        net = self.cfg.net
        loss = 0.0
        for part in range(net.subdivisions):
            chosen = slice(part * net.minibatch, (part + 1) * net.minibatch)
            seen = (iteration - 1) * net.batch + (part + 1) * net.minibatch
            x = images[chosen].transpose(0, 3, 1, 2) / 255.0
            output, tape = self.forward(x)
            delta = slow_delta(output.transpose(0, 2, 3, 1), truths[chosen], seen, self.cfg.region)
            loss += (delta**2).sum()
            self.backward(tape, delta.transpose(0, 3, 1, 2))
        rate = net.rate(iteration)
        for p, u in zip(self.p, self.u, strict=True):
            u["w"] -= net.decay * net.batch * p["w"]
            for key in u:
                p[key] += rate / net.batch * u[key]
                u[key] *= net.momentum
        return loss / net.batch

    def forward(self, x):
        outputs, tape, place = [], [], 0
        for layer in self.cfg.layers[:-1]:
            note = {"layer": layer, "x": x}
            if isinstance(layer, Convolutional):
                p = self.p[place]
                note["place"] = place
                place += 1
                y = conv_forward(x, p["w"], layer.padding)
                if layer.batch_normalize:
                    count = y.size // y.shape[1]
                    mean = y.mean(axis=(0, 2, 3))
                    var = ((y - mean[:, None, None]) ** 2).sum(axis=(0, 2, 3)) / (count - 1)
                    r = 1 / np.sqrt(var + 1e-5)
                    note |= {"centred": y - mean[:, None, None], "r": r, "count": count}
                    p["m"] = 0.9 * p["m"] + 0.1 * mean
                    p["v"] = 0.9 * p["v"] + 0.1 * var
                    y = note["centred"] * (r * p["g"])[:, None, None]
                y = y + p["b"][:, None, None]
                note["positive"] = y > 0
                x = np.where(y > 0, y, 0.1 * y) if layer.activation == "leaky" else y
            elif isinstance(layer, Maxpool):
                n, c, h, w = x.shape
                cells = x.reshape(n, c, h // 2, 2, w // 2, 2)
                x = cells.max(axis=(3, 5))
                note["is_max"] = cells == x[:, :, :, None, :, None]
            elif isinstance(layer, Route):
                note["sizes"] = [outputs[k].shape[1] for k in layer.layers]
                x = np.concatenate([outputs[k] for k in layer.layers], axis=1)
            else:
                assert isinstance(layer, Reorg)
                x = reorg_forward(x, layer.stride)
            outputs.append(x)
            tape.append(note)
        return x, tape

    def backward(self, tape, delta):
        """Add minus the gradient to the buffers; `delta` is minus the gradient by the output."""
        deltas = [0.0] * len(tape)
        deltas[-1] = delta
        for index in reversed(range(len(tape))):
            note, d = tape[index], deltas[index]
            layer, x = note["layer"], note["x"]
            if isinstance(layer, Route):
                parts = np.split(d, np.cumsum(note["sizes"])[:-1], axis=1)
                for k, part in zip(layer.layers, parts, strict=True):
                    deltas[k] = deltas[k] + part
                continue
            if isinstance(layer, Maxpool):
                back = (note["is_max"] * d[:, :, :, None, :, None]).reshape(x.shape)
            elif isinstance(layer, Reorg):
                order = reorg_forward(np.arange(x[0].size, dtype=float).reshape(1, *x.shape[1:]), layer.stride)
                back = np.zeros((len(x), x[0].size))
                back[:, order.astype(int).ravel()] = d.reshape(len(x), -1)
                back = back.reshape(x.shape)
            else:
                p, u = self.p[note["place"]], self.u[note["place"]]
                if layer.activation == "leaky":
                    d = np.where(note["positive"], d, 0.1 * d)
                u["b"] += d.sum(axis=(0, 2, 3))
                if layer.batch_normalize:
                    r, centred, count = (note[key] for key in ("r", "centred", "count"))
                    u["g"] += (d * centred).sum(axis=(0, 2, 3)) * r
                    d = d * p["g"][:, None, None]
                    by_mean = -d.sum(axis=(0, 2, 3)) * r
                    by_variance = -0.5 * (d * centred).sum(axis=(0, 2, 3)) * r**3
                    d = (
                        d * r[:, None, None]
                        + 2 / count * by_variance[:, None, None] * centred
                        + by_mean[:, None, None] / count
                    )
                back, dw = conv_backward(x, p["w"], layer.padding, d)
                u["w"] += dw
            if index:
                deltas[index - 1] = deltas[index - 1] + back


@pytest.mark.parametrize("first_iteration", [1, 3200])
def test_training_agrees_with_numpy(first_iteration):
    """Three updates: batch norm, momentum, decay, burn-in and steps, before and after the warm-up."""
    from cmb_toolkit.darknet.training import Trainer

    cfg = parse_cfg(TINY)
    start = initial_weights(cfg, 5)
    random = np.random.default_rng(2)
    images = random.integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    trainer, slow = Trainer(cfg, start), SlowNetwork(cfg, start)
    for iteration in range(first_iteration, first_iteration + 3):
        expected = slow.train(images, TRUTHS, iteration)
        assert trainer.step(images, padded(TRUTHS, 3), iteration) == pytest.approx(expected, rel=1e-5)
    for got, p, first in zip(trainer.network.get_weights().layers, slow.p, start.layers, strict=True):
        np.testing.assert_allclose(got.weights, p["w"], atol=1e-5)
        np.testing.assert_allclose(got.biases, p["b"], atol=1e-5)
        assert np.abs(p["w"] - first.weights).max() > 1e-4
        if got.scales is not None:
            np.testing.assert_allclose(got.scales, p["g"], atol=1e-5)
            np.testing.assert_allclose(got.mean, p["m"], atol=1e-5)
            np.testing.assert_allclose(got.variance, p["v"], atol=1e-5)
            assert np.abs(p["b"]).max() > 1e-6  # betas are learned


def test_adam_agrees_with_numpy():
    """One variable at a time: Darknet's Adam takes the summed gradient, decays everything, corrects both moments."""
    from cmb_toolkit.darknet.training import Trainer

    cfg = parse_cfg(TINY.replace("[net]", "[net]\nadam=1\nB1=.8\nB2=.95\neps=.0001"))
    start = initial_weights(cfg, 5)
    images = np.random.default_rng(2).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    trainer = Trainer(cfg, start)
    slow = SlowNetwork(cfg, start)
    net = cfg.net
    moments = [{key: [np.zeros_like(value), np.zeros_like(value)] for key, value in u.items()} for u in slow.u]
    quiet = replace(cfg, net=replace(net, learning_rate=0.0, decay=0.0, momentum=0.0))
    for iteration in (1, 2, 3):
        trainer.step(images, padded(TRUTHS, 3), iteration)
        slow.cfg = quiet  # leaves the weights alone; the summed gradient is taken from a fresh backward pass
        slow.u = [{key: np.zeros_like(value) for key, value in u.items()} for u in slow.u]
        for part in range(2):
            chosen = slice(2 * part, 2 * part + 2)
            output, tape = slow.forward(images[chosen].transpose(0, 3, 1, 2) / 255.0)
            delta = slow_delta(output.transpose(0, 2, 3, 1), TRUTHS[chosen], iteration * 4, cfg.region)
            slow.backward(tape, delta.transpose(0, 3, 1, 2))
        for p, u, ms in zip(slow.p, slow.u, moments, strict=True):
            for key, (m, v) in ms.items():
                d = u[key] - net.decay * net.batch * p[key]
                m[:] = net.b1 * m + (1 - net.b1) * d
                v[:] = net.b2 * v + (1 - net.b2) * d * d
                step = (m / (1 - net.b1**iteration)) / (np.sqrt(v / (1 - net.b2**iteration)) + net.eps)
                p[key] += net.rate(iteration) * step
    for got, p in zip(trainer.network.get_weights().layers, slow.p, strict=True):
        np.testing.assert_allclose(got.weights, p["w"], atol=2e-5)
        np.testing.assert_allclose(got.biases, p["b"], atol=2e-5)


def test_rate_follows_burn_in_and_steps():
    net = parse_cfg(TINY).net
    assert [net.rate(n) for n in (1, 2, 3, 4, 5)] == pytest.approx([0.01 / 81, 0.01 * (2 / 3) ** 4, 0.01, 0.005, 0.005])
