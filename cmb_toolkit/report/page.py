"""A page of tables and pictures in one HTML file that needs nothing else: to read, to send, to print."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template

from .table import Table

__all__ = ["Picture", "Section", "html_page"]


@dataclass(frozen=True)
class Picture:
    """A figure on a page.

    Attributes
    ----------
    name : str
        File stem and anchor: ``figure-4``.
    label : str
        What the figure is called: ``Figure 4``.
    title : str
    caption : str
        What is to be seen; without a picture, why there is none.
    png : bytes
        The image; empty where it could not be drawn.
    """

    name: str
    label: str
    title: str
    caption: str
    png: bytes = b""

    @property
    def source(self) -> str:
        """The image as an address that holds it."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


@dataclass(frozen=True)
class Section:
    """A heading, sentences under it, then tables and pictures in order; `name` is its anchor."""

    name: str
    title: str
    parts: tuple[Table | Picture, ...] = ()
    text: tuple[str, ...] = ()


def html_page(
    title: str,
    lead: str,
    facts: Sequence[tuple[str, str]],
    sections: Sequence[Section],
    *,
    warning: str = "",
    footer: str = "",
) -> str:
    """The page; equal content gives equal bytes.

    Parameters
    ----------
    title : str
    lead : str
        One or two sentences under the title.
    facts : sequence of (name, value)
        What one must know to read the page.
    sections : sequence of Section
    warning : str
        Set apart above everything else.
    footer : str
    """
    return (
        _template()
        .render(title=title, lead=lead, facts=facts, sections=sections, warning=warning, footer=footer)
        .rstrip()
        + "\n"
    )


@cache
def _template() -> Template:
    text = (files("cmb_toolkit") / "report" / "page.html").read_text("utf-8")
    return Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(text)
