"""The options of a command, from the recipe of its step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ..recipe import Recipe, declared

__all__ = ["recipe_options"]


def recipe_options(kind: type[Recipe]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options of a recipe, in its order. Bounds are checked by the recipe itself."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for name, (each, said) in reversed(declared(kind).items()):
            if isinstance(each.default, bool):
                how: dict[str, Any] = {"is_flag": True}
            else:
                how = {"type": click.Choice(said.choices) if said.choices else type(each.default), "show_default": True}
            unit = f" [{said.unit}]" if said.unit else ""
            function = click.option(f"--{name}", default=each.default, help=said.help + unit, **how)(function)
        return function

    return decorate
