"""What lies in a ``.keras`` file, looked at before any of it is used.

Such a file is a ZIP of a network's description and its numbers, and what Keras does with a description is what that
says: build layers of any size, or run code. Nothing of it is built here. The description only tells which of our own
networks it is of, and the numbers must be that network's, no more and no less.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..classifiers import CLASSIFIERS
from ..errors import DataError, MissingError
from ..io.files import read_bytes
from ..io.publish import read_record, sha256, sidecar
from ..names import shown

__all__ = ["KerasFile", "read_network"]

_AGAIN = "Train it again with `cmbtk stage2-train`."
_PARTS = {"metadata.json": 1 << 16, "config.json": 1 << 20, "model.weights.h5": 1 << 27}
"""What such a file holds, and how large each may be [byte]; the paper's network takes 6 million."""

_LARGEST = sum(_PARTS.values())
_MOST_ITEMS = 2000
_PLACE = re.compile(r"layers/([a-z0-9_]+?)(?:_([0-9]+))?/vars/([0-9]+)")
"""Where the numbers of a layer lie: its kind, which of this kind it is but the first, which of its arrays."""

Array = NDArray[np.float32]


@dataclass(frozen=True)
class KerasFile:
    """A network's file that holds what it should.

    Attributes
    ----------
    path : Path
    network : str
        One of :data:`cmb_toolkit.classifiers.CLASSIFIERS`.
    numbers : bytes
        Its numbers as HDF5.
    arrays : dict
        The same: place in the HDF5 -> array.
    """

    path: Path
    network: str
    numbers: bytes
    arrays: dict[str, Array]

    def of_kind(self) -> dict[str, list[Array]]:
        """Kind of layer -> the arrays of all layers of this kind, in their order in the network."""
        places = sorted(
            (match[1], int(match[2] or 0), int(match[3]), place)
            for place in self.arrays
            if (match := _PLACE.fullmatch(place))
        )
        kinds: dict[str, list[Array]] = {}
        for kind, _, _, place in places:
            kinds.setdefault(kind, []).append(self.arrays[place])
        return kinds

    def other_numbers(self) -> DataError:
        """The error that the numbers are not the network's."""
        return DataError(f"{self.path}: its numbers are not those of the network {self.network}. {_AGAIN}")


def read_network(path: Path) -> KerasFile:
    """Which network a file is of, and its numbers.

    Raises
    ------
    MissingError
        If there is no such file, or it may not be read.
    DataError
        If it is none that `cmbtk stage2-train` could have written, was changed since, or its numbers are not finite.
    """
    if not path.is_file():
        raise MissingError(f"{path}: not found. Train the network first with `cmbtk stage2-train`.")
    name, numbers = _parts(path)
    written = {classifier.model: network for network, classifier in CLASSIFIERS.items()}
    if name not in written:
        older = " It is of a version that did not centre the input." if name in CLASSIFIERS else ""
        raise DataError(
            f"{path}: a network called {shown(name)}; known are {', '.join(written)}.{older} "
            "Give a network made by `cmbtk stage2-train`."
        )
    noted = (read_record(path) or {}).get("sha256")
    if noted is not None and noted != sha256(path):
        raise DataError(
            f"{path}: changed since it was written: its checksum is not the one in {sidecar(path).name}. "
            "Put the right file there, or train it again with `cmbtk stage2-train`."
        )
    try:
        arrays = dict(_arrays(path, numbers))
    except DataError:
        raise
    except Exception as error:  # h5py raises what it likes
        raise DataError(f"{path}: not a readable Keras network ({type(error).__name__}). {_AGAIN}") from error
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise DataError(f"{path}: holds numbers that are not finite. {_AGAIN}")
    return KerasFile(path, written[name], numbers, arrays)


def _parts(path: Path) -> tuple[str, bytes]:
    """What the network is called, and its numbers as HDF5."""
    content = read_bytes(path, _AGAIN, _LARGEST)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            sizes = {part.filename: part.file_size for part in archive.infolist()}
            if sizes.keys() != _PARTS.keys() or len(archive.infolist()) != len(_PARTS):
                raise DataError(
                    f"{path}: holds {', '.join(sorted(sizes))[:200]}; expected {', '.join(_PARTS)}. {_AGAIN}"
                )
            for name, most in _PARTS.items():
                if sizes[name] > most:
                    raise DataError(
                        f"{path}: {name} has {sizes[name]:,} bytes; at most {most:,} are expected. {_AGAIN}"
                    )
            name = json.loads(archive.read("config.json"))["config"]["name"]
            return str(name), archive.read("model.weights.h5")
    except DataError:
        raise
    except Exception as error:  # zipfile, zlib and json raise what they like
        raise DataError(f"{path}: not a readable Keras network ({type(error).__name__}). {_AGAIN}") from error


def _arrays(path: Path, numbers: bytes) -> Iterator[tuple[str, Array]]:
    """All arrays of an HDF5 file, and where they lie in it; what leads elsewhere is refused."""
    import h5py

    with h5py.File(io.BytesIO(numbers), "r") as file:
        left: list[Any] = [file]
        seen, room = 0, _LARGEST
        while left:
            group = left.pop()
            for key in group:
                seen += 1
                here = isinstance(group.get(key, getlink=True), h5py.HardLink)
                if not here or seen > _MOST_ITEMS:
                    raise DataError(f"{path}: its numbers are no network's (at {key!r:.60}). {_AGAIN}")
                item = group[key]
                if isinstance(item, h5py.Group):
                    left.append(item)
                    continue
                if item.is_virtual or item.external or item.dtype != "float32":
                    raise DataError(f"{path}: its numbers are not all in it, or of another kind. {_AGAIN}")
                room -= item.nbytes  # as they are when unpacked
                if room < 0:
                    raise DataError(f"{path}: its numbers are more than any such network's. {_AGAIN}")
                yield item.name.strip("/"), item[()]
