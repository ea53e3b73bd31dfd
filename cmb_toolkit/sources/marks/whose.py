"""Whose marks a file holds: by its name, or that of a sheet or a cell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from ...errors import DataError
from ...names import split_session

__all__ = ["named_in", "subject_of_file", "titled"]

_BY_DEFAULT = re.compile(r"(sheet|table|tabelle|tabellenblatt|blatt|feuil|hoja|foglio|page)\W*\d*\b", re.IGNORECASE)
"""What programs call sheets by themselves, with a number that is nobody's."""


def named_in(text: str, subjects: Sequence[str]) -> list[str]:
    """The subjects that a text names: each a word of it, with its session if it has one and the text names sessions.

    Numbers are compared as such where none stands there letter by letter: spreadsheets make 1 of 01.

    >>> named_in("sub-02_ses-1_marks", ["sub-02_ses-1", "sub-02_ses-2", "sub-1"])
    ['sub-02_ses-1']
    >>> named_in("lesions of 7", ["sub-007", "sub-17"])
    ['sub-007']
    """
    words = [word for word in re.split(r"[^0-9a-z]+", text.casefold()) if word]
    persons = _after(words, "sub") or words
    sessions = _after(words, "ses")

    def named(exact: bool) -> list[str]:
        found = []
        for subject in subjects:
            person, session = split_session(subject.removeprefix("sub-").casefold())
            if _is_one_of(person, persons, exact) and (
                session is None or not sessions or _is_one_of(session, sessions, exact)
            ):
                found.append(subject)
        return found

    return named(exact=True) or named(exact=False)


def titled(title: str, subjects: Sequence[str]) -> list[str]:
    """The subjects whom the title of a sheet names.

    >>> titled("Patient 1", ["sub-01"]), titled("Sheet 1", ["sub-01"])
    (['sub-01'], [])
    """
    return named_in(title, subjects) if not _BY_DEFAULT.match(title) else []


def subject_of_file(path: Path, root: Path, subjects: Sequence[str]) -> str | None:
    """The only subject whom the name of a file, or else the folders from `root` to it and its name, name.

    Raises
    ------
    DataError
        If they name several.
    """
    name = path.name.partition(".")[0]
    several: list[str] = []
    for text in (name, "/".join((*path.relative_to(root).parts[:-1], name))):
        found = named_in(text, subjects)
        if len(found) == 1:
            return found[0]
        several = several or found
    if several:
        raise DataError(
            f"{path}: its name may mean {', '.join(several[:5])}{' ...' * (len(several) > 5)}. Call it after one of "
            "them, such as sub-01_ses-1."
        )
    return None


def _after(words: Sequence[str], key: str) -> list[str]:
    return [word for before, word in pairwise(words) if before == key]


def _is_one_of(label: str, words: Sequence[str], exact: bool) -> bool:
    if exact or not label.isdecimal():
        return label in words
    return any(word.isdecimal() and int(word) == int(label) for word in words)
