"""Registries: dicts from a name to where its object is, so that to list names imports nothing else."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["load"]


def load(place: str) -> Any:
    """The object at ``module:name``.

    >>> load("math:gcd")(12, 18)
    6
    """
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
