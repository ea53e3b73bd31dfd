"""Where the scans of a study lie: how their paths are written into its table, and what they lead to later.

A path relative to a folder means something else when the folder is reached through a symbolic link, or was moved: it
may lead to nothing, or to somebody else's scan. So paths are written from the study's real place to the scan's, and
what was imported is known again by a sample of its bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import CmbError, DataError, MissingError
from ..io.files import check_file
from ..io.publish import read_record, sidecar
from ..io.spelling import on_disk
from ..paths import from_here
from .layout import Study

__all__ = ["located", "missing", "named_at", "places", "relative"]

_SAMPLES, _SAMPLE_BYTES = 16, 4096


def relative(folder: Path, path: Path) -> str:
    """A path as a table in `folder` has it: from its real place to the real folder of the file, which keeps its name.

    The file's own name is not followed where it is a link: what belongs to a scan lies beside the name it was given.
    """
    real = Path(os.path.realpath(path.parent)) / path.name
    return Path(os.path.relpath(real, os.path.realpath(folder))).as_posix()


def places(folder: Path, files: Iterable[Path], salt: str) -> dict[str, Any]:
    """What is noted when scans are imported, so that :func:`located` knows them again: no path and no name.

    Parameters
    ----------
    folder : Path
        The study.
    files : iterable of Path
    salt : str
        Something of this study alone, so that the same path is noted otherwise in another.
    """
    known = {_digest(salt, relative(folder, path)): _sample(path) for path in files}
    return {"salt": salt, "study": _digest(salt, os.path.realpath(folder)), "files": dict(sorted(known.items()))}


def located(study: Study, path: str) -> Path:
    """The file that a path of the participants' table means: absolute, or relative to the study folder.

    A path that was imported is followed from the study's real place, from where it was written; after the study was
    moved, only to what was imported. One that somebody else wrote may mean the study's real place, or the one that it
    is called by.

    Raises
    ------
    DataError
        If it may mean two files, or leads to another one than was imported.
    """
    return from_here(_located(study, path))


def _located(study: Study, path: str) -> Path:
    if os.pardir not in Path(path).parts:
        return on_disk(study.root / path)
    place = Path(os.path.realpath(study.root))
    real, called = on_disk(place / path), on_disk(Path(os.path.normpath(study.root.absolute() / path)))
    there = [file for file in (real, called) if file.exists()]
    known = _known(study)
    expected = known["files"].get(_digest(known["salt"], path)) if known and not Path(path).is_absolute() else None
    if expected is not None:
        if known["study"] == _digest(known["salt"], str(place)):
            return real
        right = [file for file in there if _sample(file) == expected]
        if there and not right:
            raise DataError(
                f"{there[0]}: is not the file that {named_at(study, path)} meant by {path}: the study was moved since "
                "it was imported. Write the right path into that line, or import again."
            )
        return (right or [real])[0]
    if len(there) == 2 and not there[0].samefile(there[1]):
        raise DataError(
            f"{study.participants}: {path} may mean {there[0]} or {there[1]}, for a symbolic link lies on its way. "
            "Write the file's absolute path."
        )
    return (there or [real])[0]


def _known(study: Study) -> Mapping[str, Any]:
    """What was noted at import; empty where nothing was."""
    note = sidecar(study.participants)
    try:
        facts = note.stat()
    except OSError:
        return {}
    return _read_known(study.participants, facts.st_mtime_ns, facts.st_size)


def named_at(study: Study, cell: str) -> str:
    """Where a subject or a path stands in the table of participants, for people: the table and the line."""
    try:
        lines = study.participants.read_text("utf-8-sig", "replace").splitlines()
    except OSError:
        lines = []
    found = next((n for n, line in enumerate(lines, 1) if cell in line.split("\t")), None)
    return f"{study.participants}, line {found}" if found else str(study.participants)


def missing(path: Path, role: str, subject: str, named: str = "") -> MissingError:
    """What to say of a scan's file that is not there, and what to edit where a table names it.

    Parameters
    ----------
    path : Path
    role : str
        What it is of the scan, and the table's column.
    subject : str
    named : str
        From :func:`named_at`; empty where no table names it.
    """
    if not named:
        return MissingError(f"{path}: the {role} of {subject} was not found. Check the path.")
    return MissingError(
        f"{path}: the {role} of {subject} was not found. It is named in {named}, column {role}: if the scans or the "
        "study were moved, write there where the file is now, from the study folder or absolute."
    )


@lru_cache(maxsize=4)
def _read_known(table: Path, _modified_ns: int, _size: int) -> Mapping[str, Any]:
    known = (read_record(table) or {}).get("places")
    whole = isinstance(known, dict) and {"salt", "study", "files"} <= known.keys() and isinstance(known["files"], dict)
    return known if whole else {}  # type: ignore[return-value]


def _digest(salt: str, text: str) -> str:
    return hashlib.sha256(f"{salt}\n{text}".encode()).hexdigest()[:32]


def _sample(path: Path) -> str:
    """Tells one scan from another by its size and some of its bytes, from all over the file."""
    try:
        size = check_file(path, "")
        with path.open("rb") as stream:
            digest = hashlib.sha256(str(size).encode())
            for n in range(_SAMPLES):
                stream.seek(max(0, size - _SAMPLE_BYTES) * n // (_SAMPLES - 1))
                digest.update(stream.read(_SAMPLE_BYTES))
    except (CmbError, OSError):  # a folder or a pipe, or not to be read: who needs it says so
        return ""
    return digest.hexdigest()[:32]
