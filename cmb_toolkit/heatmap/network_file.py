"""A heatmap network read from its file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..lessons import network_file
from .blocks import factor_of

__all__ = ["load"]

_CHANNELS = 2


def _built(name: str, channels: int) -> Any:
    from .network import build

    return build(cast(Any, name), channels, 0)


_BUILDERS = {f"heatmap-{name}": partial(_built, name) for name in ("small", "large")}


def load(path: Path, spacing: Sequence[float]) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
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
    model = network_file.load(path, _BUILDERS, "heatmap")
    if model.input_shape[-1] != _CHANNELS * factor_of(spacing) ** 2:
        voxel = " x ".join(f"{side:g}" for side in spacing)
        raise DataError(f"{path}: is for scans with other voxels than {voxel} mm. Train one on scans like these.")
    from .running import answers

    return answers(model)
