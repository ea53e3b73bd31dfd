"""What ``cmbtk --verbose`` says besides: what is read and written, what is done already and what not, and when."""

from __future__ import annotations

import os
import sys
import time

__all__ = ["VARIABLE", "aloud"]

VARIABLE = "CMBTK_VERBOSE"
"""Of the environment, so that workers know it too."""

_BEGAN = time.monotonic()


def aloud(text: str) -> None:
    """Say something on stderr, with the time since this process began, where somebody wants to hear it."""
    if os.environ.get(VARIABLE):
        print(f"[{time.monotonic() - _BEGAN:7.2f} s] {text}", file=sys.stderr, flush=True)
