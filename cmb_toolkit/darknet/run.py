"""How a Darknet is run."""

from __future__ import annotations

from functools import partial

from ..errors import DarknetError
from ..io.process import running

__all__ = ["PATIENCE_S", "run_darknet"]

PATIENCE_S = 1800.0
"""A Darknet that says nothing for so long [s] hangs: an iteration of 64 images takes minutes on two processors."""

run_darknet = partial(
    running,
    error=DarknetError,
    cure="Run the same command again to go on; if that does not help, choose another binary or --engine embedded.",
)
"""As :func:`cmb_toolkit.io.process.running`, with errors of a Darknet."""
