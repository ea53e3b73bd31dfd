"""What a check finds wrong: one thing, whom it concerns, and how it is said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ..errors import CmbError, MissingError

__all__ = ["Problem", "error", "some", "times", "warning"]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes
    ----------
    severity : {"error", "warning"}
        An error stops a later step or makes its result wrong; a warning is for a person to judge.
    subject : str
        Empty if it concerns no one subject.
    message : str
        File, what was found, what to do.
    missing : bool
        The problem is a file that is not there.
    """

    severity: Literal["error", "warning"]
    subject: str
    message: str
    missing: bool = False


def error(reason: CmbError | str, subject: str = "") -> Problem:
    """A problem that stops a later step or makes its result wrong."""
    return Problem("error", subject, str(reason), isinstance(reason, MissingError))


def warning(message: str, subject: str = "") -> Problem:
    """A problem that a person must judge."""
    return Problem("warning", subject, message)


def some(names: Sequence[object], most: int = 5) -> str:
    """The first few of many names, and how many more there are."""
    return ", ".join(map(str, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")


def times(numbers: Iterable[float], sign: str = " x ") -> str:
    """Sizes as they are read: ``40 x 48 x 6``."""
    return sign.join(f"{number:g}" for number in numbers)
