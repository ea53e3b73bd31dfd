"""The heatmap networks in OpenVINO, to look at scans on processors: the layers of :mod:`.network`.

Nothing of Keras or its backends is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openvino import opset13 as op

from ..openvino_layers import Numbers, batch_norm, convolution, permuted, pooled, runs, upsampled

__all__ = ["answers"]

Array = NDArray[np.float32]


def answers(network: str, channels: int, numbers: Numbers) -> Callable[[Array], Array]:
    """What gives the probabilities of a batch, as :func:`cmb_toolkit.heatmap.running.answers`.

    Parameters
    ----------
    network : str
        One of :func:`cmb_toolkit.heatmap.network.build`, as its file calls it.
    channels : int
        Of its input.
    numbers : Numbers

    Returns
    -------
    callable
        (n, i, j, k, channels) -> (n, i, j, k, 1), 0..1.

    Raises
    ------
    ValueError
        If the numbers are not this network's.
    """
    image = op.parameter([-1, -1, -1, -1, channels], np.float32)
    x = permuted(image, 0, 4, 1, 2, 3)
    x = _small(x, numbers) if network == "heatmap-small" else _large(x, numbers)
    x = op.sigmoid(convolution(x, numbers, 1, (1, 1, 1), relu=False))
    numbers.check_used()
    return runs(permuted(x, 0, 2, 3, 4, 1), image)


def _small(x: Any, numbers: Numbers) -> Any:
    fine = _twice(x, numbers, 16)
    middle = _twice(pooled(fine, (2, 2, 1)), numbers, 32)
    return _once(_beside(middle, (2, 2, 1), fine), numbers, 16)


def _large(x: Any, numbers: Numbers) -> Any:
    fine = _twice(x, numbers, 24)
    middle = _twice(pooled(fine, (2, 2, 1)), numbers, 48)
    coarse = _twice(pooled(middle), numbers, 96)
    middle = _once(_beside(coarse, (2, 2, 2), middle), numbers, 48)
    return _once(_beside(middle, (2, 2, 1), fine), numbers, 24)


def _beside(coarse: Any, size: tuple[int, int, int], fine: Any) -> Any:
    return op.concat([upsampled(coarse, size), fine], 1)


def _once(x: Any, numbers: Numbers, filters: int) -> Any:
    return batch_norm(convolution(x, numbers, filters, bias=False, relu=False), numbers, relu=True)


def _twice(x: Any, numbers: Numbers, filters: int) -> Any:
    return _once(_once(x, numbers, filters), numbers, filters)
