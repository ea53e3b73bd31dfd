"""What a kind of mutants is, and what one mutant is."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Kind", "Mutant", "generator"]


@dataclass(frozen=True)
class Mutant:
    """One damaged input.

    Attributes
    ----------
    what : str
        What was done to it.
    read : callable
        Gives it to the reader and returns what was read.
    file : Path or None
        Whose name must stand in the message where it is refused.
    or_else : tuple of str
        Or one of these: whom or what it names.
    wrong : callable
        Given what was read, says what is wrong about having accepted it; nothing where that was right.
    """

    what: str
    read: Callable[[], Any]
    file: Path | None = None
    wrong: Callable[[Any], str] = lambda content: ""
    or_else: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    Attributes
    ----------
    name : str
    make : callable
        Writes what is whole into a folder, once.
    mutate : callable
        Given random numbers, that folder and an empty one, makes a mutant in the empty one.
    share : float
        How many of all inputs are of this kind, next to 1 for another.
    together : int
        Mutants that one process is given. A command needs one of its own.
    warm : callable
        Called in such a process before its memory is bounded: what must be imported first.
    """

    name: str
    make: Callable[[Path], None]
    mutate: Callable[[np.random.Generator, Path, Path], Mutant]
    share: float = 1.0
    together: int = 50
    warm: Callable[[], None] = lambda: None


def generator(seed: int, kind: str, number: int) -> np.random.Generator:
    """The random numbers of one mutant."""
    return np.random.default_rng([seed, zlib.crc32(kind.encode()), number])
