"""One training at a time on a GPU."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..io.lock import locked

__all__ = ["chosen_gpu", "gpu_lock"]

_FOLDER = Path("/tmp")  # one for all users and jobs of a machine, whatever TMPDIR says


@contextmanager
def gpu_lock() -> Iterator[None]:
    """Hold the GPU that a Darknet would train on.

    Raises
    ------
    UsageError
        If a cmbtk training on this machine holds it.
    """
    gpu = chosen_gpu(os.environ.get("CUDA_VISIBLE_DEVICES", ""), _list_gpus())
    what = f"GPU {gpu} (another one can be chosen with CUDA_VISIBLE_DEVICES)"
    with locked(_FOLDER / f"cmbtk-gpu-{gpu}.lock", what):
        yield


def chosen_gpu(visible: str, listed: str) -> str:
    """Identity of the GPU that a program uses which takes the first one.

    Parameters
    ----------
    visible : str
        Value of ``CUDA_VISIBLE_DEVICES``: numbers or identities with commas between them, or nothing.
    listed : str
        Lines ``0, GPU-1b2c...`` of ``nvidia-smi --query-gpu=index,uuid --format=csv,noheader``. Numbers differ between
        containers and jobs, identities do not.
    """
    first = visible.split(",", maxsplit=1)[0].strip() or "0"
    known = dict(re.findall(r"^(\d+), *(\S+) *$", listed, re.M))
    return re.sub(r"[^A-Za-z0-9-]", "_", known.get(first, first))


def _list_gpus() -> str:
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader"],
            capture_output=True, check=False, timeout=60, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("latin-1")
