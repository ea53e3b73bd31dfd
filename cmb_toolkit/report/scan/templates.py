"""The templates of the pages, and what their browser is allowed to do: run this one script, load nothing."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

__all__ = ["render"]


def render(template: str, script: str, **content: Any) -> str:
    """Fill a template; everything in `content` is escaped.

    Parameters
    ----------
    template, script : str
        Names of files in this package. The page runs the script and, by its policy, no other.
    """
    code, style = _own(script), _own("page.css")
    assert "</script" not in code
    policy = (
        f"default-src 'none'; img-src data:; script-src '{_digest(code)}'; style-src '{_digest(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    page = _environment().get_template(template)
    filled = page.render(policy=Markup(policy), script=Markup(code), style=Markup(style), **content)
    return filled.rstrip() + "\n"


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


@cache
def _own(name: str) -> str:
    return (files("cmb_toolkit") / "report" / "scan" / name).read_text("utf-8").strip()


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("cmb_toolkit.report", "scan"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
