"""Darknet's ``.weights`` files.

Little-endian; int32 major, minor, revision, then the number of images seen (uint64 from version 0.2 on, uint32
before), then float32 arrays of every convolution in file order: biases (batch norm's beta), with batch norm the
scales (gamma), means and variances, then the weights (out, in, row, column). Nothing says which network a file
belongs to but its size, so the size must match exactly.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..io.files import read_bytes
from .cfg import Cfg
from .layers import Convolutional

__all__ = [
    "BN_EPSILON",
    "ConvWeights",
    "NotFiniteError",
    "Weights",
    "folded",
    "initial_weights",
    "read_weights",
    "write_weights",
]

Array = NDArray[np.float32]

BN_EPSILON = 1e-5
"""Added to the variance under the root, as AlexeyAB's Darknet does (the original adds 1e-6 after the root)."""


_LARGEST = 1 << 30
"""A file of this size [byte] is still read, to say whose it is not."""


class NotFiniteError(DataError):
    """Weights hold NaN or infinite numbers: the training that wrote them had failed."""


@dataclass(frozen=True)
class ConvWeights:
    """The arrays of one convolution.

    Attributes
    ----------
    biases : (filters,) array
        Bias, or batch norm's beta.
    weights : (filters, channels, size, size) array
        Cross-correlation kernels: out, in, row, column.
    scales, mean, variance : (filters,) arrays or None
        Batch norm's gamma, rolling mean and rolling variance.
    """

    biases: Array
    weights: Array
    scales: Array | None = None
    mean: Array | None = None
    variance: Array | None = None

    def arrays(self) -> list[Array]:
        """The arrays in the file's order."""
        norm = [array for array in (self.scales, self.mean, self.variance) if array is not None]
        return [self.biases, *norm, self.weights]


@dataclass(frozen=True)
class Weights:
    """All convolutions of a network in file order, and the number of images it was trained on."""

    layers: tuple[ConvWeights, ...]
    seen: int = 0

    def is_finite(self) -> bool:
        """Whether no number is NaN or infinite."""
        return all(bool(np.isfinite(array).all()) for layer in self.layers for array in layer.arrays())


def initial_weights(cfg: Cfg, seed: int) -> Weights:
    """Weights to begin training with, as AlexeyAB's Darknet draws them: U(-1, 1) * sqrt(2 / fan-in).

    Biases and rolling statistics are 0, scales 1. The same seed gives the same weights everywhere.
    """
    random = np.random.default_rng([seed, 0])
    layers = []
    for _, layer, channels in cfg.convolutions():
        shape = (layer.filters, channels, layer.size, layer.size)
        bound = np.sqrt(2 / (channels * layer.size**2))
        weights = random.uniform(-bound, bound, shape).astype(np.float32)
        zeros = np.zeros(layer.filters, np.float32)
        if layer.batch_normalize:
            layers.append(ConvWeights(zeros, weights, np.ones_like(zeros), zeros, zeros))
        else:
            layers.append(ConvWeights(zeros, weights))
    return Weights(tuple(layers))


def _shapes(layer: Convolutional, channels: int) -> list[tuple[int, ...]]:
    one = (layer.filters,)
    return [one, *([one] * 3 if layer.batch_normalize else []), (layer.filters, channels, layer.size, layer.size)]


def read_weights(path: Path, cfg: Cfg, *, partial: bool = False) -> Weights:
    """Read the weights of a network.

    Parameters
    ----------
    path : Path
    cfg : Cfg
        The network the file must belong to.
    partial : bool
        Allow a file with only the first convolutions (a pre-trained backbone such as ``darknet19_448.conv.23``);
        the result then has as many layers as the file, and `seen` is 0 so that the schedule starts anew.

    Raises
    ------
    MissingError, DataError
        If the file is not there, cut off, of another network, or holds NaN or infinite numbers.
    """
    largest = max(_LARGEST, 2 * cfg.weights_bytes)
    content = read_bytes(path, "Run `cmbtk stage1-train` or check the path of the weights.", largest)
    if len(content) < 16:
        raise DataError(f"{path}: {len(content)} bytes, too short for a Darknet weights file. Train or copy it again.")
    major, minor, _ = struct.unpack_from("<3i", content)
    if not (0 <= major < 1000 and 0 <= minor < 1000):
        raise DataError(
            f"{path}: begins with version {major}.{minor}, so it is not a Darknet weights file. Give a .weights file."
        )
    wide = major * 10 + minor >= 2
    header = 20 if wide else 16
    seen = int(struct.unpack_from("<Q" if wide and len(content) >= 20 else "<I", content, 12)[0])
    floats, left = divmod(len(content) - header, 4)
    counts = [sum(int(np.prod(shape)) for shape in _shapes(layer, c)) for _, layer, c in cfg.convolutions()]
    ends = np.cumsum(counts)
    if left or floats not in ends[:-1].tolist() * partial + [cfg.floats]:
        raise DataError(f"{path}: {_size_problem(len(content), header, cfg, ends.tolist(), partial)}")
    flat = np.frombuffer(content, "<f4", offset=header)
    layers, place = [], 0
    for (_, layer, channels), end in zip(cfg.convolutions(), ends, strict=True):
        if end > floats:
            break
        arrays = []
        for shape in _shapes(layer, channels):
            size = int(np.prod(shape))
            arrays.append(flat[place : place + size].reshape(shape).astype(np.float32))
            place += size
        norm = dict(zip(("scales", "mean", "variance"), arrays[1:-1], strict=False))
        layers.append(ConvWeights(arrays[0], arrays[-1], **norm))
    weights = Weights(tuple(layers), 0 if len(layers) < len(ends) else seen)
    if not weights.is_finite():
        raise NotFiniteError(
            f"{path}: holds NaN or infinite numbers, so the training that wrote it had failed. "
            "Train again with a smaller learning_rate."
        )
    if any(layer.variance is not None and (layer.variance < 0).any() for layer in weights.layers):
        raise DataError(f"{path}: holds variances below 0, so it is damaged. Copy or train it again.")
    return weights


def _size_problem(size: int, header: int, cfg: Cfg, ends: list[int], partial: bool) -> str:
    floats = (size - header) // 4
    expected = header + 4 * cfg.floats
    text = f"{size:,} bytes, but the network in the cfg needs exactly {expected:,}"
    if floats in ends[:-1] and not partial:
        return f"{text}; the file holds only its first {ends.index(floats) + 1} of {len(ends)} convolutions. " + (
            "Use it as starting weights of a training, or give the weights of the whole network."
        )
    if size < expected:
        return f"{text}; the file is cut off or belongs to another network. Copy or train it again, or give its cfg."
    return f"{text}; the file belongs to another network. Give the cfg that it was trained with."


def write_weights(weights: Weights, path: Path) -> None:
    """Write a weights file as AlexeyAB's Darknet does (version 0.2.5, 20-byte header). Not atomic by itself."""
    with path.open("wb") as stream:
        stream.write(struct.pack("<3iQ", 0, 2, 5, weights.seen))
        for layer in weights.layers:
            for array in layer.arrays():
                stream.write(np.ascontiguousarray(array, "<f4").tobytes())


def folded(layer: ConvWeights) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Kernel (row, column, in, out) and bias of a convolution with its batch norm multiplied in (in double)."""
    weights, bias = layer.weights.astype(float), layer.biases.astype(float)
    if layer.scales is not None and layer.mean is not None and layer.variance is not None:
        scale = layer.scales.astype(float) / np.sqrt(layer.variance.astype(float) + BN_EPSILON)
        weights = weights * scale[:, None, None, None]
        bias = bias - layer.mean * scale
    return np.transpose(weights, (2, 3, 1, 0)).astype(np.float32), bias.astype(np.float32)
