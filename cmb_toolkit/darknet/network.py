"""A Darknet network in Keras: the same layers, the same numbers, channels last.

Two builds share nothing but the cfg: :class:`Network` for training (batch norm with the statistics of the
minibatch, as Darknet computes them) and :func:`detector` for detection (batch norm folded into the convolutions).
Both end before the region layer; :mod:`cmb_toolkit.darknet.region` reads their output.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .batch_norm import BatchNormalization
from .cfg import Cfg
from .layers import Convolutional, Maxpool, Reorg, Route
from .tensors import compiled, keras, ops
from .weights import ConvWeights, Weights, folded

__all__ = ["Network", "detector"]

_LEAK = 0.1


def _maxpool(layer: Maxpool, x: Any) -> Any:
    front = layer.padding // 2
    ends = []
    for side in x.shape[1:3]:
        out = (side + layer.padding - layer.size) // layer.stride + 1
        ends.append(max((out - 1) * layer.stride + layer.size - side - front, 0))
    if front or any(ends):
        pads = ((0, 0), (front, ends[0]), (front, ends[1]), (0, 0))
        x = ops.pad(x, pads, constant_values=np.float32(-np.inf))
    return ops.max_pool(x, layer.size, layer.stride, padding="valid")


def _reorg(layer: Reorg, x: Any) -> Any:
    """Darknet's permutation: the (c, h, w) buffer is read as (c/s^2, h s, w s) before it is taken apart."""
    s = layer.stride
    _, h, w, c = x.shape
    x = ops.transpose(x, (0, 3, 1, 2))
    x = ops.reshape(x, (-1, c // s**2, h, s, w, s))
    x = ops.transpose(x, (0, 3, 5, 1, 2, 4))
    x = ops.reshape(x, (-1, c * s**2, h // s, w // s))
    return ops.transpose(x, (0, 2, 3, 1))


def _assemble(cfg: Cfg, size: tuple[int, int], convolution: Callable[[int, Convolutional, Any], Any]) -> keras.Model:
    """The functional model of a cfg for inputs of `size` (height, width); `convolution` applies one of them."""
    x = image = keras.Input((*size, cfg.net.channels))
    outputs: list[Any] = []
    place = 0
    for layer in cfg.layers[:-1]:
        if isinstance(layer, Convolutional):
            x = convolution(place, layer, x)
            place += 1
        elif isinstance(layer, Maxpool):
            x = _maxpool(layer, x)
        elif isinstance(layer, Route):
            parts = [outputs[n] for n in layer.layers]
            x = keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
        else:
            assert isinstance(layer, Reorg)
            x = _reorg(layer, x)
        outputs.append(x)
    return keras.Model(image, x)


class _Convolution:
    """A Keras convolution with Darknet's padding: the same number of zeros on every side."""

    def __init__(self, layer: Convolutional, use_bias: bool) -> None:
        same = layer.stride == 1 and 2 * layer.padding == layer.size - 1
        self._pad = None if same or not layer.padding else keras.layers.ZeroPadding2D(layer.padding)
        padding = "same" if same else "valid"
        self.keras = keras.layers.Conv2D(layer.filters, layer.size, layer.stride, padding, use_bias=use_bias)

    def __call__(self, x: Any) -> Any:
        return self.keras(self._pad(x) if self._pad is not None else x)


class Network:
    """The network for training: its Keras layers, which models of several input sizes share.

    Parameters
    ----------
    cfg : Cfg
    weights : Weights
        Of all layers or of the first ones; what the rest begins with is up to Keras.
    """

    def __init__(self, cfg: Cfg, weights: Weights) -> None:
        self.cfg = cfg
        self._convolutions = [_Convolution(layer, not layer.batch_normalize) for _, layer, _ in cfg.convolutions()]
        self._conv = [convolution.keras for convolution in self._convolutions]
        self._norm = [BatchNormalization() if layer.batch_normalize else None for _, layer, _ in cfg.convolutions()]
        self._models: dict[tuple[int, int], keras.Model] = {}
        self.model()
        self.set_weights(weights)

    def model(self, size: tuple[int, int] | None = None) -> keras.Model:
        """The functional Keras model for inputs of `size` (height, width); all sizes share their weights."""
        size = size or (self.cfg.net.height, self.cfg.net.width)
        if size not in self._models:

            def convolution(place: int, layer: Convolutional, x: Any) -> Any:
                x = self._convolutions[place](x)
                norm = self._norm[place]
                x = norm(x) if norm is not None else x
                return keras.layers.LeakyReLU(negative_slope=_LEAK)(x) if layer.activation == "leaky" else x

            self._models[size] = _assemble(self.cfg, size, convolution)
        return self._models[size]

    def trainable(self) -> tuple[list[Any], list[Any]]:
        """Variables that decay (kernels) and those that do not (biases, betas, gammas)."""
        kernels = [conv.kernel for conv in self._conv]
        others: list[Any] = []
        for conv, norm in zip(self._conv, self._norm, strict=True):
            others += [conv.bias] if norm is None else [norm.beta, norm.gamma]
        return kernels, others

    def get_weights(self, seen: int = 0) -> Weights:
        """The current weights in Darknet's layout."""
        layers = []
        for conv, norm in zip(self._conv, self._norm, strict=True):
            kernel = np.ascontiguousarray(np.transpose(_numbers(conv.kernel), (3, 2, 0, 1)))
            if norm is None:
                layers.append(ConvWeights(_numbers(conv.bias), kernel))
            else:
                arrays = (_numbers(norm.gamma), _numbers(norm.mean), _numbers(norm.variance))
                layers.append(ConvWeights(_numbers(norm.beta), kernel, *arrays))
        return Weights(tuple(layers), seen)

    def set_weights(self, weights: Weights) -> None:
        """Take the weights of all layers, or of the first ones."""
        for conv, norm, layer in zip(self._conv, self._norm, weights.layers, strict=False):
            conv.kernel.assign(np.transpose(layer.weights, (2, 3, 1, 0)))
            if norm is None:
                conv.bias.assign(layer.biases)
            else:
                norm.beta.assign(layer.biases)
                norm.gamma.assign(layer.scales)
                norm.mean.assign(layer.mean)
                norm.variance.assign(layer.variance)


def _numbers(variable: Any) -> NDArray[np.float32]:
    return np.array(ops.convert_to_numpy(variable), np.float32)


def detector(cfg: Cfg, weights: Weights, batch: int) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """The network for detection.

    Parameters
    ----------
    cfg, weights
    batch : int
        Images that the compiled function takes at once.

    Returns
    -------
    callable
        (batch, height, width, 3) uint8 RGB -> (batch, rows, columns, num * (5 + classes)) raw output.
    """
    layers: list[Any] = []

    def convolution(place: int, layer: Convolutional, x: Any) -> Any:
        applied = _Convolution(layer, use_bias=True)
        layers.append(applied.keras)
        x = applied(x)
        return keras.layers.LeakyReLU(negative_slope=_LEAK)(x) if layer.activation == "leaky" else x

    model = _assemble(cfg, (cfg.net.height, cfg.net.width), convolution)
    for conv, arrays in zip(layers, weights.layers, strict=True):
        kernel, bias = folded(arrays)
        conv.kernel.assign(kernel)
        conv.bias.assign(bias)
    run = compiled(lambda images: model(ops.cast(images, "float32") / 255, training=False))
    return lambda images: np.asarray(ops.convert_to_numpy(run(images)), np.float32)
