"""The options of a command, from the recipe of its step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from ..recipe import MISSING, Parameter, declared
from .options import Name, NumberOr, Place

__all__ = ["recipe_options", "taken"]

R = TypeVar("R")


def recipe_options(*kinds: type[Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options of recipes, in their order and each once; values have the names of the fields."""
    parameters = {name: each for kind in kinds for name, each in declared(kind).items()}

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for name, each in reversed(parameters.items()):
            if each.said.in_command:
                spelled = f"--{name}/--no-{name}" if each.kind is bool and each.optional else f"--{name}"
                function = click.option(spelled, each.field, **_how(each))(function)
        return function

    return decorate


def taken(kind: type[R], asked: dict[str, Any]) -> R:
    """The recipe out of what a command was given; its values are taken out of `asked`."""
    return kind(**{each.field: asked.pop(each.field) for each in declared(kind).values() if each.field in asked})


def _how(each: Parameter) -> dict[str, Any]:
    """What click is told of an option."""
    said, default = each.said, each.default
    how: dict[str, Any] = {"help": said.sentences, "metavar": said.metavar or None}
    if default is MISSING:
        return how | {"type": _type(each), "required": True}
    if each.kind is bool:
        return how | {"default": default, "is_flag": True, "show_default": said.otherwise or False}
    if each.kind is Mapping:
        return how | {"multiple": True, "callback": _keys}
    if each.kind is None and each.many == 1:
        default = next((word for word, value in each.words.items() if value == default), default)
    default = None if default == () else default
    shown = said.otherwise or default is not None
    return how | {"type": _type(each), "default": default, "show_default": shown, "multiple": each.many == 0}


def _type(each: Parameter) -> Any:
    if each.kind is None:
        return _Words(each.words)
    if each.words:
        return NumberOr(*each.words)
    if each.said.names:
        return Name(each.said.names)
    if each.kind is Path:
        return Place(dir_okay=each.said.folders)
    one = _number(each) if each.kind in (int, float) else str
    return (one,) * each.many if each.many > 1 else one


def _number(each: Parameter) -> Any:
    said = each.said
    low, high = (said.least if said.above is None else said.above), (said.most if said.below is None else said.below)
    if low is None and high is None:
        return each.kind
    if each.kind is int:
        return click.IntRange(low, high)  # type: ignore[arg-type]  # bounds of a whole number are whole
    return click.FloatRange(low, high, min_open=said.above is not None, max_open=said.below is not None)


class _Words(click.Choice):  # type: ignore[type-arg]  # generic in newer versions alone
    """One of some words, each with its meaning."""

    def __init__(self, words: Mapping[str, Any]) -> None:
        super().__init__(list(words))
        self._meaning = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """What the word means."""
        return self._meaning[super().convert(value, param, ctx)]


def _keys(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for value in values:
        key, sign, setting = value.partition("=")
        if not (sign and key.strip() and setting.strip()):
            raise click.BadParameter(f"{value!r} is not KEY=VALUE.")
        pairs[key.strip()] = setting.strip()
    return pairs
