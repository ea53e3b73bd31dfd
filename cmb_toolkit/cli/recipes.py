"""The options of a command, from the recipe of its step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field
from pathlib import Path
from typing import Any

import click

from ..recipe import Option, Recipe, declared
from .options import Name

__all__ = ["recipe_options"]


def recipe_options(kind: type[Recipe]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options of a recipe, in its order. Bounds are checked by the recipe itself."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for name, (each, said) in reversed(declared(kind).items()):
            unit = f" [{said.unit}]" if said.unit else ""
            function = click.option(f"--{name}", default=each.default, help=said.help + unit, **_kind(each, said))(
                function
            )
        return function

    return decorate


def _kind(each: Field[Any], said: Option) -> dict[str, Any]:
    """What click is told of the values that it takes."""
    if isinstance(each.default, bool):
        return {"is_flag": True}
    if said.file:
        return {"type": click.Path(path_type=Path)}
    kind = click.Choice(said.choices) if said.choices else Name(said.names) if said.names else type(each.default)
    return {"type": kind, "show_default": True}
