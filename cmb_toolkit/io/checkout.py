"""The git commit of a checkout, read from its files."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["commit"]

_NAME = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def commit(checkout: Path) -> str | None:
    """The commit that a checkout stands at; changes that were not committed are not seen.

    Parameters
    ----------
    checkout : Path
        A folder with a ``.git``, or a work tree's, whose ``.git`` is a file that says where it lies.

    Returns
    -------
    str or None
        In hexadecimal; None where there is no checkout, as of an installed package, or it cannot be read.
    """
    try:
        git = checkout / ".git"
        if git.is_file():
            git = checkout / git.read_text("utf-8").removeprefix("gitdir:").strip()
        head = (git / "HEAD").read_text("utf-8").strip()
        if head.startswith("ref:"):
            head = _resolved(git, head.removeprefix("ref:").strip())
    except (OSError, UnicodeDecodeError):
        return None
    return head if _NAME.fullmatch(head) else None


def _resolved(git: Path, branch: str) -> str:
    """A branch's commit: in a file of its own, or packed with others'; a work tree's lies with its repository's."""
    shared = git / "commondir"
    common = git / shared.read_text("utf-8").strip() if shared.is_file() else git
    for place in (git, common):
        if (place / branch).is_file():
            return (place / branch).read_text("utf-8").strip()
    for line in (common / "packed-refs").read_text("utf-8").splitlines():
        name, _, packed = line.partition(" ")
        if packed == branch:
            return name
    return ""
