"""Which files hold marks, and what reads each of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path

from ...errors import DataError, MissingError
from ...io.files import read_bytes
from ...registry import load
from .base import CHECK, MarkOptions, Reading
from .registry import READERS

__all__ = ["MarksFile", "files_of", "read_marks"]

_MOST_FILES = 10_000
_OTHERS = ("participants.tsv", "_scans.tsv", "_sessions.tsv", "_dseg.tsv", "_probseg.nii", "_probseg.nii.gz")
"""How names of BIDS end that hold no marks."""


@dataclass(frozen=True)
class MarksFile:
    """A file of marks.

    Attributes
    ----------
    path : Path
    root : Path
        The folder from which on its path may name a subject.
    owners : tuple of str
        Subjects of whom it was said to be.
    found : bool
        Whether it was found in a folder, perhaps among others.
    """

    path: Path
    root: Path
    owners: tuple[str, ...] = ()
    found: bool = False


def files_of(options: MarkOptions, own: Mapping[str, Path]) -> Iterator[MarksFile]:
    """Each file of marks: those that were said to be of subjects, those that were given, those in folders.

    Parameters
    ----------
    options : MarkOptions
    own : mapping of str to Path
        Subject -> the file of its marks.

    Raises
    ------
    MissingError, DataError
        If a folder holds no such file, or more than anybody marks.
    """
    owners: dict[Path, list[str]] = {}
    for subject, path in own.items():
        owners.setdefault(path, []).append(subject)
    for path, mine in owners.items():
        yield MarksFile(path, path.parent, tuple(mine))
    for given in options.marks:
        if given.is_dir():
            found = [path for path in _below(given) if _reader(path) is not None and not _is_none(path)]
            if not found:
                raise MissingError(f"{given}: holds no file of marks ({_endings()}). {CHECK}")
            yield from (MarksFile(path, given, found=True) for path in found)
        elif has_magic(str(given)) and not given.exists():
            yield from (MarksFile(path, root) for path, root in _fitting(given))
        else:
            yield MarksFile(given, given.parent.parent)


def _fitting(pattern: Path) -> Iterator[tuple[Path, Path]]:
    """Files whose paths fit a pattern, in the order of their names, and the folder where the pattern begins.

    Raises
    ------
    MissingError
        If there is none.
    """
    plain = next(n for n, part in enumerate(pattern.parts) if has_magic(part))
    root = Path(*pattern.parts[:plain])
    found = sorted(root.glob(str(Path(*pattern.parts[plain:]))))
    if not found:
        raise MissingError(f"{pattern}: no file fits it. {CHECK}")
    yield from ((path, root) for path in found if path.is_file())


def _below(folder: Path) -> list[Path]:
    """The files in a folder and its folders that are not hidden, in the order of their names.

    Raises
    ------
    DataError
        If there are more than anybody marks.
    """
    found = []
    for path in folder.rglob("*"):
        if path.is_file() and not any(part.startswith((".", "~$")) for part in path.relative_to(folder).parts):
            found.append(path)
            if len(found) > _MOST_FILES:
                raise DataError(f"{folder}: holds more than {_MOST_FILES:,} files. Give the folder of the marks alone.")
    return sorted(found)


def _is_none(path: Path) -> bool:
    """Whether a file that lies among marks is known to hold none: of BIDS, or the names of ITK-SNAP's labels."""
    if path.name.endswith(_OTHERS):
        return True
    return path.suffix == ".txt" and b"ITK-SnAP" in read_bytes(path, CHECK)[:200]


def _reader(path: Path) -> str | None:
    """Where the reader of a file is, by the longest ending that its name has."""
    name = path.name.casefold()
    fitting = [(len(end), place) for place, endings in READERS.values() for end in endings if name.endswith(end)]
    return max(fitting)[1] if fitting else None


def _endings() -> str:
    return ", ".join(ending for _, endings in READERS.values() for ending in endings)


def read_marks(path: Path, options: MarkOptions) -> Reading:
    """The marks of a file, by the reader of its kind.

    Raises
    ------
    MissingError, DataError
    """
    place = _reader(path)
    if place is None and not path.exists():
        raise MissingError(f"{path}: not found. {CHECK}")
    if place is None:
        raise DataError(f"{path}: no kind of file that marks are read from ({_endings()}). Save it as one of these.")
    reading: Reading = load(place)(path, options)
    return reading
