"""Commands that the user is told to type: what a shell would not take as one word is quoted."""

from __future__ import annotations

import shlex

__all__ = ["quoted"]


def quoted(word: object) -> str:
    """A path or an option's value as a shell takes it."""
    return shlex.quote(str(word))
