"""From the sections of a network file to its settings and layers.

What this toolkit's engine would compute differently from Darknet is refused by name; nothing is silently ignored but
the keys that Darknet itself ignores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from .cfg_section import Section, shorten
from .drawing import Drawing
from .layers import Convolutional, Layer, Maxpool, Net, Region, Reorg, Route, Shape

__all__ = ["LAYERS", "output_shape", "read_net"]

_MOST_ITERATIONS = 10**9
_MOST_PIXELS = 1 << 13
_NO_AUGMENTATION = "the engine's augmentation does not have it"


def read_net(s: Section) -> Net:
    """The ``[net]`` section.

    Raises
    ------
    DataError
    """
    s.ignore("angle", "aspect", "max_crop", "min_crop", "max_chart_loss", "workspace_size_limit_MB", "inputs")
    s.ignore("optimized_memory", "use_cuda_graph", "loss_scale")
    for key in ("mosaic", "mixup", "cutmix", "blur", "gaussian_noise", "letter_box"):
        s.only(key, 0, _NO_AUGMENTATION)
    for key in ("dynamic_minibatch", "ema_alpha", "label_smooth_eps", "adversarial_lr", "contrastive", "attention"):
        s.only(key, 0, "it belongs to later YOLO versions")
    s.only("time_steps", 1, "it belongs to recurrent networks")
    s.only("resize_step", 32, "random=1 resizes in steps of 32 pixels")
    policy = s.word("policy", "constant")
    steps, scales = s.integers("steps"), s.numbers("scales")
    net = Net(
        width=s.integer("width", 0, 1, _MOST_PIXELS),
        height=s.integer("height", 0, 1, _MOST_PIXELS),
        channels=s.integer("channels", 0, 1),
        batch=s.integer("batch", 1, 1),
        subdivisions=s.integer("subdivisions", 1, 1),
        max_batches=s.integer("max_batches", 0, 0, _MOST_ITERATIONS),
        learning_rate=s.number("learning_rate", Net.learning_rate, 0, 1e6),
        momentum=s.number("momentum", Net.momentum, 0, 1),
        decay=s.number("decay", Net.decay, 0, 1e6),
        burn_in=s.integer("burn_in", 0, 0, _MOST_ITERATIONS),
        power=s.number("power", Net.power, 0, 100),
        policy=policy,  # type: ignore[arg-type]  # checked below
        steps=steps,
        scales=scales,
        adam=s.flag("adam", False),
        b1=s.number("B1", Net.b1, 0, 1),
        b2=s.number("B2", Net.b2, 0, 1),
        eps=s.number("eps", Net.eps, 0, 1),
        flip=s.flag("flip", True),
        saturation=s.number("saturation", 1.0, 1, 100),
        exposure=s.number("exposure", 1.0, 1, 100),
        hue=s.number("hue", 0.0, 0, 1),
        draw=_drawing(s),
    )
    s.finish()
    if net.channels != 3:
        raise s.error(f"has channels={net.channels}: Darknet's loaders are right for 3 channels only")
    if policy not in {"constant", "steps", "poly"}:
        raise s.error(f"has policy={shorten(policy)}: supported are constant, steps and poly")
    if policy == "steps" and (not steps or len(steps) != len(scales)):
        raise s.error(f"has {len(steps)} steps and {len(scales)} scales: policy=steps needs as many of each")
    if not all(0 <= scale <= 1e6 for scale in scales) or not net.learning_rate * math.prod(scales) <= 1e6:
        raise s.error("has scales that give no sane learning rate")
    if net.batch % net.subdivisions:
        raise s.error(
            f"has batch={net.batch}, which is not a multiple of subdivisions={net.subdivisions}: Darknet would "
            "train with fewer images than it says"
        )
    return net


def _drawing(s: Section) -> Drawing | None:
    """The keys ``draw_...``; without ``draw=1`` they are read, and mean nothing."""
    drawing = Drawing(
        size=s.integer("draw_size", 0, 0, _MOST_PIXELS),
        shift=s.number("draw_shift", 0, 0, _MOST_PIXELS),
        angle=s.number("draw_angle", 0, 0, 180),
        zoom=s.number("draw_zoom", 0, 0, 2),
        gamma=s.number("draw_gamma", 0, 0, 2),
        gain=s.number("draw_gain", 0, 0, 1),
        noise=s.number("draw_noise", 0, 0, 0.2),
        marked=s.number("draw_marked", Drawing.marked, 0, 1),
        hard=s.number("draw_hard", Drawing.hard, 0, 1),
    )
    if drawing.marked + drawing.hard > 1:
        raise s.error(f"has draw_marked={drawing.marked:g} and draw_hard={drawing.hard:g}: shares of the same images")
    return drawing if s.flag("draw", False) else None


def _convolutional(s: Section, _: int) -> Layer:
    for key in ("binary", "xnor", "bin_output", "antialiasing", "deform", "assisted_excitation", "stopbackward"):
        s.only(key, 0, "the engine does not compute it")
    for key in ("dontload", "train_only_bn", "flipped", "sway", "rotate", "stretch", "stretch_sway", "share_index"):
        s.only(key, 0, "the engine does not compute it")
    s.only("groups", 1, "the engine does not compute it")
    s.only("dilation", 1, "the engine does not compute it")
    size = s.integer("size", 1, 1)
    padding = s.integer("padding", 0)
    activation = s.word("activation", "logistic")
    if activation not in {"leaky", "linear"}:
        raise s.error(
            f"has activation={shorten(activation)} (Darknet's default is logistic): supported are leaky and linear"
        )
    return Convolutional(
        filters=s.integer("filters", 1, 1),
        size=size,
        stride=s.integer("stride", 1, 1),
        padding=size // 2 if s.flag("pad", False) else padding,
        batch_normalize=s.flag("batch_normalize", False),
        activation=activation,  # type: ignore[arg-type]
    )


def _maxpool(s: Section, _: int) -> Layer:
    for key in ("maxpool_depth", "antialiasing"):
        s.only(key, 0, "the engine does not compute it")
    stride = s.integer("stride", 1, 1)
    size = s.integer("size", stride, 1)
    return Maxpool(size, stride, s.integer("padding", size - 1))


def _route(s: Section, index: int) -> Layer:
    s.only("groups", 1, "the engine does not compute it")
    s.only("group_id", 0, "the engine does not compute it")
    layers = tuple(n + index if n < 0 else n for n in s.integers("layers"))
    if not layers or any(not 0 <= n < index for n in layers):
        raise s.error("needs layers= with earlier layers, absolute or relative (negative)")
    return Route(layers)


def _reorg(s: Section, _: int) -> Layer:
    for key in ("reverse", "flatten", "extra"):
        s.only(key, 0, "the engine does not compute it")
    return Reorg(s.integer("stride", 1, 1))


def _region(s: Section, _: int) -> Layer:
    # Read by Darknet without any effect on the result (both flavours; DOABS is compiled in).
    s.ignore("absolute", "log", "sqrt")
    for key in ("focal_loss", "classfix", "tree", "map"):
        s.only(key, 0, "the loss does not have it")
    s.only("resize", 1, _NO_AUGMENTATION)
    if s.integer("coords", 4) != 4:
        raise s.error("needs coords=4")
    if not s.flag("softmax", False):
        raise s.error("needs softmax=1: without it the flavours of Darknet disagree about the class probability")
    num = s.integer("num", 1, 1)
    anchors = s.numbers("anchors")
    if len(anchors) != 2 * num or not 0 < min(anchors, default=0) <= max(anchors) <= _MOST_PIXELS:
        raise s.error(f"has num={num} and {len(anchors)} numbers in anchors: expected {2 * num} positive numbers")
    return Region(
        anchors=tuple(zip(anchors[::2], anchors[1::2], strict=True)),
        classes=s.integer("classes", Region.classes, 1),
        bias_match=s.flag("bias_match", False),
        rescore=s.flag("rescore", False),
        object_scale=s.number("object_scale", 1.0, 0, 1e6),
        noobject_scale=s.number("noobject_scale", 1.0, 0, 1e6),
        class_scale=s.number("class_scale", 1.0, 0, 1e6),
        coord_scale=s.number("coord_scale", 1.0, 0, 1e6),
        thresh=s.number("thresh", Region.thresh, 0, 1),
        jitter=s.number("jitter", Region.jitter, 0, 0.5),
        random=s.number("random", 0.0, 0, 1e6),
        max_boxes=s.integer("max", Region.max_boxes, 1),
    )


LAYERS: Mapping[str, Callable[[Section, int], Layer]] = {
    "convolutional": _convolutional,
    "conv": _convolutional,
    "maxpool": _maxpool,
    "max": _maxpool,
    "route": _route,
    "reorg": _reorg,
    "region": _region,
}
"""Kind of a section -> what reads it, given the layer's index."""


def output_shape(layer: Layer, shape: Shape, shapes: list[Shape], s: Section) -> Shape:
    """What a layer gives for an input of this shape; `shapes` are those of the layers before.

    Raises
    ------
    DataError
        If the layer does not take such an input.
    """
    channels, height, width = shape
    if isinstance(layer, Convolutional):
        rows, columns = ((side + 2 * layer.padding - layer.size) // layer.stride + 1 for side in (height, width))
        shape = layer.filters, rows, columns
    elif isinstance(layer, Maxpool):
        rows, columns = ((side + layer.padding - layer.size) // layer.stride + 1 for side in (height, width))
        shape = channels, rows, columns
    elif isinstance(layer, Route):
        parts = [shapes[n] for n in layer.layers]
        if len({part[1:] for part in parts}) > 1:
            raise s.error("joins layers of different sizes: " + ", ".join(f"{h}x{w}" for _, h, w in parts))
        shape = sum(part[0] for part in parts), *parts[0][1:]
    elif isinstance(layer, Reorg):
        area = layer.stride**2
        if channels % area or height % layer.stride or width % layer.stride:
            raise s.error(f"cannot divide {channels} channels of {height}x{width} by a stride of {layer.stride}")
        shape = channels * area, height // layer.stride, width // layer.stride
    elif channels != layer.features:
        raise s.error(
            f"needs num*(classes+5) = {len(layer.anchors)}*({layer.classes}+5) = {layer.features} input channels, "
            f"but the layer before has filters={channels}; write filters={layer.features} there"
        )
    if min(shape) < 1:
        raise s.error(f"would give an output of {shape[1]}x{shape[2]}: the input is too small for so many layers")
    return shape
