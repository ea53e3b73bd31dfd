"""What subjects are called when they are imported, so that scans of one person stay known as such."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..errors import DataError, UsageError
from ..names import SESSION, safe_id, split_session, with_session

__all__ = ["guess_resolution", "kept_names", "name_marks", "numbered", "table_names"]

# the paper's protocols (section 2.1): in-plane and slice [mm]
_PROTOCOLS = {"HR": (0.5, 0.5, 2.0), "LR": (0.8, 0.8, 2.0)}
_LIKE_PROTOCOL = 0.1
"""A voxel's edges may be this much, relatively, off a protocol's and still be its."""


def numbered(names: Sequence[str]) -> dict[str, str]:
    """``sub-001``, ``sub-002``, ... for names in their order.

    Names that differ in their session alone (``p07_ses-1``) are one person: ``sub-007_ses-1``. Sessions are numbered
    anew in their order, because they may be dates.
    """
    persons: dict[str, list[str]] = {}
    for name in names:
        persons.setdefault(split_session(name)[0].casefold(), []).append(name)
    width = max(3, len(str(len(persons))))
    found = {}
    for number, mine in enumerate(persons.values(), 1):
        subject = f"sub-{number:0{width}d}"
        for session, name in enumerate(mine, 1):
            found[name] = with_session(subject, str(session)) if split_session(name)[1] else subject
    return found


def kept_names(names: Sequence[str]) -> dict[str, str]:
    """The names themselves as identifiers.

    Raises
    ------
    UsageError
        If one cannot be an identifier, or two would be the same.
    """
    kept = {name: safe_id(name) for name in names}
    unsafe = [name for name, identifier in kept.items() if identifier is None]
    if unsafe:
        raise UsageError(
            f"--keep-names: {', '.join(unsafe[:5])}{' ...' * (len(unsafe) > 5)} cannot be identifiers, which are "
            "letters and digits. Leave --keep-names out: subjects are then called sub-001, sub-002, ..."
        )
    twice = [name for name, n in Counter(str(x).casefold() for x in kept.values()).items() if n > 1]
    if twice:
        raise UsageError(f"--keep-names: several subjects would be called {', '.join(twice)}. Leave --keep-names out.")
    return {name: str(identifier) for name, identifier in kept.items()}


def table_names(frame: pd.DataFrame) -> list[str]:
    """The participant_id of every line; where one stands on several lines, all lines with a session_id are called by
    it, too: ``sub-01`` in session 2 is ``sub-01_ses-2``."""
    names = [safe_id(str(name)) or str(name) for name in frame["participant_id"]]
    if "session_id" not in frame or len(set(names)) == len(names):
        return names
    return [
        with_session(name, str(session)) if SESSION.fits(session) and not split_session(name)[1] else name
        for name, session in zip(names, frame["session_id"], strict=True)
    ]


def name_marks(marks: Path, points: pd.DataFrame, subjects: Sequence[str], table: Path) -> pd.Series[str]:
    """The subject of each mark: by its name, with its session_id if it has one, or the only scan of a person.

    Parameters
    ----------
    marks : Path
        For messages.
    points : DataFrame
        participant_id and, where known, session_id.
    subjects : sequence of str
    table : Path
        Where these stand; for messages.

    Raises
    ------
    DataError
        If there is no such subject, or it is not said which of a person's scans was marked.
    """
    of_person: dict[str, list[str]] = {}
    for subject in subjects:
        of_person.setdefault(split_session(subject)[0], []).append(subject)
    sessions = points["session_id"] if "session_id" in points else pd.Series(None, index=points.index, dtype=object)
    found: list[str] = []
    strangers: set[str] = set()
    several: set[str] = set()
    for given, session in zip(points["participant_id"], sessions, strict=True):
        name = _of_number(safe_id(str(given)) or str(given), of_person)
        full = with_session(name, str(session)) if SESSION.fits(session) and not split_session(name)[1] else name
        mine = [full] if full in subjects else [name] if name in subjects else of_person.get(full, [])
        if len(mine) == 1:
            found.append(mine[0])
        else:
            (several if mine else strangers).add(full)
    if strangers:
        raise DataError(
            f"{marks}: marks of {', '.join(sorted(strangers)[:10])}, who {'is' if len(strangers) == 1 else 'are'} not "
            f"in {table.name}. Add the subject or remove its marks."
        )
    if several:
        one = min(several)
        raise DataError(
            f"{marks}: marks of {', '.join(sorted(several)[:10])}, of whom {table.name} has several scans "
            f"({', '.join(of_person[one][:5])}). Say which one was marked: by its full name, or in a column session_id."
        )
    return pd.Series(found, index=points.index, dtype=object)


def _of_number(name: str, persons: Collection[str]) -> str:
    """The name with the only person's number that is the same, where a spreadsheet made 7 of 007."""
    person, session = split_session(name)
    number = person.removeprefix("sub-")
    if person in persons or not number.isdecimal():
        return name
    same = [
        other for other in persons if (label := other.removeprefix("sub-")).isdecimal() and int(label) == int(number)
    ]
    found = same[0] if len(same) == 1 else person
    return with_session(found, session) if session else found


def guess_resolution(affine: ArrayLike) -> str:
    """Name of the paper's protocol with these voxels: HR (0.5 x 0.5 x 2 mm), LR (0.8 x 0.8 x 2 mm), or ``other``."""
    edges = np.sort(np.linalg.norm(np.asarray(affine, dtype=float)[:3, :3], axis=0))
    for name, protocol in _PROTOCOLS.items():
        if np.allclose(edges, protocol, rtol=_LIKE_PROTOCOL, atol=0):
            return name
    return "other"
