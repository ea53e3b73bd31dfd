"""What a step warns of: told when it is found, and kept for the provenance of what the step makes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from .publish import read_record

__all__ = ["Warned"]


class Warned:
    """Warnings of one run of a step.

    Parameters
    ----------
    on_note : callable
        Given each as a line for people, once.

    Attributes
    ----------
    lines : list of str
        Without the word and the full stop; to stand in a record as ``warnings``.
    """

    def __init__(self, on_note: Callable[[str], None]) -> None:
        self.lines: list[str] = []
        self._on_note = on_note

    def add(self, *lines: str) -> None:
        """Warn of something, once."""
        for line in lines:
            if line not in self.lines:
                self.lines.append(line)
                self._on_note(f"Warning: {line}.")

    def again(self, target: Path) -> None:
        """Warn of what stands in the record of an output that needs not be made again."""
        noted = (read_record(target) or {}).get("warnings")
        if isinstance(noted, Iterable) and not isinstance(noted, str):
            self.add(*(line for line in noted if isinstance(line, str)))
