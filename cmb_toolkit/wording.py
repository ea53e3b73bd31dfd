"""Numbers in sentences."""

from __future__ import annotations

__all__ = ["counted", "plural"]


def plural(number: int, noun: str) -> str:
    """A noun as it stands after a number.

    >>> plural(1, "scan"), plural(0, "scan")
    ('scan', 'scans')
    """
    return noun if number == 1 else f"{noun}s"


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "scan"), counted(12, "scan")
    ('1 scan', '12 scans')
    """
    return f"{number} {plural(number, noun)}"
