"""A heatmap network read from its file, in OpenVINO or in Keras."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..device import importing_openvino, keras_because
from ..errors import DataError
from ..lessons import network_file
from ..lessons.brains import Brain
from .blocks import factor_of
from .peaks import LOOKS, scores

__all__ = ["load"]

_CHANNELS = 2

Float = NDArray[np.float32]


def _built(name: str, channels: int) -> Any:
    from .network import build

    return build(cast(Any, name), channels, 0)


_BUILDERS = {f"heatmap-{name}": partial(_built, name) for name in ("small", "large")}


def load(path: Path, spacing: Sequence[float]) -> Callable[[Brain], Float]:
    """What answers with a network, see :func:`cmb_toolkit.heatmap.peaks.scores`.

    Parameters
    ----------
    path : Path
    spacing : three floats
        Voxel size [mm] of the scans that it is to look at.

    Raises
    ------
    MissingError
    DataError
        If it is no such file, or the network is for scans with other voxels.
    """
    stamp = path.stat().st_mtime_ns if path.is_file() else 0
    file, run = _opened(path, stamp, keras_because() != "")
    if file.channels != _CHANNELS * factor_of(spacing) ** 2:
        voxel = " x ".join(f"{side:g}" for side in spacing)
        raise DataError(f"{path}: is for scans with other voxels than {voxel} mm. Train one on scans like these.")
    if file.looks not in LOOKS:
        raise DataError(
            f"{path}: looks at scans in a way that is not known here ({file.looks!r:.60}). Use the version of the "
            "toolkit that made it."
        )
    return partial(scores, run, looks=LOOKS[file.looks])


@cache
def _opened(path: Path, _: int, in_keras: bool) -> tuple[network_file.NetworkFile, Callable[[Float], Float]]:
    file = network_file.read_network(path, _BUILDERS, "heatmap")
    if in_keras:
        from .running import answers

        return file, answers(network_file.built(file, _BUILDERS))
    with importing_openvino():
        from ..openvino_layers import Numbers
        from . import openvino_network
    try:
        return file, openvino_network.answers(file.network, file.channels, Numbers.in_turn(file.arrays))
    except ValueError as error:
        raise file.other_numbers() from error
