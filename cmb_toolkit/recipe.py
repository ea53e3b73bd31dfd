"""What can be chosen of a step, declared once.

A recipe is a frozen dataclass beside what it is for, in a module that imports little. Its annotations say of what kind
a value is, :func:`option` says the rest. From its fields come the options of the command
(:mod:`cmb_toolkit.cli.recipes`), what a settings file may say (:mod:`cmb_toolkit.paper.options`), the parameters in the
provenance, and Python's defaults.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from .errors import UsageError
from .names import Grammar

__all__ = ["MISSING", "Option", "Parameter", "Recipe", "declared", "option", "parameter"]

_NOUNS = {int: "whole number", float: "number", str: "text", Path: "file", Mapping: "table of texts or numbers"}
_HOW_MANY = {1: "a {}", 2: "two {}s", 0: "a list of {}s"}


@dataclass(frozen=True)
class Option:
    """What is said of one field of a recipe.

    Attributes
    ----------
    help : str or callable
        Sentences for `--help`; a callable, where what they name may grow.
    name : str
        On the command line and in settings files; by default the field's, with hyphens.
    unit : str
        Of a number, for example ``mm``.
    least, above, most, below : float or None
        Bounds of a number: `least` and `most` are in, `above` and `below` are not.
    choices : collection of str or int
        What it may be, where these are all and no ``Literal`` has them.
    names : Grammar or None
        Of a text: which names it may be.
    folders : bool
        Of a path: whether it may be a folder's.
    metavar : str
        What stands for the value in `--help`.
    otherwise : str
        What holds where nothing is given, in words, if the default does not say it.
    in_settings, in_command : bool
        Whether a settings file of the experiment may set it, and whether a command has it as an option.
    silent : bool
        Whether the provenance says nothing of it while it is the default: of what was not there when studies were made.
    """

    help: str | Callable[[], str] = ""
    name: str = ""
    unit: str = ""
    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None
    choices: Collection[str | int] = ()
    names: Grammar | None = None
    folders: bool = False
    metavar: str = ""
    otherwise: str = ""
    in_settings: bool = True
    in_command: bool = True
    silent: bool = False

    @property
    def sentences(self) -> str:
        """The help, with the unit at its end."""
        text = self.help if isinstance(self.help, str) else self.help()
        return f"{text.removesuffix('.')} [{self.unit}]." if self.unit else text

    @property
    def span(self) -> str:
        """The bounds in words."""
        bounds = (("above", self.above), ("from", self.least), ("to", self.most), ("and below", self.below))
        return "".join(f" {word} {bound:g}" for word, bound in bounds if bound is not None) + f" {self.unit}".rstrip()

    def bounds(self, number: float) -> bool:
        """Whether a number lies in the bounds."""
        low = (self.above is None or number > self.above) and (self.least is None or number >= self.least)
        return low and (self.below is None or number < self.below) and (self.most is None or number <= self.most)


@dataclass(frozen=True)
class Parameter:
    """A field of a recipe, with what its annotation says.

    Attributes
    ----------
    field, name : str
        In Python and the provenance; on the command line and in settings files.
    default : object
        ``MISSING`` where it must be given.
    said : Option
    kind : type or None
        bool, int, float, str, Path or Mapping; None where it is one of the words.
    literals : tuple
        Words, or whole numbers taken as such, of a ``Literal``.
    many : int
        How many values it has; 0: as many as wanted.
    optional : bool
        Whether it may be None.
    """

    field: str
    name: str
    default: Any
    said: Option
    kind: Any
    literals: tuple[Any, ...] = ()
    many: int = 1
    optional: bool = False

    @property
    def words(self) -> dict[str, Any]:
        """What may be written, and what it means; a number with its sign where one is negative."""
        words = (*self.literals, *self.said.choices)
        signed = any(isinstance(word, int) and word < 0 for word in words)
        return {f"{word:+d}" if signed and isinstance(word, int) else str(word): word for word in words}

    def expected(self, quote: str = "") -> str:
        """What a value must be, in words."""
        *others, last = [f"{quote}{word}{quote}" for word in self.words] or [""]
        if self.kind is bool:
            return "true or false"
        if self.said.names:
            return f"{self.said.names.expected}, {self.said.names.most} characters at most"
        if self.kind is None:
            return f"{'one' if self.many == 1 else 'some'} of {', '.join([*others, last])}"
        plain = _HOW_MANY[self.many].format(_NOUNS[self.kind]) + self.said.span
        return f"{plain}, {', '.join(others)}{' or' if others else 'or'} {last}" if last else plain

    def fits(self, value: object) -> bool:
        """Whether it is one, as Python has it."""
        if value is None:
            return self.optional
        if self.many == 1:
            return self._fits(value)
        enough = isinstance(value, tuple) and (len(value) == self.many if self.many else value or not self.default)
        return bool(enough) and all(map(self._fits, value))  # type: ignore[call-overload]  # enough says it is a tuple

    def takes(self, value: object) -> bool:
        """Whether it is one, as a settings file has it."""
        if self.kind is None and self.many == 1:
            return isinstance(value, str) and value in self.words
        return self.fits(tuple(value) if isinstance(value, list) else value)

    def _fits(self, value: object) -> bool:
        if any(value == word and type(value) is type(word) for word in self.words.values()):
            return True
        if self.kind is None or isinstance(value, bool):
            return self.kind is bool and isinstance(value, bool)
        if self.kind in (int, float):
            number = isinstance(value, int | float) and math.isfinite(value) and self.said.bounds(value)
            return number and (self.kind is float or isinstance(value, int))
        if self.said.names:
            return self.said.names.fits(value)
        if self.kind is Mapping:
            return isinstance(value, Mapping) and all(isinstance(each, str | int | float) for each in value.values())
        return value != "" and isinstance(value, str | Path if self.kind is Path else self.kind)


def option(default: Any, help: str | Callable[[], str] = "", **further: Any) -> Any:
    """A field of a recipe; `further` as :class:`Option` has it. A default of ``...`` says that it must be given."""
    metadata = {"option": Option(help, **further)}
    if default is ...:
        return field(metadata=metadata)
    if default is dict:
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


def declared(kind: type[Any]) -> dict[str, Parameter]:
    """The parameters of a recipe by the names that they have on the command line; none of any other class.

    What is said of a field holds for those of subclasses, which may give it another default and narrow its kind.
    """
    said: dict[str, Option] = {}
    for base in reversed(kind.__mro__):
        own = base.__dict__.get("__dataclass_fields__", {}).values()
        said |= {each.name: each.metadata["option"] for each in own if "option" in each.metadata}
    if not said:
        return {}
    hints = get_type_hints(kind)
    parameters = []
    for each in fields(kind):
        default = each.default if each.default_factory is MISSING else each.default_factory()
        parameters.append(parameter(hints[each.name], said[each.name], each.name, default))
    return {each.name: each for each in parameters}


def parameter(hint: Any, said: Option, field: str = "", default: Any = MISSING) -> Parameter:
    """What an annotation and an option say together."""
    parts = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    literals = tuple(word for part in parts if get_origin(part) is Literal for word in get_args(part))
    others = [part for part in parts if part is not NoneType and get_origin(part) is not Literal]
    kind, many = others[0] if others else None, 1
    if get_origin(kind) is tuple:
        inner = get_args(kind)
        kind, many = inner[0], 0 if Ellipsis in inner else len(inner)
    kind = None if said.choices else get_origin(kind) or kind
    name = said.name or field.replace("_", "-")
    return Parameter(field, name, default, said, kind, literals, many, NoneType in parts)


@dataclass(frozen=True)
class Recipe:
    """A step's parameters.

    Raises
    ------
    UsageError
        If one is out of its bounds.
    """

    def __post_init__(self) -> None:
        for name, each in declared(type(self)).items():
            value = getattr(self, each.field)
            if not each.fits(value):
                raise UsageError(f"--{name} {value}: expected {each.expected()}.")

    def parameters(self) -> dict[str, Any]:
        """What the provenance says of it: no path, which may hold people's names."""
        return {
            each.field: value
            for each in declared(type(self)).values()
            if each.kind is not Path and not ((value := getattr(self, each.field)) == each.default and each.said.silent)
        }
