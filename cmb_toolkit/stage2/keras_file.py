"""What lies in a ``.keras`` file, looked at before any of it is used.

Such a file is a ZIP of a network's description and its numbers, and what Keras does with a description is what that
says: build layers of any size, or run code. Nothing of it is built here. The description only tells which of our own
networks it is of, and the numbers must be that network's, no more and no less.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..io.files import read_bytes

__all__ = ["read_keras"]

_AGAIN = "Train it again with `cmbtk stage2-train`."
_PARTS = {"metadata.json": 1 << 16, "config.json": 1 << 20, "model.weights.h5": 1 << 27}
"""What such a file holds, and how large each may be [byte]; the paper's network takes 6 million."""

_LARGEST = sum(_PARTS.values())
_MOST_ITEMS = 2000


def read_keras(path: Path) -> tuple[str, bytes, list[tuple[int, ...]]]:
    """Name of the network, its numbers as HDF5, and the shapes of these.

    Raises
    ------
    MissingError
        If there is no such file, or it may not be read.
    DataError
        If it is not one that `cmbtk stage2-train` could have written.
    """
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
            numbers = archive.read("model.weights.h5")
        return str(name), numbers, list(_shapes(path, numbers))
    except DataError:
        raise
    except Exception as error:  # zipfile, zlib, json and h5py raise what they like
        raise DataError(f"{path}: not a readable Keras network ({type(error).__name__}). {_AGAIN}") from error


def _shapes(path: Path, numbers: bytes) -> Iterator[tuple[int, ...]]:
    """Shapes of all arrays of an HDF5 file; what leads elsewhere is refused."""
    import h5py

    with h5py.File(io.BytesIO(numbers), "r") as file:
        left: list[Any] = [file]
        seen = 0
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
                elif item.is_virtual or item.external or item.dtype != "float32":
                    raise DataError(f"{path}: its numbers are not all in it, or of another kind. {_AGAIN}")
                else:
                    yield tuple(item.shape)
