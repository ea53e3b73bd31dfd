"""A Darknet network in OpenVINO, for detection on processors: the same layers from the same cfg and weights.

Nothing of Keras or its backends is imported. OpenVINO takes bf16 by itself on processors that have it; here it
computes in the precision that was asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as op

from ..machine import cores
from .cfg import Cfg
from .layers import Convolutional, Maxpool, Reorg, Route
from .recipe import Precision
from .weights import ConvWeights, Weights, folded

__all__ = ["detector", "precisions"]

_LEAK = np.float32(0.1)


def precisions() -> tuple[Precision, ...]:
    """What this processor computes in."""
    has = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("f32", "bf16") if "BF16" in has else ("f32",)


def detector(
    cfg: Cfg, weights: Weights, batch: int, precision: Precision = "f32"
) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """The network for detection, as :func:`cmb_toolkit.darknet.network.detector` builds it in Keras.

    Parameters
    ----------
    cfg, weights
    batch : int
        Images that it takes at once.
    precision : {"f32", "bf16"}

    Returns
    -------
    callable
        (batch, height, width, 3) uint8 RGB -> (batch, rows, columns, num * (5 + classes)) raw output.
    """
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": cores(),
    }
    compiled = ov.Core().compile_model(_assemble(cfg, weights, batch), "CPU", settings)
    return lambda images: np.asarray(compiled([images])[0], np.float32)


def _assemble(cfg: Cfg, weights: Weights, batch: int) -> ov.Model:
    image = op.parameter([batch, cfg.net.height, cfg.net.width, cfg.net.channels], np.uint8)
    x = op.divide(op.convert(op.transpose(image, _ints(0, 3, 1, 2)), "f32"), np.float32(255))
    outputs: list[Any] = []
    arrays = iter(weights.layers)
    for layer, shape in zip(cfg.layers[:-1], cfg.shapes, strict=False):
        if isinstance(layer, Convolutional):
            x = _convolution(layer, next(arrays), x)
        elif isinstance(layer, Maxpool):
            x = _maxpool(layer, x, shape[1:])
        elif isinstance(layer, Route):
            parts = [outputs[n] for n in layer.layers]
            x = op.concat(parts, 1) if len(parts) > 1 else parts[0]
        else:
            assert isinstance(layer, Reorg)
            x = _reorg(layer, x, batch)
        outputs.append(x)
    return ov.Model([op.transpose(x, _ints(0, 2, 3, 1))], [image], "detector")


def _convolution(layer: Convolutional, arrays: ConvWeights, x: Any) -> Any:
    kernel, bias = folded(arrays)
    kernel = np.ascontiguousarray(np.transpose(kernel, (3, 2, 0, 1)))
    stride, padding = [layer.stride] * 2, [layer.padding] * 2
    x = op.add(op.convolution(x, kernel, stride, padding, padding, [1, 1]), bias.reshape(1, -1, 1, 1))
    return op.prelu(x, _LEAK) if layer.activation == "leaky" else x


def _maxpool(layer: Maxpool, x: Any, out: tuple[int, ...]) -> Any:
    """As many pixels beyond the far ends as the last window needs; pixels beyond the ends are never the greatest."""
    front = layer.padding // 2
    ends = [
        max((after - 1) * layer.stride + layer.size - before.get_length() - front, 0)
        for after, before in zip(out, list(x.get_output_partial_shape(0))[2:], strict=True)
    ]
    stride, size = [layer.stride] * 2, [layer.size] * 2
    return op.max_pool(x, stride, [1, 1], [front] * 2, ends, size, "floor", "explicit", "i64", 0).output(0)


def _reorg(layer: Reorg, x: Any, batch: int) -> Any:
    """Darknet's permutation: the (c, h, w) buffer is read as (c/s^2, h s, w s) before it is taken apart."""
    s = layer.stride
    _, c, h, w = (side.get_length() for side in x.get_output_partial_shape(0))
    x = op.reshape(x, _ints(batch, c // s**2, h, s, w, s), False)
    x = op.transpose(x, _ints(0, 3, 5, 1, 2, 4))
    return op.reshape(x, _ints(batch, c * s**2, h // s, w // s), False)


def _ints(*numbers: int) -> NDArray[np.int64]:
    return np.array(numbers, np.int64)
