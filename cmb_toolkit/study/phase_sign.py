"""Scanners whose scans have phases of both signs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..imaging.sign import Sign

__all__ = ["disagreeing"]


def disagreeing(scans: Iterable[tuple[Any, str, int]]) -> Iterator[tuple[str, list[str]]]:
    """Scanners whose scans have phases of different signs: a sentence each, and the subjects.

    Parameters
    ----------
    scans : iterable of (scanner, subject, sign)
        Nothing is said of scans whose scanner or sign is not known (no text, 0).
    """
    by_scanner: dict[str, dict[Sign, list[str]]] = {}
    for scanner, subject, sign in scans:
        if isinstance(scanner, str) and sign:
            by_scanner.setdefault(scanner, {}).setdefault(1 if sign > 0 else -1, []).append(subject)
    for scanner, found in by_scanner.items():
        if len(found) > 1:
            named = "; ".join(
                f"{sign:+d} for {', '.join(names)}" for sign, names in sorted(found.items(), reverse=True)
            )
            sentence = (
                f"scanner {scanner} has phases of both signs ({named}), but one scanner with one software has one: "
                "look at the SWIs, and correct the column phase_sign of participants.tsv; if both are right, give them "
                "scanner names of their own"
            )
            yield sentence, [name for names in found.values() for name in names]
