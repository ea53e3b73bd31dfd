"""What a settings file may say about each step, and how it becomes words of a command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from ..darknet.recipe import Detecting, DetectorTraining, Preparing
from ..detectors import DETECTORS, finders
from ..evaluation.recipe import Evaluating, Folding
from ..imaging.recipe import Preprocessing
from ..recipe import Parameter, declared
from ..registry import load
from ..stage1.recipe import search_of
from ..stage2.recipe import ClassifierTraining, Classifying, Cropping

__all__ = ["OPTIONS", "RECIPES", "SEEDED", "filled", "settable", "words"]

R = TypeVar("R")


def settable(*recipes: type[Any]) -> dict[str, Parameter]:
    """What recipes say that may be set; of a flag that can be said either way both."""
    parameters = {name: each for one in recipes for name, each in declared(one).items() if each.said.in_settings}
    either = {f"no-{name}": each for name, each in parameters.items() if each.kind is bool and each.optional}
    return parameters | either


RECIPES: Mapping[str, tuple[type[Any], ...]] = {
    "split": (Folding,),
    "preprocess": (Preprocessing,),
    "prepare-yolo": (Preparing,),
    "stage1-train": (DetectorTraining,),
    "stage1-detect": (Detecting,),
    **{command: (search_of(method), load(DETECTORS[method].finder)) for command, method in finders().items()},
    "stage2-crop": (Cropping,),
    "stage2-train": (ClassifierTraining,),
    "stage2-classify": (Classifying,),
    "evaluate": (Evaluating,),
}
"""What every step takes."""

OPTIONS: Mapping[str, Mapping[str, Parameter]] = {step: settable(*recipes) for step, recipes in RECIPES.items()}
"""Options of every step that a settings file may set, by the name that they have on the command line."""

SEEDED = (
    "split",
    "prepare-yolo",
    "stage1-train",
    *(command for command, method in finders().items() if "seed" in declared(load(DETECTORS[method].finder))),
    "stage2-crop",
    "stage2-train",
)
"""Steps that are given the experiment's seed."""


def words(step: str, options: Mapping[str, Any]) -> list[str]:
    """A step's options as words of a command line, in order of their names.

    >>> words("prepare-yolo", {"no-augment": True, "set": {"batch": "16"}})
    ['--no-augment', '--set', 'batch=16']
    >>> words("stage2-train", {"copies": [6, 1]}), words("frst", {"radius": [1, 2.5]})
    (['--copies', '6', '1'], ['--radius', '1', '--radius', '2.5'])
    """
    said: list[str] = []
    for name, value in sorted(options.items()):
        if isinstance(value, bool):
            said += [f"--{name}"] * value
        elif isinstance(value, Mapping):
            said += [word for key, setting in sorted(value.items()) for word in (f"--{name}", f"{key}={setting}")]
        elif isinstance(value, list) and OPTIONS[step][name].many == 0:
            said += [word for one in value for word in (f"--{name}", str(one))]
        elif isinstance(value, list):
            said += [f"--{name}", *map(str, value)]
        else:
            said += [f"--{name}", str(value)]
    return said


def filled(recipe: type[R], options: Mapping[str, Any]) -> R:
    """The recipe that a command makes of these options, by the names that they have on the command line.

    >>> filled(Classifying, {"threshold": 0.5, "by": "stage2", "size": 448}).by
    'stage2'
    """
    known = declared(recipe)
    given: dict[str, Any] = {each.field: False for name, each in known.items() if f"no-{name}" in options}
    return recipe(
        **given, **{known[name].field: _value(known[name], options[name]) for name in known if name in options}
    )


def _value(each: Parameter, value: Any) -> Any:
    """What a word or number of a settings file is in Python."""
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, Mapping):
        return {key: str(setting) for key, setting in value.items()}
    if each.kind is None:
        return each.words.get(value, value)
    return Path(value) if each.kind is Path else value
