"""A heatmap network's file: its name and its numbers, nothing that could run."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..io.files import check_file
from .blocks import factor_of

__all__ = ["load", "save"]

_AGAIN = "Train it again with `cmbtk heatmap`."
_LARGEST = 64 << 20
"""Of the file, and of what it holds [byte]; the large network takes 3 million."""

_CHANNELS = 2
_NAMES = {"heatmap-small": "small", "heatmap-large": "large"}


def save(model: Any, out: Path) -> None:
    """Write a network."""
    arrays = {f"weight_{n}": np.asarray(array) for n, array in enumerate(model.get_weights())}
    with out.open("wb") as stream:
        np.savez(stream, allow_pickle=False, name=np.array(model.name), channels=model.input_shape[-1], **arrays)


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
    model = _load(path, path.stat().st_mtime_ns if path.is_file() else 0)
    if model.input_shape[-1] != _CHANNELS * factor_of(spacing) ** 2:
        voxel = " x ".join(f"{side:g}" for side in spacing)
        raise DataError(f"{path}: is for scans with other voxels than {voxel} mm. Train one on scans like these.")
    from .running import answers

    return answers(model)


@cache
def _load(path: Path, _: int) -> Any:
    from .network import build

    check_file(path, _AGAIN, _LARGEST)
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(part.file_size for part in archive.infolist()) > _LARGEST:
                raise DataError(f"{path}: larger than any such network. {_AGAIN}")
        with np.load(path, allow_pickle=False) as file:
            name, channels = str(file["name"]), int(file["channels"])
            numbers = [file[f"weight_{n}"] for n in range(len(file.files) - 2)]
    except DataError:
        raise
    except Exception as error:  # zipfile, zlib and numpy raise what they like
        raise DataError(f"{path}: not a readable heatmap network ({type(error).__name__}). {_AGAIN}") from error
    if name not in _NAMES or not 1 <= channels <= _CHANNELS * 64:
        raise DataError(f"{path}: a network called {name!r:.60}; known are {', '.join(_NAMES)}. {_AGAIN}")
    model = build(cast(Any, _NAMES[name]), channels, 0)
    if [weight.shape for weight in model.get_weights()] != [array.shape for array in numbers] or not all(
        array.dtype == np.float32 and np.isfinite(array).all() for array in numbers
    ):
        raise DataError(f"{path}: its numbers are not those of the network {name}. {_AGAIN}")
    model.set_weights(numbers)
    return model
