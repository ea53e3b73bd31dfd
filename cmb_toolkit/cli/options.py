"""Kinds of values and options that several commands take alike."""

from __future__ import annotations

import math

import click

from ..names import Grammar

__all__ = [
    "JOBS",
    "Name",
    "NumberOr",
]


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
