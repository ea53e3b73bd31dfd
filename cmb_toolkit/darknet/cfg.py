"""Darknet's network files: parsed, validated, with every layer's shape.

The dialect is that of YOLOv2 as the original Darknet and AlexeyAB's fork read it. What this toolkit's engine would
compute differently from Darknet is refused by name; nothing is silently ignored but the keys that Darknet itself
ignores (``absolute``, ``angle`` and a few more, listed in the code).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError
from ..io.files import read_text
from .cfg_layers import LAYERS, output_shape, read_net
from .cfg_section import sections
from .layers import Convolutional, Layer, Net, Region, Shape

__all__ = ["Cfg", "parse_cfg", "read_cfg"]

_LARGEST_FILE = 1 << 20
_MOST_LAYERS = 1000
_MOST_WEIGHTS = 2 << 30
"""Of a network's weights [byte]; the paper's has 202 MB."""
_MOST_OUTPUT = 64 << 30
"""Of what all layers give for the images worked on at once [byte]; for eight of the paper's it is 1 GB."""


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
    def parameters(self) -> int:
        """Numbers that are learned: all but batch norm's means and variances."""
        return self.floats - sum(2 * layer.filters for _, layer, _ in self.convolutions() if layer.batch_normalize)

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
    found = list(sections(text, name))
    if not found or found[0].kind not in {"net", "network"}:
        raise DataError(f"{name}: the first section must be [net]. Give a Darknet .cfg file.")
    net = read_net(found[0])
    layers: list[Layer] = []
    shapes: list[Shape] = []
    current = (net.channels, net.height, net.width)
    if len(found) > _MOST_LAYERS:
        raise DataError(f"{name}: {len(found)} sections, more than {_MOST_LAYERS}. Correct the .cfg file.")
    for section in found[1:]:
        if layers and isinstance(layers[-1], Region):
            raise section.error("stands after [region], which must be the last layer")
        if section.kind not in LAYERS:
            raise section.error(f"is a layer this engine does not know; it knows {', '.join(sorted(LAYERS))}")
        layer = LAYERS[section.kind](section, len(layers))
        section.finish()
        current = output_shape(layer, current, shapes, section)
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
