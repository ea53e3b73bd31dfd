"""Layers of 3D networks in OpenVINO, with the numbers that a network of Keras has learned.

Tensors are (n, channel, i, j, k), batches of any size. As :mod:`cmb_toolkit.backend` it is imported late.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as op

from .machine import cores

__all__ = [
    "Numbers",
    "batch_norm",
    "convolution",
    "dense",
    "flat",
    "permuted",
    "pooled",
    "reshaped",
    "runs",
    "upsampled",
]

Array = NDArray[np.float32]

Kind = Literal["conv3d", "batch_normalization", "depth_bn", "dense"]
"""What Keras calls a kind of layer in its files."""

_BN_EPSILON = 1e-3
"""Of Keras' batch norm and of our own."""


class Numbers:
    """The numbers of a network, given out layer by layer.

    Parameters
    ----------
    of_kind : mapping
        Kind of layer -> the arrays of all layers of this kind, in their order in the network.
    """

    def __init__(self, of_kind: Mapping[Any, Iterable[Array]]) -> None:
        self._left: dict[Any, Iterator[Array]] = {kind: iter(arrays) for kind, arrays in of_kind.items()}

    @classmethod
    def in_turn(cls, arrays: Iterable[Array]) -> Numbers:
        """Of layers that follow each other, whatever their kind."""
        all_alike = iter(arrays)
        return cls(dict.fromkeys(get_args(Kind), all_alike))

    def next(self, kind: Kind, *shapes: tuple[int, ...]) -> list[Array]:
        """The arrays of the next layer of a kind.

        Raises
        ------
        ValueError
            If there are none of these shapes.
        """
        arrays = [next(self._left[kind], np.empty(0, np.float32)) for _ in shapes] if kind in self._left else []
        if [array.shape for array in arrays] != list(shapes):
            raise ValueError(f"no {kind} of {', '.join(map(str, shapes))}")
        return arrays

    def check_used(self) -> None:
        """Be sure that none is left.

        Raises
        ------
        ValueError
        """
        for kind, arrays in self._left.items():
            if next(arrays, None) is not None:
                raise ValueError(f"more than one {kind} too many")


def runs(output: Any, image: Any) -> Callable[[Array], Array]:
    """What computes a network, in single precision on the processors: a batch of `image` -> `output`."""
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": cores(),
    }
    compiled = ov.Core().compile_model(ov.Model([output], [image], "network"), "CPU", settings)
    return lambda batch: np.array(compiled([np.ascontiguousarray(batch)])[0], np.float32)


def convolution(
    x: Any,
    numbers: Numbers,
    filters: int,
    size: Sequence[int] = (3, 3, 3),
    *,
    same: bool = True,
    bias: bool = True,
    relu: bool = True,
) -> Any:
    """A convolution of stride 1.

    Parameters
    ----------
    x : tensor
    numbers : Numbers
    filters : int
    size : three ints
        Of the kernel.
    same : bool
        As many voxels out as in (of odd kernels); else as many as have all their neighbours.
    bias, relu : bool
    """
    kernel, *added = numbers.next("conv3d", (*size, _channels(x), filters), *([(filters,)] if bias else []))
    ends, ones = [(side - 1) // 2 if same else 0 for side in size], [1, 1, 1]
    x = op.convolution(x, np.ascontiguousarray(kernel.transpose(4, 3, 0, 1, 2)), ones, ends, ends, ones)
    x = op.add(x, added[0].reshape(1, -1, 1, 1, 1)) if bias else x
    return op.relu(x) if relu else x


def batch_norm(x: Any, numbers: Numbers, *, axis: int = 1, relu: bool = False) -> Any:
    """Batch norm over the channels, or of our own kind (``DepthBN``) over axis 4, the depth."""
    sides = x.output(0).get_partial_shape()
    length = sides[axis].get_length()
    kind: Kind = "batch_normalization" if axis == 1 else "depth_bn"
    gamma, beta, mean, variance = (each.astype(float) for each in numbers.next(kind, *[(length,)] * 4))
    scale = gamma / np.sqrt(variance + _BN_EPSILON)
    shape = [length if n == axis else 1 for n in range(5)]
    x = op.multiply(x, scale.astype(np.float32).reshape(shape))
    x = op.add(x, (beta - mean * scale).astype(np.float32).reshape(shape))
    return op.relu(x) if relu else x


def pooled(x: Any, size: Sequence[int] = (2, 2, 2)) -> Any:
    """The greatest of `size` voxels; a rest at the far ends is left out."""
    none = [0, 0, 0]
    return op.max_pool(x, list(size), [1, 1, 1], none, none, list(size), "floor", "explicit", "i64", 0).output(0)


def upsampled(x: Any, size: Sequence[int]) -> Any:
    """Each voxel `size` times."""
    return op.interpolate(
        x,
        np.array(size, np.float32),
        "nearest",
        "scales",
        [0],
        [0],
        "asymmetric",
        "floor",
        axes=np.array([2, 3, 4], np.int64),
    )


def flat(x: Any) -> Any:
    """(n, channel, i, j, k) -> (n, i j k channel), the order of Keras' arrays."""
    x = permuted(x, 0, 2, 3, 4, 1)
    _, *sides = x.output(0).get_partial_shape()
    return reshaped(x, -1, math.prod(side.get_length() for side in sides))


def dense(x: Any, numbers: Numbers, units: int, *, relu: bool = True) -> Any:
    """(n, in) -> (n, units)."""
    kernel, bias = numbers.next("dense", (_channels(x), units), (units,))
    x = op.add(op.matmul(x, kernel, False, False), bias.reshape(1, -1))
    return op.relu(x) if relu else x


def permuted(x: Any, *axes: int) -> Any:
    """Axes in another order."""
    return op.transpose(x, np.array(axes, np.int64))


def reshaped(x: Any, *shape: int) -> Any:
    """Another shape; -1 is the batch."""
    return op.reshape(x, np.array(shape, np.int64), False)


def _channels(x: Any) -> int:
    shape = (x.output(0) if isinstance(x, ov.Node) else x).get_partial_shape()
    return int(shape[1].get_length())
