"""The sections of a network file: values by type, and nothing ignored in silence."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from ..errors import DataError
from ..names import shown

__all__ = ["Section", "sections", "shorten"]

_BLANKS = re.compile(r"[ \t\r\n]")
_LEFT = re.compile(r"[#;].*")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_MOST_NUMBERS = 1000
_LARGEST = 10**9
"""Whole number in a list."""


class Section:
    """One section while it is read: hands out values by type and remembers which keys were asked for."""

    def __init__(self, kind: str, line: int, name: str) -> None:
        self.kind, self.line, self.name = kind, line, name
        self.values: dict[str, tuple[str, int]] = {}
        self._known: set[str] = set()

    def error(self, problem: str) -> DataError:
        """What to raise about the section as a whole."""
        return DataError(f"{self.name}, line {self.line}: section [{self.kind}] {problem}. Correct the .cfg file.")

    def _wrong(self, key: str, expected: str) -> DataError:
        value, line = self.values[key]
        return DataError(
            f"{self.name}, line {line}: {key}={shorten(value)} in [{self.kind}]: expected {expected}. "
            "Correct the .cfg file."
        )

    def word(self, key: str, default: str) -> str:
        """The text of a key."""
        self._known.add(key)
        return self.values[key][0] if key in self.values else default

    def number(self, key: str, default: float, low: float = -float("inf"), high: float = float("inf")) -> float:
        """A number within limits, such as Darknet's reader would take it from the line."""
        self._known.add(key)
        if key not in self.values:
            return default
        value = _finite(_LEFT.sub("", self.values[key][0]))
        if value is None:
            raise self._wrong(key, "a number")
        if not low <= value <= high:
            raise self._wrong(key, f"a number from {low:g} to {high:g}")
        return value

    def integer(self, key: str, default: int, low: int = 0, high: int = 1 << 16) -> int:
        """A whole number within limits; a default outside of them says that the key is needed."""
        value = self.number(key, default)
        if value != int(value) or not low <= value <= high:
            if key not in self.values:
                raise self.error(f"lacks {key}")
            raise self._wrong(key, f"a whole number from {low} to {high}")
        return int(value)

    def flag(self, key: str, default: bool) -> bool:
        """0 or 1."""
        value = self.integer(key, int(default))
        if value > 1:
            raise self._wrong(key, "0 or 1")
        return bool(value)

    def numbers(self, key: str) -> tuple[float, ...]:
        """Numbers with commas between them; empty without the key."""
        self._known.add(key)
        if key not in self.values:
            return ()
        found = tuple(_finite(part) for part in _LEFT.sub("", self.values[key][0]).split(","))
        numbers = tuple(number for number in found if number is not None)
        if len(numbers) < len(found) or len(numbers) > _MOST_NUMBERS:
            raise self._wrong(key, "numbers with commas between them")
        return numbers

    def integers(self, key: str) -> tuple[int, ...]:
        """Whole numbers, likewise."""
        numbers = self.numbers(key)
        if any(number != int(number) or abs(number) > _LARGEST for number in numbers):
            raise self._wrong(key, "whole numbers with commas between them")
        return tuple(map(int, numbers))

    def only(self, key: str, neutral: float, why: str) -> None:
        """A key that would change the result: accepted at its neutral value, refused by name otherwise."""
        if self.number(key, neutral) != neutral:
            value, line = self.values[key]
            raise DataError(
                f"{self.name}, line {line}: {key}={shorten(value)} in [{self.kind}] is not supported: {why}. "
                f"Remove the line or write {key}={neutral:g}."
            )

    def ignore(self, *keys: str) -> None:
        """Keys that Darknet reads without any effect on a YOLOv2 network."""
        self._known.update(keys)

    def finish(self) -> None:
        """Refuse a key that nothing has asked for."""
        for key, (value, line) in self.values.items():
            if key not in self._known:
                raise DataError(
                    f"{self.name}, line {line}: {shorten(key)}={shorten(value)} in [{self.kind}] is not known to this "
                    "engine, so it cannot be honoured. Remove the line, or train with a Darknet binary that knows it."
                )


def sections(text: str, name: str) -> Iterator[Section]:
    """The sections of a network file in order, their values still text.

    Raises
    ------
    DataError
        If a line is neither a section's name, a key with its value nor a comment.
    """
    section: Section | None = None
    for number, raw in enumerate(text.lstrip("\ufeff").split("\n"), 1):
        line = _BLANKS.sub("", raw)
        if not line or line[0] in "#;":
            continue
        if line[0] == "[":
            if section is not None:
                yield section
            section = Section(shorten(line[1:].split("]")[0]), number, name)
            continue
        key, sign, value = line.partition("=")
        if not sign or section is None:
            raise DataError(
                f"{name}, line {number}: {shown(line)} is neither a [section], a key=value line inside one, nor a "
                "comment. Correct the .cfg file."
            )
        section.values.setdefault(key, (value, number))  # Darknet, too, takes a key's first value
    if section is not None:
        yield section


def _finite(text: str) -> float | None:
    """A number in plain digits; None for anything else that a programming language would take for one."""
    value = float(text) if _NUMBER.fullmatch(text) else math.inf
    return value if math.isfinite(value) else None


def shorten(text: str) -> str:
    """A key or value as a message may show it."""
    return text if len(text) <= 40 and text.isprintable() else shown(text)
