"""Kinds of values and options that several commands take alike."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import click

from ..names import Grammar
from ..paths import from_here

__all__ = [
    "JOBS",
    "Name",
    "NumberOr",
    "Place",
]


class Place(click.Path):
    """A path, which is then printed as all paths are: see :func:`cmb_toolkit.paths.from_here`."""

    def __init__(self, **how: Any) -> None:
        super().__init__(path_type=Path, **how)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        return from_here(path) if value else path


class NumberOr(click.ParamType[str | float]):
    """A number, or a word, such as ``auto``."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self.name = "|".join(["NUMBER", *words])

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str | float:
        """The word, or the number."""
        if str(value) in self.words:
            return str(value)
        try:
            number = float(str(value))
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self.fail(f"{value!r} is neither a number nor {' nor '.join(self.words)}.", param, ctx)
        return number


class Name(click.ParamType[str]):
    """A name of one kind, see :mod:`cmb_toolkit.names`."""

    name = "text"

    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name as it is."""
        if not self.grammar.fits(value):
            self.fail(self.grammar.problem(value), param, ctx)
        return str(value)


def _jobs(ctx: click.Context, param: click.Parameter, value: int | None) -> int | None:
    from ..parallel import workers

    # how much memory a simulated subject needs is known only when its resolution is
    return value if value or ctx.info_name == "simulate" else workers()


JOBS = click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1),
    callback=_jobs,
    help="Subjects at a time.  [default: as processors and free memory allow]",
)
