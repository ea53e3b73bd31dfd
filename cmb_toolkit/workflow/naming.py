"""What a model is called, where that was left open."""

from __future__ import annotations

from pathlib import Path

from ..bundle.make import Named
from .recipe import Naming

__all__ = ["named"]


def named(asked: Naming, out: Path) -> Named:
    """As asked; by default by the name of its file."""
    name = asked.name or out.name.removesuffix(".cmbtk")
    said = {each: getattr(asked, each) or "" for each in ("licence", "author", "contact", "doi")}
    return Named(name, asked.model_version, **said)
