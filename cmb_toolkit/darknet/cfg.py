"""Darknet's network files: parsed, validated, with every layer's shape.

The dialect is that of YOLOv2 as the original Darknet and AlexeyAB's fork read it. What this toolkit's engine would
compute differently from Darknet is refused by name; nothing is silently ignored but the keys that Darknet itself
ignores (``absolute``, ``angle`` and a few more, listed in the code).
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from ..errors import DataError
from ..io.files import read_text
from ..names import shown
from .drawing import Drawing

__all__ = ["Cfg", "Convolutional", "Layer", "Maxpool", "Net", "Region", "Reorg", "Route", "parse_cfg", "read_cfg"]

Shape: TypeAlias = tuple[int, int, int]
"""Channels, height, width: Darknet's order."""

_BLANKS = re.compile(r"[ \t\r\n]")
_LEFT = re.compile(r"[#;].*")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_LARGEST_FILE = 1 << 20
_MOST_LAYERS = 1000
_MOST_WEIGHTS = 2 << 30
"""Of a network's weights [byte]; the paper's has 202 MB."""
_MOST_OUTPUT = 64 << 30
"""Of what all layers give for the images worked on at once [byte]; for eight of the paper's it is 1 GB."""


@dataclass(frozen=True)
class Net:
    """The ``[net]`` section. Defaults are Darknet's.

    Attributes
    ----------
    width, height, channels : int
        Input [px]; 3 channels.
    batch, subdivisions : int
        Images per update, and the parts they are worked off in (batch statistics are per part).
    max_batches : int
        Updates (iterations) in all.
    burn_in, power : int, float
        For the first `burn_in` iterations the rate is ``learning_rate * (iteration / burn_in) ** power``.
    policy, steps, scales : str, tuples
        ``constant``, ``steps`` (times ``scales[n]`` from iteration ``steps[n]`` on) or ``poly``.
    adam, b1, b2, eps : bool, float
        ``adam=1``: Darknet's Adam (its GPU code knows it; its CPU code goes on with plain momentum).
    flip, saturation, exposure, hue : augmentation, see :mod:`cmb_toolkit.darknet.augmentation`.
    draw : Drawing or None
        ``draw=1``: the embedded engine draws its images anew, see :mod:`cmb_toolkit.darknet.drawing`.
    """

    width: int
    height: int
    channels: int = 3
    batch: int = 1
    subdivisions: int = 1
    max_batches: int = 0
    learning_rate: float = 0.001
    momentum: float = 0.9
    decay: float = 0.0001
    burn_in: int = 0
    power: float = 4.0
    policy: Literal["constant", "steps", "poly"] = "constant"
    steps: tuple[int, ...] = ()
    scales: tuple[float, ...] = ()
    adam: bool = False
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-6
    flip: bool = True
    saturation: float = 1.0
    exposure: float = 1.0
    hue: float = 0.0
    draw: Drawing | None = None

    @property
    def minibatch(self) -> int:
        """Images worked on at once."""
        return self.batch // self.subdivisions

    def rate(self, iteration: int) -> float:
        """Learning rate of an iteration, counted from 1."""
        if iteration < self.burn_in:
            return float(self.learning_rate * (iteration / self.burn_in) ** self.power)
        if self.policy == "steps":
            rate = self.learning_rate
            for step, scale in zip(self.steps, self.scales, strict=True):
                rate *= scale if iteration >= step else 1.0
            return rate
        if self.policy == "poly":
            return float(self.learning_rate * (1 - iteration / self.max_batches) ** self.power)
        return self.learning_rate


@dataclass(frozen=True)
class Convolutional:
    """A convolution with `padding` zeros on every side, batch norm or a bias, then leaky ReLU (0.1) or nothing."""

    filters: int
    size: int
    stride: int
    padding: int
    batch_normalize: bool
    activation: Literal["leaky", "linear"]


@dataclass(frozen=True)
class Maxpool:
    """A maximum over `size` x `size`; `padding` is the total on both sides, the smaller half in front."""

    size: int
    stride: int
    padding: int


@dataclass(frozen=True)
class Route:
    """Channels of earlier layers, one after the other; `layers` are absolute indices."""

    layers: tuple[int, ...]


@dataclass(frozen=True)
class Reorg:
    """Darknet's own permutation from (c, h, w) to (c s^2, h/s, w/s); not space-to-depth."""

    stride: int


@dataclass(frozen=True)
class Region:
    """The detection layer of YOLOv2. Defaults are Darknet's; `anchors` are (width, height) in grid cells."""

    anchors: tuple[tuple[float, float], ...]
    classes: int = 20
    bias_match: bool = False
    rescore: bool = False
    object_scale: float = 1.0
    noobject_scale: float = 1.0
    class_scale: float = 1.0
    coord_scale: float = 1.0
    thresh: float = 0.5
    jitter: float = 0.2
    random: float = 0.0
    max_boxes: int = 200

    @property
    def features(self) -> int:
        """Channels that the layer before must have."""
        return len(self.anchors) * (self.classes + 5)


Layer: TypeAlias = Convolutional | Maxpool | Route | Reorg | Region


@dataclass(frozen=True)
class Cfg:
    """A network: its settings, its layers in file order, and the shape of every layer's output.

    Attributes
    ----------
    net : Net
    layers : tuple of Layer
        The last one is the region layer, and the only one.
    shapes : tuple of (channels, height, width)
        Output of each layer.
    """

    net: Net
    layers: tuple[Layer, ...]
    shapes: tuple[Shape, ...]

    @property
    def region(self) -> Region:
        last = self.layers[-1]
        assert isinstance(last, Region)
        return last

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of cells that the network predicts on."""
        return self.shapes[-1][1:]

    @property
    def stride(self) -> int:
        """Pixels per cell."""
        return self.net.width // self.grid[1]

    def convolutions(self) -> Iterator[tuple[int, Convolutional, int]]:
        """Index, layer and input channels of every convolution, in file order."""
        for index, layer in enumerate(self.layers):
            if isinstance(layer, Convolutional):
                yield index, layer, (self.shapes[index - 1][0] if index else self.net.channels)

    @property
    def floats(self) -> int:
        """Stored numbers: weights, biases, and batch norm's scales, means and variances."""
        return sum(
            layer.filters * (4 if layer.batch_normalize else 1) + layer.filters * channels * layer.size**2
            for _, layer, channels in self.convolutions()
        )

    @property
    def flops(self) -> int:
        """Multiplications and additions of its convolutions for one image."""
        return sum(
            2 * layer.filters * channels * layer.size**2 * self.shapes[index][1] * self.shapes[index][2]
            for index, layer, channels in self.convolutions()
        )

    @property
    def training_flops(self) -> float:
        """The same of one training image as it is drawn."""
        size = self.net.draw.size if self.net.draw is not None else 0
        return self.flops * (min(size or self.net.width, self.net.width) / self.net.width) ** 2

    @property
    def fingerprint(self) -> str:
        """Of what decides the boxes beside the weights: layers and anchors, not how the network is trained."""
        layers = [repr(layer) for layer in self.layers[:-1]]
        found = hashlib.sha256(repr((self.net.channels, layers, self.region.anchors, self.region.classes)).encode())
        return found.hexdigest()[:12]

    @property
    def weights_bytes(self) -> int:
        """Size of the .weights file [bytes] with the 20-byte header of today's Darknets."""
        return 20 + 4 * self.floats


def read_cfg(path: Path) -> Cfg:
    """Read and validate a network file.

    Raises
    ------
    MissingError, DataError
    """
    return parse_cfg(read_text(path, "Give a Darknet .cfg file.", _LARGEST_FILE), str(path))


def parse_cfg(text: str, name: str = "cfg") -> Cfg:
    """Parse and validate the text of a network file.

    Parameters
    ----------
    text : str
        LF or CRLF; blanks, empty lines and lines that start with ``#`` or ``;`` do not matter.
    name : str
        What to call the file in messages.

    Raises
    ------
    DataError
        If a section or key is unknown, would change the result in a way this engine does not compute, has a value
        that is no number, or the layers do not fit together.
    """
    sections = list(_sections(text, name))
    if not sections or sections[0].kind not in {"net", "network"}:
        raise DataError(f"{name}: the first section must be [net]. Give a Darknet .cfg file.")
    net = _net(sections[0])
    layers: list[Layer] = []
    shapes: list[Shape] = []
    current = (net.channels, net.height, net.width)
    if len(sections) > _MOST_LAYERS:
        raise DataError(f"{name}: {len(sections)} sections, more than {_MOST_LAYERS}. Correct the .cfg file.")
    for section in sections[1:]:
        if layers and isinstance(layers[-1], Region):
            raise section.error("stands after [region], which must be the last layer")
        if section.kind not in _LAYERS:
            raise section.error(f"is a layer this engine does not know; it knows {', '.join(sorted(_LAYERS))}")
        layer = _LAYERS[section.kind](section, len(layers))
        section.finish()
        current = _output(layer, current, shapes, section)
        layers.append(layer)
        shapes.append(current)
    if not layers or not isinstance(layers[-1], Region):
        raise DataError(f"{name}: the last layer must be [region]; only YOLOv2 networks can be built.")
    cfg = Cfg(net, tuple(layers), tuple(shapes))
    if net.width % cfg.grid[1] or net.width // cfg.grid[1] != net.height // cfg.grid[0]:
        raise DataError(
            f"{name}: input {net.width}x{net.height} does not divide into {cfg.grid[1]}x{cfg.grid[0]} square cells. "
            "Choose width and height as multiples of the network's stride (32 for YOLOv2)."
        )
    _check_drawing(cfg, name)
    _check_size(cfg, name)
    return cfg


def _check_drawing(cfg: Cfg, name: str) -> None:
    """Refuse windows that do not fit the network, and Darknet's own augmentation beside them."""
    net = cfg.net
    if net.draw is None:
        return
    if net.draw.size % cfg.stride or 0 < net.draw.size < 64:
        raise DataError(
            f"{name}: draw_size={net.draw.size} in [net]: expected a multiple of the network's stride, {cfg.stride}, "
            "from 64. Correct the .cfg file."
        )
    if cfg.region.jitter or cfg.region.random or net.hue or net.saturation != 1 or net.exposure != 1:
        raise DataError(
            f"{name}: draw=1 in [net] takes the place of jitter, random, hue, saturation and exposure. Set jitter=0, "
            "random=0, hue=0, saturation=1 and exposure=1, or leave draw=1 out."
        )


def _check_size(cfg: Cfg, name: str) -> None:
    """Refuse a network that no memory holds, before any is taken."""
    output = 4 * cfg.net.minibatch * sum(map(math.prod, cfg.shapes))
    for bytes_, most, what, cure in (
        (cfg.weights_bytes, _MOST_WEIGHTS, "weights", "fewer filters"),
        (output, _MOST_OUTPUT, "numbers between layers", "a smaller width and height or more subdivisions"),
    ):
        if bytes_ > most:
            raise DataError(
                f"{name}: the network's {what} would take {bytes_ / 2**30:,.0f} GiB (at most {most >> 30}). Give it "
                f"{cure}."
            )


class _Section:
    """One section while it is read: hands out values by type and remembers which keys were asked for."""

    def __init__(self, kind: str, line: int, name: str) -> None:
        self.kind, self.line, self.name = kind, line, name
        self.values: dict[str, tuple[str, int]] = {}
        self._known: set[str] = set()

    def error(self, problem: str) -> DataError:
        return DataError(f"{self.name}, line {self.line}: section [{self.kind}] {problem}. Correct the .cfg file.")

    def _wrong(self, key: str, expected: str) -> DataError:
        value, line = self.values[key]
        return DataError(
            f"{self.name}, line {line}: {key}={_short(value)} in [{self.kind}]: expected {expected}. "
            "Correct the .cfg file."
        )

    def word(self, key: str, default: str) -> str:
        self._known.add(key)
        return self.values[key][0] if key in self.values else default

    def number(self, key: str, default: float, low: float = -float("inf"), high: float = float("inf")) -> float:
        self._known.add(key)
        if key not in self.values:
            return default
        value = _finite(_LEFT.sub("", self.values[key][0]))
        if value is None:
            raise self._wrong(key, "a number")
        if not low <= value <= high:
            raise self._wrong(key, f"a number from {low:g} to {high:g}")
        return value

    def integer(self, key: str, default: int, low: int = 0, high: int = 1 << 16) -> int:
        value = self.number(key, default)
        if value != int(value) or not low <= value <= high:
            if key not in self.values:
                raise self.error(f"lacks {key}")
            raise self._wrong(key, f"a whole number from {low} to {high}")
        return int(value)

    def flag(self, key: str, default: bool) -> bool:
        value = self.integer(key, int(default))
        if value > 1:
            raise self._wrong(key, "0 or 1")
        return bool(value)

    def numbers(self, key: str) -> tuple[float, ...]:
        self._known.add(key)
        if key not in self.values:
            return ()
        found = tuple(_finite(part) for part in _LEFT.sub("", self.values[key][0]).split(","))
        numbers = tuple(number for number in found if number is not None)
        if len(numbers) < len(found) or len(numbers) > _MOST_LAYERS:
            raise self._wrong(key, "numbers with commas between them")
        return numbers

    def integers(self, key: str) -> tuple[int, ...]:
        numbers = self.numbers(key)
        if any(number != int(number) or abs(number) > _MOST_ITERATIONS for number in numbers):
            raise self._wrong(key, "whole numbers with commas between them")
        return tuple(map(int, numbers))

    def only(self, key: str, neutral: float, why: str) -> None:
        """A key that would change the result: accepted at its neutral value, refused by name otherwise."""
        if self.number(key, neutral) != neutral:
            value, line = self.values[key]
            raise DataError(
                f"{self.name}, line {line}: {key}={_short(value)} in [{self.kind}] is not supported: {why}. "
                f"Remove the line or write {key}={neutral:g}."
            )

    def ignore(self, *keys: str) -> None:
        """Keys that Darknet reads without any effect on a YOLOv2 network."""
        self._known.update(keys)

    def finish(self) -> None:
        for key, (value, line) in self.values.items():
            if key not in self._known:
                raise DataError(
                    f"{self.name}, line {line}: {_short(key)}={_short(value)} in [{self.kind}] is not known to this "
                    "engine, so it cannot be honoured. Remove the line, or train with a Darknet binary that knows it."
                )


def _sections(text: str, name: str) -> Iterator[_Section]:
    section: _Section | None = None
    for number, raw in enumerate(text.lstrip("\ufeff").split("\n"), 1):
        line = _BLANKS.sub("", raw)
        if not line or line[0] in "#;":
            continue
        if line[0] == "[":
            if section is not None:
                yield section
            section = _Section(_short(line[1:].split("]")[0]), number, name)
            continue
        key, sign, value = line.partition("=")
        if not sign or section is None:
            raise DataError(
                f"{name}, line {number}: {shown(line)} is neither a [section], a key=value line inside one, nor a "
                "comment. Correct the .cfg file."
            )
        section.values.setdefault(key, (value, number))  # Darknet, too, takes a key's first value
    if section is not None:
        yield section


def _finite(text: str) -> float | None:
    """A number in plain digits; None for anything else that a programming language would take for one."""
    value = float(text) if _NUMBER.fullmatch(text) else math.inf
    return value if math.isfinite(value) else None


def _short(text: str) -> str:
    """A key or value as a message may show it."""
    return text if len(text) <= 40 and text.isprintable() else shown(text)


_MOST_ITERATIONS = 10**9
_MOST_PIXELS = 1 << 13
_NO_AUGMENTATION = "the engine's augmentation does not have it"


def _net(s: _Section) -> Net:
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
        raise s.error(f"has policy={_short(policy)}: supported are constant, steps and poly")
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


def _drawing(s: _Section) -> Drawing | None:
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


def _convolutional(s: _Section, _: int) -> Layer:
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
            f"has activation={_short(activation)} (Darknet's default is logistic): supported are leaky and linear"
        )
    return Convolutional(
        filters=s.integer("filters", 1, 1),
        size=size,
        stride=s.integer("stride", 1, 1),
        padding=size // 2 if s.flag("pad", False) else padding,
        batch_normalize=s.flag("batch_normalize", False),
        activation=activation,  # type: ignore[arg-type]
    )


def _maxpool(s: _Section, _: int) -> Layer:
    for key in ("maxpool_depth", "antialiasing"):
        s.only(key, 0, "the engine does not compute it")
    stride = s.integer("stride", 1, 1)
    size = s.integer("size", stride, 1)
    return Maxpool(size, stride, s.integer("padding", size - 1))


def _route(s: _Section, index: int) -> Layer:
    s.only("groups", 1, "the engine does not compute it")
    s.only("group_id", 0, "the engine does not compute it")
    layers = tuple(n + index if n < 0 else n for n in s.integers("layers"))
    if not layers or any(not 0 <= n < index for n in layers):
        raise s.error("needs layers= with earlier layers, absolute or relative (negative)")
    return Route(layers)


def _reorg(s: _Section, _: int) -> Layer:
    for key in ("reverse", "flatten", "extra"):
        s.only(key, 0, "the engine does not compute it")
    return Reorg(s.integer("stride", 1, 1))


def _region(s: _Section, _: int) -> Layer:
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


_LAYERS: Mapping[str, Callable[[_Section, int], Layer]] = {
    "convolutional": _convolutional,
    "conv": _convolutional,
    "maxpool": _maxpool,
    "max": _maxpool,
    "route": _route,
    "reorg": _reorg,
    "region": _region,
}


def _output(layer: Layer, shape: Shape, shapes: list[Shape], s: _Section) -> Shape:
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
