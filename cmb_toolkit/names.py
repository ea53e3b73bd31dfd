"""The grammar of names that stand in paths, on command lines and in reports; checked wherever one is read.

A name begins with a letter or digit, so that it is never an option, never hidden and never leads out of a folder; it
holds nothing that a shell, a path or a page gives a meaning to, and it is short enough to be part of a file's name.

>>> SUBJECT.fits("sub-01_ses-2"), SUBJECT.fits("../x"), RESOLUTION.fits("$(touch x)")
(True, False, False)
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from .errors import CmbError, DataError

__all__ = [
    "CELL",
    "FOLD",
    "INPUT",
    "PERSON",
    "QUEUE",
    "READER",
    "RESOLUTION",
    "SCANNER",
    "SESSION",
    "SUBJECT",
    "Grammar",
    "natural_order",
    "nfc",
    "safe_id",
    "shown",
    "split_session",
    "visible",
    "with_session",
]

_MOST_SHOWN = 60


@dataclass(frozen=True)
class Grammar:
    """What one kind of name may be.

    Attributes
    ----------
    what : str
        The kind, in words.
    expected : str
        What is allowed, in words.
    pattern : str
        The same as a regular expression for the whole name.
    most : int
        Characters at most.
    """

    what: str
    expected: str
    pattern: str
    most: int = 64

    def fits(self, name: object) -> bool:
        """Whether this is such a name; what is no text (NaN of an empty cell) is none."""
        return isinstance(name, str) and len(name) <= self.most and re.fullmatch(self.pattern, name) is not None

    def check(self, name: object, where: object = "", error: type[CmbError] = DataError, cure: str = "") -> str:
        """The name, if it is one.

        Parameters
        ----------
        name : object
        where : object, optional
            File, line or option that it was read from.
        error : type, optional
            What to raise.
        cure : str, optional
            What to do, as a sentence.

        Raises
        ------
        CmbError
            Of the kind asked for.
        """
        if not self.fits(name):
            raise error(self.problem(name, where, cure))
        return str(name)

    def problem(self, name: object, where: object = "", cure: str = "") -> str:
        """What to say about a name that is none."""
        place = f"{where}: " if str(where) else ""
        return f"{place}{self.what} {shown(name)}: expected {self.expected}, {self.most} characters at most." + (
            f" {cure}" if cure else ""
        )


SUBJECT = Grammar(
    "subject",
    "sub- and letters or digits, and for a session _ses- and letters or digits after them (it stands in file names)",
    r"sub-[0-9A-Za-z]+(_ses-[0-9A-Za-z]+)?",
)
PERSON = Grammar(
    "person", "letters, digits and . _ + - after the first of them", r"(?!.*\.\.)[0-9A-Za-z][0-9A-Za-z+._-]*"
)
SESSION = Grammar("session", "letters and digits, with or without ses- before them", r"(ses-)?[0-9A-Za-z]+")
RESOLUTION = Grammar(
    "resolution", "letters, digits, + and - after the first of them (it names folders)", r"[0-9A-Za-z][0-9A-Za-z+-]*"
)
FOLD = Grammar(
    "fold",
    "letters, digits and . _ + - after the first of them, without _repeat- (it names folders)",
    r"(?!.*(\.\.|_repeat-))[0-9A-Za-z][0-9A-Za-z+._-]*",
)
SCANNER = Grammar(
    "scanner",
    "letters, digits, spaces and . , : # _ + - / ( ) after the first of them",
    r"(?!.*\.\.)[^\W_][\w .,:#+/()-]*",
)
INPUT = Grammar("input", "letters, digits, + and - after the first of them", r"[0-9A-Za-z][0-9A-Za-z+-]*")
CELL = Grammar(
    "cell",
    "letters, digits and . _ + - after the first of them (it names folders)",
    r"(?!.*\.\.)[0-9A-Za-z][0-9A-Za-z+._-]*",
    200,
)
READER = Grammar(
    "reader", "letters, digits, spaces and . _ + - after the first of them", r"(?!.*\.\.)[^\W_][\w .+-]*", 40
)
QUEUE = Grammar(
    "name on the cluster", "letters, digits and . , _ - after the first of them", r"[0-9A-Za-z][0-9A-Za-z.,_-]*"
)


def natural_order(name: str) -> list[tuple[int, str]]:
    """A key to sort names by, under which s2 comes before s10.

    >>> sorted(["s10", "S2", "s1"], key=natural_order)
    ['s1', 'S2', 's10']
    """
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name.casefold())]


def nfc(text: str) -> str:
    """A text with letters and their accents in one piece, so that equal names are equal however they were typed."""
    return unicodedata.normalize("NFC", text)


def shown(name: object) -> str:
    """A name, or what stands in a name's place, as a message may show it: on one line and not for ever."""
    if isinstance(name, str):
        return repr(name if len(name) <= _MOST_SHOWN else f"{name[:_MOST_SHOWN]}...")
    return "(none)" if name is None or name != name else f"{name!r:.{_MOST_SHOWN}}"  # noqa: PLR0124 (NaN)


def visible(text: str) -> str:
    """A text in which nothing is an order to a terminal: names and cells may hold what moves its cursor.

    >>> print(visible("a\\x1b[31m"))
    a\\x1b[31m
    """
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def safe_id(name: str) -> str | None:
    """The identifier of a subject that is called so elsewhere, ``sub-`` before it; None if it cannot be one.

    >>> safe_id("01"), safe_id("sub-01_ses-2"), safe_id("A. B.")
    ('sub-01', 'sub-01_ses-2', None)
    """
    identifier = f"sub-{name.removeprefix('sub-')}"
    return identifier if SUBJECT.fits(identifier) else None


def split_session(subject: str) -> tuple[str, str | None]:
    """The identifier without its session, and the session without ``ses-``.

    >>> split_session("sub-01_ses-2"), split_session("sub-01")
    (('sub-01', '2'), ('sub-01', None))
    """
    person, _, session = subject.partition("_ses-")
    return person, session or None


def with_session(subject: str, session: str) -> str:
    """The inverse of :func:`split_session`; the session with or without ``ses-``.

    >>> with_session("sub-01", "ses-2")
    'sub-01_ses-2'
    """
    return f"{subject}_ses-{session.removeprefix('ses-')}"
