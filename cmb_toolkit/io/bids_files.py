"""The images of a BIDS folder: what their names say, and what their sidecars do, by the principle of inheritance.

Names are taken as they are met, not only as the standard has them: any entity, any suffix.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..names import natural_order
from .bids import read_acquisition

__all__ = ["BidsImage", "Sidecars", "images", "is_bids"]

_IMAGE = re.compile(r"((?:[a-zA-Z]+-[0-9a-zA-Z+]+_)+)([0-9a-zA-Z]+)\.nii(?:\.gz)?", re.ASCII)
_SIDECAR = re.compile(r"((?:[a-zA-Z]+-[0-9a-zA-Z+]+_)*)([0-9a-zA-Z]+)\.json", re.ASCII)
_FOLDERS = ("anat", "swi", "")
"""Where a gradient echo may lie: swi is of a proposal that was never taken up, and is met; and some leave it out."""


@dataclass(frozen=True)
class BidsImage:
    """A NIfTI file and what its name says.

    Attributes
    ----------
    path : Path
    entities : mapping of str to str
        ``sub``, ``ses``, ``acq``, ``run``, ``echo``, ``part`` and others, as the name has them; ``datatype`` the folder
        and ``suffix`` the last word of the name.
    """

    path: Path
    entities: Mapping[str, str]

    @property
    def suffix(self) -> str:
        """The last word of the name, in small letters: ``swi`` and ``SWI`` are met alike."""
        return self.entities["suffix"].casefold()


def is_bids(folder: Path) -> bool:
    """Whether a folder has folders of subjects as BIDS calls them."""
    return any(True for _ in _subfolders(folder, "sub-"))


def images(root: Path) -> Iterator[BidsImage]:
    """Every NIfTI file of subjects and their sessions in ``anat``, in ``swi`` and beside them, in the order of names.

    Links count whether or not what they lead to is there: of a data set that was not fetched whole they lead nowhere.

    Raises
    ------
    DataError
        If a file is called after another subject or session than its folder.
    """
    for person in _subfolders(root, "sub-"):
        for place in (person, *_subfolders(person, "ses-")):
            labels = {"sub": person.name[4:], **({"ses": place.name[4:]} if place != person else {})}
            for folder in (place / name for name in _FOLDERS):
                matches = ((folder / name, _IMAGE.fullmatch(name)) for name in _names(folder))
                yield from (_image(root, path, match, labels) for path, match in matches if match)


def _image(root: Path, path: Path, match: re.Match[str], labels: Mapping[str, str]) -> BidsImage:
    entities = _entities(match[1])
    for key in ("sub", "ses"):
        if entities.get(key, labels.get(key)) != labels.get(key):
            where = "_".join(f"{k}-{v}" for k, v in labels.items())
            raise DataError(
                f"{path}: is called {key}-{entities[key]}, and lies in a folder of {where}. Rename one of them."
            )
    datatype = {"datatype": path.parent.name} if path.parent.name in _FOLDERS else {}
    return BidsImage(path, {**labels, **entities, **datatype, "suffix": match[2]})


class Sidecars:
    """How images of a BIDS folder were acquired; every sidecar is read once.

    Parameters
    ----------
    root : Path
        The BIDS folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: dict[Path, list[tuple[str, dict[str, str], str]]] = {}
        self._read: dict[Path, dict[str, Any]] = {}

    @property
    def read(self) -> list[Path]:
        """Those that were read, in the order of their names."""
        return sorted(self._read)

    def of(self, image: BidsImage) -> dict[str, Any]:
        """What the sidecars of an image say, from the BIDS folder down to its own; the nearest holds.

        A sidecar is one of an image if both have the same suffix and the image has all entities of the sidecar's name.

        Returns
        -------
        dict
            As :func:`cmb_toolkit.io.bids.read_acquisition` has it.
        """
        found: dict[str, Any] = {}
        folder = image.path.parent
        for level in reversed([folder, *folder.parents][: len(folder.parts) - len(self._root.parts) + 1]):
            mine = [
                (len(entities), name)
                for name, entities, suffix in self._in(level)
                if suffix == image.entities["suffix"] and entities.items() <= image.entities.items()
            ]
            for _, name in sorted(mine):
                found |= self._content(level / name)
        return found

    def _in(self, folder: Path) -> list[tuple[str, dict[str, str], str]]:
        """Name, entities and suffix of the sidecars in a folder."""
        if folder not in self._folders:
            matches = ((name, _SIDECAR.fullmatch(name)) for name in _names(folder))
            self._folders[folder] = [(name, _entities(match[1]), match[2]) for name, match in matches if match]
        return self._folders[folder]

    def _content(self, sidecar: Path) -> dict[str, Any]:
        if sidecar not in self._read:
            self._read[sidecar] = read_acquisition(sidecar)
        return self._read[sidecar]


def _entities(text: str) -> dict[str, str]:
    return dict(part.split("-", 1) for part in text.split("_") if part)


def _subfolders(folder: Path, begin: str) -> Iterator[Path]:
    return (folder / name for name in _names(folder) if name.startswith(begin) and (folder / name).is_dir())


def _names(folder: Path) -> list[str]:
    """What a folder holds, in the order of the names; nothing where there is none or it may not be read."""
    try:
        return sorted((path.name for path in folder.iterdir()), key=natural_order)
    except OSError:
        return []
