"""A network's file: its name and its numbers, nothing that could run."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..io.files import check_file

__all__ = ["Builders", "load", "save"]

_LARGEST = 256 << 20
"""Of the file, and of what it holds [byte]; the largest network, a ResNet-50, takes 95 million."""

_MOST_CHANNELS = 128

Builders = Mapping[str, Callable[[int], Any]]
"""Name of a network -> what builds it, untrained, from the number of its input's channels."""


def save(model: Any, out: Path) -> None:
    """Write a network."""
    arrays = {f"weight_{n}": np.asarray(array) for n, array in enumerate(model.get_weights())}
    with out.open("wb") as stream:
        np.savez(stream, allow_pickle=False, name=np.array(model.name), channels=model.input_shape[-1], **arrays)


def load(path: Path, builders: Builders, command: str) -> Any:
    """A network, built here, with the numbers of a file.

    Parameters
    ----------
    path : Path
    builders : mapping
        Of the networks that it may be.
    command : str
        What trains one.

    Raises
    ------
    MissingError
    DataError
        If it is no such file.
    """
    stamp = path.stat().st_mtime_ns if path.is_file() else 0
    return _load(path, stamp, tuple(sorted(builders.items())), command)


@cache
def _load(path: Path, _: int, known: tuple[tuple[str, Callable[[int], Any]], ...], command: str) -> Any:
    builders, again = dict(known), f"Train it again with `cmbtk {command}`."
    check_file(path, again, _LARGEST)
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(part.file_size for part in archive.infolist()) > _LARGEST:
                raise DataError(f"{path}: larger than any such network. {again}")
        with np.load(path, allow_pickle=False) as file:
            name, channels = str(file["name"]), int(file["channels"])
            numbers = [file[f"weight_{n}"] for n in range(len(file.files) - 2)]
    except DataError:
        raise
    except Exception as error:  # zipfile, zlib and numpy raise what they like
        raise DataError(f"{path}: not a readable network ({type(error).__name__}). {again}") from error
    if name not in builders or not 1 <= channels <= _MOST_CHANNELS:
        raise DataError(f"{path}: a network called {name!r:.60}; known are {', '.join(builders)}. {again}")
    model = builders[name](channels)
    if [weight.shape for weight in model.get_weights()] != [array.shape for array in numbers] or not all(
        array.dtype == np.float32 and np.isfinite(array).all() for array in numbers
    ):
        raise DataError(f"{path}: its numbers are not those of the network {name}. {again}")
    model.set_weights(numbers)
    return model
