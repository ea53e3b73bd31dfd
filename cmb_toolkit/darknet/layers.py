"""What a Darknet network consists of: its ``[net]`` section and its layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from .drawing import Drawing

__all__ = ["Convolutional", "Layer", "Maxpool", "Net", "Region", "Reorg", "Route", "Shape"]

Shape: TypeAlias = tuple[int, int, int]
"""Channels, height, width: Darknet's order."""


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
