"""Fingerprints of a project's labels, lists and images, so that what was edited by hand later is noticed.

A label is small and taken whole. Of an image the size and its end are taken: there a PNG has the checksum of all its
pixels, and thousands of images are looked at in a second.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..io.files import LARGEST
from ..slices import split_stem
from .project import DATA, NAMES, SLICES, TRAIN_LIST, VALID_LIST

__all__ = ["edited", "fingerprints", "fingerprints_of_project"]

_LISTS = (TRAIN_LIST, VALID_LIST, "slices.txt", DATA, NAMES)
"""Also those that only older versions wrote."""

_END = 20
"""Bytes at the end of a PNG: the checksum of its pixels, that of its last part, and the mark of its end."""

Contents = dict[str, dict[str, str]]


def fingerprints(folder: Path, stems: Iterable[str]) -> Contents:
    """Fingerprints of images and the labels beside them, by subject.

    Parameters
    ----------
    folder : Path
    stems : iterable of str
        Those of the files to take; a file that is not there counts as such.

    Returns
    -------
    dict
        ``labels`` and ``images``, each from subject to fingerprint.
    """
    found: dict[str, dict[str, Any]] = {"labels": {}, "images": {}}
    for stem in sorted(set(stems)):
        subject = split_stem(stem)[0]
        for kind, content in (
            ("labels", _whole(f"{folder}/{stem}.txt")),
            ("images", _size_and_end(f"{folder}/{stem}.png")),
        ):
            digest = found[kind].setdefault(subject, hashlib.sha256())
            digest.update(f"{stem} {'missing' if content is None else len(content)} ".encode() + (content or b""))
    return {
        kind: {subject: digest.hexdigest()[:16] for subject, digest in each.items()} for kind, each in found.items()
    }


def fingerprints_of_project(project: Path) -> Contents:
    """The same of all that the lists of a project name, and of the ``lists`` themselves.

    What is in the folder besides is nobody's business: it is neither trained nor detected on.
    """
    texts = {name: text for name in _LISTS if (text := _whole(project / name)) is not None}
    lines = {line for name in _LISTS[:3] for line in texts.get(name, b"").decode("utf-8", "replace").split("\n")}
    stems = [line.removeprefix(f"{SLICES}/").removesuffix(".png") for line in lines if line.startswith(f"{SLICES}/")]
    lists = {name: hashlib.sha256(text).hexdigest()[:16] for name, text in texts.items()}
    return {**fingerprints(project / SLICES, filter(_is_stem, stems)), "lists": lists}


def edited(noted: object, found: Contents) -> list[str]:
    """What is not as it was noted, for people: ``the labels of sub-001``, ``train.txt``; empty where all is.

    Parameters
    ----------
    noted : object
        What an older call returned, out of a record. Where there is none nothing can be told.
    found : dict
    """
    if not isinstance(noted, Mapping):
        return []
    lines = []
    for kind in ("lists", "labels", "images"):
        before, now = noted.get(kind), found.get(kind, {})
        if not isinstance(before, Mapping):
            continue
        changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
        if kind == "lists":
            lines += changed
            if changed:  # other lists name other labels and images
                break
        elif changed:
            more = f" and {len(changed) - 5} more subjects" if len(changed) > 5 else ""
            lines.append(f"the {kind} of {', '.join(changed[:5])}{more}")
    return lines


def _is_stem(stem: str) -> bool:
    try:
        split_stem(stem)
    except ValueError:
        return False
    return True


def _whole(path: str | Path) -> bytes | None:
    """Content of a file; None where there is none, or none that a label or list can be."""
    size, content = _read(path, LARGEST)
    return content if size <= LARGEST else None


def _size_and_end(path: str) -> bytes | None:
    size, end = _read(path, _END)
    return None if end is None else b"%d " % size + end


def _read(path: str | Path, last: int) -> tuple[int, bytes | None]:
    """Size and last bytes of a regular file, in few calls: a project has tens of thousands of them."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would be waited for
    except OSError:
        return 0, None
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            return 0, None
        length = min(last, facts.st_size)
        return facts.st_size, os.pread(handle, length, facts.st_size - length)
    except OSError:
        return 0, None
    finally:
        os.close(handle)
