"""When a candidate counts as a microbleed: named rules that are never mixed.

Each is a file of this package, with one class, and a line of :data:`RULES`. What they have in common is in
:mod:`cmb_toolkit.evaluation.matching`, what each must say in :mod:`cmb_toolkit.evaluation.rules.base`.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from ...errors import UsageError
from ...registry import load

if TYPE_CHECKING:
    from .base import Rule

__all__ = ["RULES", "in_words", "rule_named"]

RULES: dict[str, tuple[str, str]] = {
    # name: (class, when a microbleed is found)
    "paper": (
        "cmb_toolkit.evaluation.rules.paper:Paper",
        "the candidate's box overlaps the microbleed's 20x20 box by IoU > 0.8 on the labelled slice",
    ),
    "centre": (
        "cmb_toolkit.evaluation.rules.centre:Centre",
        "the candidate's centre lies within a distance of the microbleed",
    ),
    "overlap": ("cmb_toolkit.evaluation.rules.overlap:Overlap", "the boxes overlap at all"),
    "valdo": ("cmb_toolkit.evaluation.rules.valdo:Valdo", "the rule of the VALDO challenge"),
}
"""The rules, in the order of every table."""


def in_words() -> str:
    """What each of them calls a hit."""
    return "; ".join(f"{name}: {words}" for name, (_, words) in RULES.items()) + "."


def rule_named(name: str, *, distance_mm: float = 3.0, slices: int = 0) -> Rule:
    """A rule, with those of the limits that it has.

    Parameters
    ----------
    name : str
        One of :data:`RULES`.
    distance_mm : float
        Greatest distance that still counts [mm].
    slices : int
        Greatest distance from the labelled slice [slices].

    Raises
    ------
    UsageError
        If the name is unknown or a limit of this rule is out of range.
    """
    if name not in RULES:
        raise UsageError(f"rule {name!r} is not known; choose one of {', '.join(RULES)}.")
    kind = load(RULES[name][0])
    limits = {"distance_mm": distance_mm, "slices": slices}
    rule: Rule = kind(**{field.name: limits[field.name] for field in fields(kind) if field.name in limits})
    return rule
