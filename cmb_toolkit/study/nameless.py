"""Texts that are kept in a study without the names of its scans' files, which may be people's.

participants.tsv alone says where scans are. Provenance, tables and logs speak of a file by its role and subject; only
what is shown on a terminal and not kept may name it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from ..errors import CmbError
from ..schema import VOLUMES
from .cohort import read_participants
from .layout import Study
from .places import located

__all__ = ["keeper", "kept_text", "without_names"]


def without_names(text: str, files: Mapping[str, Path]) -> str:
    """A text with what to call each file in place of its path and of its name.

    Parameters
    ----------
    text : str
    files : mapping
        What to call a file -> the file.
    """
    called: dict[str, str] = {}
    of: dict[str, Path] = {}
    for role, path in files.items():
        for spelling in map(str, (path.absolute(), path.resolve(), path, path.name)):
            if of.setdefault(spelling, path) != path:
                called[spelling] = "<a scan>"  # a name that several of them have
            called.setdefault(spelling, role)
    if not called:
        return text
    longest_first = sorted(called, key=len, reverse=True)
    whole = re.compile(rf"(?<![\w.-])({'|'.join(map(re.escape, longest_first))})(?!\w)")
    return whole.sub(lambda match: called[match[1]], text)


def kept_text(folder: Path, text: str) -> str:
    """A message as a log that lies in a study may have it, see :func:`keeper`."""
    return keeper(folder)(text)


def keeper(folder: Path) -> Callable[[str], str]:
    """What makes of a message one that a log which lies in a study may have: without the names of its scans' files.

    Where the study's table of participants cannot be read, nothing of a message is kept that could be a path.
    """
    files: dict[str, Path] = {}
    try:
        study = Study.open(folder)
        for name, row in read_participants(study).iterrows():
            given = {role: row[role] for role in VOLUMES if role in row and isinstance(row[role], str)}
            files |= {f"<{role} of {name}>": located(study, path) for role, path in given.items()}
    except CmbError:
        return lambda text: re.sub(r"\S*/\S*", "<path>", text)
    return lambda text: without_names(text, files)
