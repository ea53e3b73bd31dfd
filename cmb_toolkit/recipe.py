"""What can be chosen of a step, declared once.

A recipe is a frozen dataclass beside what it is for, in a module that imports little. From its fields come the options
of the command (:mod:`cmb_toolkit.cli.recipes`), what a settings file may say (:mod:`cmb_toolkit.paper.options`), the
parameters in the provenance, and Python's defaults.
"""

from __future__ import annotations

import math
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from .errors import UsageError
from .names import Grammar

__all__ = ["Option", "Recipe", "declared", "option"]


@dataclass(frozen=True)
class Option:
    """What is said of one field of a recipe.

    Attributes
    ----------
    help : str
        A sentence for `--help` and the docs.
    unit : str
        Of a number, for example ``mm``.
    least, above, most : float or None
        Bounds of a number: `least` and `most` are in, `above` is not.
    choices : tuple of str or int
        What it may be, where these are all.
    names : Grammar, optional
        Of a text: which names it may be.
    file : bool
        Whether it is a path. Paths may hold people's names, and do not stand in the provenance.
    in_settings : bool
        Whether a settings file of the experiment may set it.
    silent : bool
        Whether the provenance says nothing of it while it is the default: of what was not there when studies were made.
    """

    help: str
    unit: str = ""
    least: float | None = None
    above: float | None = None
    most: float | None = None
    choices: tuple[str | int, ...] = ()
    names: Grammar | None = None
    file: bool = False
    in_settings: bool = True
    silent: bool = False

    def expected(self, default: object) -> str:
        """What a value must be, in words."""
        if self.choices:
            return f"one of {', '.join(map(str, self.choices))}"
        if self.names:
            return f"{self.names.expected}, {self.names.most} characters at most"
        if self.file:
            return "a path"
        if isinstance(default, bool):
            return "true or false"
        low = f" above {self.above:g}" if self.above is not None else f" from {self.least:g}" * (self.least is not None)
        high = f" to {self.most:g}" if self.most is not None else ""
        return ("a whole number" if isinstance(default, int) else "a number") + low + high + f" {self.unit}".rstrip()

    def fits(self, value: object, default: object) -> bool:
        """Whether it is one; `default` says of which kind, and None that there may be none."""
        if value is None or self.choices:
            return value in self.choices or (value is None and default is None)
        if self.names or self.file:
            return self.names.fits(value) if self.names else isinstance(value, Path)
        if isinstance(default, bool) or isinstance(value, bool):
            return isinstance(default, bool) and isinstance(value, bool)
        if not isinstance(value, int if isinstance(default, int) else int | float) or not math.isfinite(value):
            return False
        above = self.above is None or value > self.above
        return above and (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


def option(default: Any, help: str, **limits: Any) -> Any:
    """A field of a recipe; `limits` as :class:`Option` has them."""
    return field(default=default, metadata={"option": Option(help, **limits)})


def declared(kind: type[Recipe]) -> dict[str, tuple[Field[Any], Option]]:
    """The fields of a recipe by the names that they have on the command line."""
    return {each.name.replace("_", "-"): (each, each.metadata["option"]) for each in fields(kind)}


@dataclass(frozen=True)
class Recipe:
    """A step's parameters.

    Raises
    ------
    UsageError
        If one is out of its bounds.
    """

    def __post_init__(self) -> None:
        for name, (each, said) in declared(type(self)).items():
            value = getattr(self, each.name)
            if not said.fits(value, each.default):
                raise UsageError(f"--{name} {value}: expected {said.expected(each.default)}.")

    def parameters(self) -> dict[str, Any]:
        """What the provenance says of it."""
        return {
            each.name: getattr(self, each.name)
            for each, said in declared(type(self)).values()
            if not (said.file or (said.silent and getattr(self, each.name) == each.default))
        }
