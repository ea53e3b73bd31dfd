"""A network's file: its name and its numbers, nothing that could run."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..io.files import check_file

__all__ = ["Builders", "NetworkFile", "built", "load", "read_network", "save"]

_LARGEST = 256 << 20
"""Of the file, and of what it holds [byte]; the largest network, a ResNet-50, takes 95 million."""

_MOST_CHANNELS = 128
_TURNED = "turned"
_SAID = {"name", "channels", "looks", _TURNED}

Builders = Mapping[str, Callable[[int], Any]]
"""Name of a network -> what builds it, untrained, from the number of its input's channels."""


def save(model: Any, out: Path, *, looks: str = "") -> None:
    """Write a network, and how it is to look at scans, in words of its method's own."""
    arrays = {f"weight_{n}": np.asarray(array) for n, array in enumerate(model.get_weights())}
    said = {"name": np.array(model.name), "channels": model.input_shape[-1], "looks": np.array(looks)}
    with out.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **said, **arrays)


@dataclass(frozen=True)
class NetworkFile:
    """What a network's file holds.

    Attributes
    ----------
    path : Path
    network : str
    channels : int
        Of its input.
    arrays : list of float32 arrays
        Its numbers, in the order of ``get_weights``; all are finite.
    looks : str
        How it is to look at scans; older files say nothing, or whether they are to be turned round as well.
    command : str
        What trains one.
    """

    path: Path
    network: str
    channels: int
    arrays: list[NDArray[np.float32]]
    looks: str
    command: str

    def other_numbers(self) -> DataError:
        """The error that the numbers are not the network's."""
        again = f"Train it again with `cmbtk {self.command}`."
        return DataError(f"{self.path}: its numbers are not those of the network {self.network}. {again}")


def read_network(path: Path, known: Collection[str], command: str) -> NetworkFile:
    """Read a network's file.

    Parameters
    ----------
    path : Path
    known : collection of str
        Names of the networks that it may be.
    command : str
        What trains one.

    Raises
    ------
    MissingError
    DataError
        If it is no such file.
    """
    again = f"Train it again with `cmbtk {command}`."
    check_file(path, again, _LARGEST)
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(part.file_size for part in archive.infolist()) > _LARGEST:
                raise DataError(f"{path}: larger than any such network. {again}")
        with np.load(path, allow_pickle=False) as file:
            name, channels = str(file["name"]), int(file["channels"])
            turned = _TURNED in file and bool(file[_TURNED])
            looks = str(file["looks"]) if "looks" in file else _TURNED * turned
            arrays = [file[f"weight_{n}"] for n in range(len(set(file.files) - _SAID))]
    except DataError:
        raise
    except Exception as error:  # zipfile, zlib and numpy raise what they like
        raise DataError(f"{path}: not a readable network ({type(error).__name__}). {again}") from error
    if name not in known or not 1 <= channels <= _MOST_CHANNELS:
        raise DataError(f"{path}: a network called {name!r:.60}; known are {', '.join(known)}. {again}")
    found = NetworkFile(path, name, channels, arrays, looks, command)
    if not all(array.dtype == np.float32 and np.isfinite(array).all() for array in arrays):
        raise found.other_numbers()
    return found


def load(path: Path, builders: Builders, command: str) -> Any:
    """The network of a file in Keras, see :func:`read_network` and :func:`built`."""
    stamp = path.stat().st_mtime_ns if path.is_file() else 0
    return _load(path, stamp, tuple(sorted(builders.items())), command)


@cache
def _load(path: Path, _: int, known: tuple[tuple[str, Callable[[int], Any]], ...], command: str) -> Any:
    builders = dict(known)
    return built(read_network(path, builders, command), builders)


def built(file: NetworkFile, builders: Builders) -> Any:
    """A network of Keras, built here, with the numbers of a file.

    Parameters
    ----------
    file : NetworkFile
    builders : mapping
        Of the networks that it may be.

    Raises
    ------
    DataError
        If the numbers are not the network's.
    """
    model = builders[file.network](file.channels)
    if [weight.shape for weight in model.get_weights()] != [array.shape for array in file.arrays]:
        raise file.other_numbers()
    model.set_weights(file.arrays)
    return model
