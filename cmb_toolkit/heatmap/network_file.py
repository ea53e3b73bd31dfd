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
from .blocks import factor_of

__all__ = ["load"]

_CHANNELS = 2

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def _built(name: str, channels: int) -> Any:
    from .network import build

    return build(cast(Any, name), channels, 0)


_BUILDERS = {f"heatmap-{name}": partial(_built, name) for name in ("small", "large")}


def load(path: Path, spacing: Sequence[float]) -> Run:
    """What answers with a network, see :func:`cmb_toolkit.heatmap.running.answers`.

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
    channels, run = _in_keras(path) if keras_because() else _in_openvino(path, stamp)
    if channels != _CHANNELS * factor_of(spacing) ** 2:
        voxel = " x ".join(f"{side:g}" for side in spacing)
        raise DataError(f"{path}: is for scans with other voxels than {voxel} mm. Train one on scans like these.")
    return run


def _in_keras(path: Path) -> tuple[int, Run]:
    models = network_file.load_all(path, _BUILDERS, "heatmap")
    from .running import answers

    return int(models[0].input_shape[-1]), answers(*models)


@cache
def _in_openvino(path: Path, _: int) -> tuple[int, Run]:
    with importing_openvino():
        from ..openvino_layers import Numbers
        from .openvino_network import answers
    file = network_file.read_network(path, _BUILDERS, "heatmap")
    try:
        return file.channels, answers(file.network, file.channels, file.networks, Numbers.in_turn(file.arrays))
    except ValueError as error:
        raise file.other_numbers() from error
