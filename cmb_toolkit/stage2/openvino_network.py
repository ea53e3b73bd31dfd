"""The networks of stage 2 in OpenVINO, to classify on processors: the layers of :mod:`.networks` and :mod:`.rivals`.

Nothing of Keras or its backends is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openvino import opset13 as op

from ..classifiers import CLASSIFIERS
from ..openvino_layers import Numbers, batch_norm, convolution, dense, flat, permuted, pooled, reshaped, runs
from ..registry import load as locate

__all__ = ["Builder", "channel", "chen", "classifier", "dou", "liu", "paper", "paper_literal", "small"]

Array = NDArray[np.float32]

Builder = Callable[[Any, Numbers, int], Any]
"""(n, size, 2 size, size) patches in 0..1, numbers, size -> probabilities (n, ..), the last of them of a microbleed."""


def classifier(network: str, numbers: Numbers) -> Callable[[Array], Array]:
    """What classifies patches.

    Parameters
    ----------
    network : str
        One of :data:`cmb_toolkit.classifiers.CLASSIFIERS` that has a builder for OpenVINO.
    numbers : Numbers

    Returns
    -------
    callable
        (n, size, 2 size, size) in 0..1 -> (n,) probability of a microbleed.

    Raises
    ------
    ValueError
        If the numbers are not this network's.
    """
    known = CLASSIFIERS[network]
    builder: Builder = locate(known.openvino)
    size = known.size
    image = op.parameter([-1, size, 2 * size, size], np.float32)
    run = runs(builder(image, numbers, size), image)
    numbers.check_used()
    return lambda patches: run(patches)[:, -1]


def paper(image: Any, numbers: Numbers, size: int) -> Any:
    """The paper's network."""
    return _paper(image, numbers, size, axis=4, centred=True)


def channel(image: Any, numbers: Numbers, size: int) -> Any:
    """The same with batch norm over channels."""
    return _paper(image, numbers, size, axis=1, centred=True)


def paper_literal(image: Any, numbers: Numbers, size: int) -> Any:
    """The paper's as it is written there."""
    return _paper(image, numbers, size, axis=4, centred=False)


def _paper(image: Any, numbers: Numbers, size: int, *, axis: int, centred: bool) -> Any:
    x = reshaped(image, -1, 1, size, 2 * size, size)
    x = _centred(x) if centred else x
    for block in ((32, 64, 64), (128, 128)):
        for filters in block:
            x = batch_norm(convolution(x, numbers, filters), numbers, axis=axis)
        x = pooled(x)
    return _probabilities(dense(dense(flat(x), numbers, 32), numbers, 8), numbers)


def small(image: Any, numbers: Numbers, size: int) -> Any:
    """A network that a CPU trains in minutes."""
    half = size // 2
    # (n, i, a, side, j, b, k) -> (n, a, b, side, i, j, k): as `Blocks`, channels first
    x = op.subtract(reshaped(image, -1, half, 2, 2, half, 2, size), np.float32(0.5))
    x = reshaped(permuted(x, 0, 2, 5, 3, 1, 4, 6), -1, 8, half, half, size)
    for filters, pools in ((24, False), (24, True), (48, True)):
        x = batch_norm(convolution(x, numbers, filters, bias=False, relu=False), numbers, relu=True)
        x = pooled(x) if pools else x
    return _probabilities(dense(flat(x), numbers, 32), numbers)


def dou(image: Any, numbers: Numbers, size: int) -> Any:
    """Dou's 3D-CNN."""
    x = _middle(image, size, slices=16, channels=1)
    x = pooled(convolution(x, numbers, 32, (7, 7, 5), same=False))
    x = convolution(x, numbers, 64, (5, 5, 3), same=False)
    return _probabilities(dense(dense(flat(x), numbers, 500), numbers, 100), numbers)


def chen(image: Any, numbers: Numbers, size: int) -> Any:
    """Chen's 3D-ResNet."""
    return _resnet(image, numbers, size, slices=8, channels=1)


def liu(image: Any, numbers: Numbers, size: int) -> Any:
    """The same on whole patches of SWI and phase."""
    return _resnet(image, numbers, size, slices=16, channels=2)


def _resnet(image: Any, numbers: Numbers, size: int, *, slices: int, channels: int) -> Any:
    x = _middle(image, size, slices=slices, channels=channels)
    for level, (width, units) in enumerate(((8, 3), (16, 6), (32, 3))):
        x = pooled(x) if level else x
        for unit in range(units):
            x = _unit(x, numbers, width, widened=unit == 0)
    x = op.reduce_mean(x, np.array([2, 3, 4], np.int64), False)
    return op.sigmoid(dense(dense(dense(x, numbers, 32), numbers, 16), numbers, 1, relu=False))


def _unit(x: Any, numbers: Numbers, width: int, *, widened: bool) -> Any:
    shortcut = x
    x = batch_norm(convolution(x, numbers, width, relu=False), numbers, relu=True)
    x = batch_norm(convolution(x, numbers, width, relu=False), numbers)
    # Keras puts layers in the order of their distance from the end: this one comes last in its files
    shortcut = convolution(shortcut, numbers, width, (1, 1, 1), relu=False) if widened else shortcut
    return op.relu(op.add(x, shortcut))


def _middle(image: Any, size: int, *, slices: int, channels: int) -> Any:
    """The slices in the middle of SWI, or of SWI and phase, as ``Middle``."""
    first = (size - slices) // 2
    x = permuted(reshaped(image, -1, size, 2, size, size), 0, 2, 1, 3, 4)
    begin, end, step, axes = np.array([[0, first], [channels, first + slices], [1, 1], [1, 4]], np.int64)
    return _centred(op.slice(x, begin, end, step, axes))


def _centred(x: Any) -> Any:
    return op.subtract(op.multiply(x, np.float32(4)), np.float32(2))


def _probabilities(x: Any, numbers: Numbers) -> Any:
    return op.softmax(dense(x, numbers, 2, relu=False), 1)
