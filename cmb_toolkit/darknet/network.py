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
from .recipe import Precision
from .tensors import compiled, keras, ops
from .weights import ConvWeights, Weights, folded

__all__ = ["Network", "detector"]

_LEAK = 0.1
_POLICIES: dict[Precision, str] = {"f32": "float32", "bf16": "mixed_bfloat16"}
"""What Keras calls them; either way the weights are f32."""


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


def _assemble(
    cfg: Cfg, size: tuple[int, int], policy: str, convolution: Callable[[int, Convolutional, Any], Any]
) -> keras.Model:
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
            x = keras.layers.Concatenate(dtype=policy)(parts) if len(parts) > 1 else parts[0]
        else:
            assert isinstance(layer, Reorg)
            x = _reorg(layer, x)
        outputs.append(x)
    return keras.Model(image, x)


class _Convolution:
    """A Keras convolution with Darknet's padding: the same number of zeros on every side.

    The last one, which has no batch norm, computes in f32 whatever the others do: boxes are read off it.
    """

    def __init__(self, layer: Convolutional, use_bias: bool, policy: str) -> None:
        policy = policy if layer.batch_normalize else _POLICIES["f32"]
        same = layer.stride == 1 and 2 * layer.padding == layer.size - 1
        self._pad = None if same or not layer.padding else keras.layers.ZeroPadding2D(layer.padding, dtype=policy)
        padding = "same" if same else "valid"
        self.keras = keras.layers.Conv2D(
            layer.filters, layer.size, layer.stride, padding, use_bias=use_bias, dtype=policy
        )

    def __call__(self, x: Any) -> Any:
        return self.keras(self._pad(x) if self._pad is not None else x)


class Network:
    """The network for training: its Keras layers, which models of several input sizes share.

    Parameters
    ----------
    cfg : Cfg
    weights : Weights
        Of all layers or of the first ones; what the rest begins with is up to Keras.
    precision : {"f32", "bf16"}
        Of what the convolutions take and give. Weights, statistics and the last convolution are f32.
    """

    def __init__(self, cfg: Cfg, weights: Weights, precision: Precision = "f32") -> None:
        self.cfg = cfg
        self._policy = _POLICIES[precision]
        self._convolutions = [
            _Convolution(layer, not layer.batch_normalize, self._policy) for _, layer, _ in cfg.convolutions()
        ]
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
                return _activated(layer, norm(x) if norm is not None else x, self._policy)

            self._models[size] = _assemble(self.cfg, size, self._policy, convolution)
        return self._models[size]

    def trainable(self) -> tuple[list[Any], list[Any]]:
        """Variables that decay (kernels) and those that do not (biases, betas, gammas)."""
        kernels = [conv.kernel for conv in self._conv]
        others: list[Any] = []
        for conv, norm in zip(self._conv, self._norm, strict=True):
            others += [conv.bias] if norm is None else [norm.beta, norm.gamma]
        return kernels, others

    def statistics(self) -> list[Any]:
        """Variables that change on their own: the rolling means and variances of batch norm."""
        return [variable for norm in self._norm if norm is not None for variable in (norm.mean, norm.variance)]

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


def _activated(layer: Convolutional, x: Any, policy: str) -> Any:
    return keras.layers.LeakyReLU(negative_slope=_LEAK, dtype=policy)(x) if layer.activation == "leaky" else x


def _numbers(variable: Any) -> NDArray[np.float32]:
    return np.array(ops.convert_to_numpy(variable), np.float32)


def detector(
    cfg: Cfg, weights: Weights, batch: int, precision: Precision = "f32"
) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """The network for detection.

    Parameters
    ----------
    cfg, weights
    batch : int
        Images that the compiled function takes at once.
    precision : {"f32", "bf16"}
        As :class:`Network` takes it.

    Returns
    -------
    callable
        (batch, height, width, 3) uint8 RGB -> (batch, rows, columns, num * (5 + classes)) raw output.
    """
    layers: list[Any] = []

    def convolution(place: int, layer: Convolutional, x: Any) -> Any:
        applied = _Convolution(layer, use_bias=True, policy=policy)
        layers.append(applied.keras)
        return _activated(layer, applied(x), policy)

    policy = _POLICIES[precision]
    model = _assemble(cfg, (cfg.net.height, cfg.net.width), policy, convolution)
    for conv, arrays in zip(layers, weights.layers, strict=True):
        kernel, bias = folded(arrays)
        conv.kernel.assign(kernel)
        conv.bias.assign(bias)
    run = compiled(lambda images: model(ops.cast(images, "float32") / 255, training=False), model.variables)
    return lambda images: np.asarray(ops.convert_to_numpy(run(images)), np.float32)
