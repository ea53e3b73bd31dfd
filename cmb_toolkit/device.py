"""Whether Keras computes on a GPU, asked without a long import where there can be none."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["on_gpu"]

_DEVICES = ("nvidia*", "kfd", "dxg")
"""What the drivers of GPUs put into /dev: NVIDIA's, AMD's, and Windows' for the Linux within it."""

_WORDS = ("gpu", "cuda", "rocm", "mps")
"""What TensorFlow, JAX and PyTorch call a GPU."""


def on_gpu(devices: Path = Path("/dev")) -> bool:
    """Whether Keras's backend puts a number that it is given on a GPU.

    Where no driver of one is, or ``CUDA_VISIBLE_DEVICES`` hides all, Keras is not imported.
    """
    may = sys.platform == "darwin" or any(path for name in _DEVICES for path in devices.glob(name))
    if not may or os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        return False
    from .backend import ops

    where = str(ops.convert_to_tensor([0.0]).device).lower()
    return any(word in where for word in _WORDS)
