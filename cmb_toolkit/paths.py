"""How paths are printed."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["from_here"]


def from_here(path: Path) -> Path:
    """The same path as it is written everywhere: relative to the working directory where it lies below it, else
    absolute.

    No link is followed, but for what stands before a ``..``.
    """
    whole = path.absolute()
    if os.pardir in whole.parts:
        last = [] if whole.name == os.pardir else [whole.name]
        whole = Path(os.path.realpath(whole.parent if last else whole), *last)
    here = Path.cwd()
    return whole.relative_to(here) if whole.is_relative_to(here) else whole
