"""What a settings file may say about each step, and how it becomes words of a command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..darknet.recipe import Detecting, DetectorTraining, Preparing
from ..detectors import DETECTORS, finders
from ..evaluation.recipe import Evaluating, Folding
from ..imaging.recipe import Preprocessing
from ..names import Grammar
from ..recipe import declared
from ..registry import load
from ..stage1.recipe import Search
from ..stage2.recipe import ClassifierTraining, Classifying, Cropping

__all__ = ["OPTIONS", "SEEDED", "TEXT", "Kind", "choice", "named", "number", "whole", "words"]


_MOST = 1e12


@dataclass(frozen=True)
class Kind:
    """What a value must be.

    Attributes
    ----------
    expected : str
        In words, for error messages.
    fits : callable
        Whether a value of a TOML file is one.
    """

    expected: str
    fits: Callable[[Any], bool]


def whole(least: int, most: int = 10**9) -> Kind:
    """A whole number."""
    return Kind(
        f"a whole number from {least} to {most}",
        lambda v: isinstance(v, int) and not isinstance(v, bool) and least <= v <= most,
    )


def number(low: float, high: float = _MOST, *, open_low: bool = False, word: str = "") -> Kind:
    """A number in a range, or one word instead."""
    span = f"a number {'above' if open_low else 'from'} {low:g}" + (f" to {high:g}" if high < _MOST else "")

    def fits(value: Any) -> bool:
        if word and value == word:
            return True
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return bool((value > low if open_low else value >= low) and value <= high)

    return Kind(span + (f', or "{word}"' if word else ""), fits)


def choice(*names: str) -> Kind:
    """One of some words."""
    return Kind("one of " + ", ".join(f'"{name}"' for name in names), lambda v: isinstance(v, str) and v in names)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def named(grammar: Grammar) -> Kind:
    """A name."""
    return Kind(grammar.expected, grammar.fits)


def _declared(recipe: type[Any]) -> dict[str, Kind]:
    """What a recipe says that may be set."""
    kinds = {}
    for name, each in declared(recipe).items():
        if each.said.in_settings:
            kinds[name] = Kind(each.expected('"'), each.takes)
            if each.kind is bool and each.optional:
                kinds[f"no-{name}"] = kinds[name]
    return kinds


TEXT = Kind("a text", _is_text)
OPTIONS: Mapping[str, Mapping[str, Kind]] = {
    "split": _declared(Folding),
    "preprocess": _declared(Preprocessing),
    "prepare-yolo": _declared(Preparing),
    "stage1-train": _declared(DetectorTraining),
    "stage1-detect": _declared(Detecting),
    **{command: _declared(Search) | _declared(load(DETECTORS[method].finder)) for command, method in finders().items()},
    "stage2-crop": _declared(Cropping),
    "stage2-train": _declared(ClassifierTraining),
    "stage2-classify": _declared(Classifying),
    "evaluate": _declared(Evaluating),
}
"""Options of every step that a settings file may set, by the name that they have on the command line."""

_REPEATED = ("radius",)
"""Options whose list is one word each time; of the others' lists, all words follow the one name."""

SEEDED = ("split", "prepare-yolo", "stage1-train", "stage2-crop", "stage2-train")
"""Steps that are given the experiment's seed."""


def words(options: Mapping[str, Any]) -> list[str]:
    """Options as words of a command line, in order of their names.

    >>> words({"copies": [6, 1], "no-augment": True, "set": {"batch": "16"}})
    ['--copies', '6', '1', '--no-augment', '--set', 'batch=16']
    """
    said: list[str] = []
    for name, value in sorted(options.items()):
        if isinstance(value, bool):
            if value:
                said.append(f"--{name}")
        elif isinstance(value, Mapping):
            for key, setting in sorted(value.items()):
                said += [f"--{name}", f"{key}={setting}"]
        elif isinstance(value, list) and name in _REPEATED:
            for one in value:
                said += [f"--{name}", str(one)]
        elif isinstance(value, list):
            said += [f"--{name}", *map(str, value)]
        else:
            said += [f"--{name}", str(value)]
    return said
