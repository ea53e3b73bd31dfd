"""What computes a network that only looks: OpenVINO, or Keras with its backend, perhaps on a GPU.

Asked without a long import where it can be told without.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from .errors import MissingError
from .keras_settings import is_there, keras_engine

__all__ = ["computes_bf16", "importing_openvino", "keras_because", "looked_by", "on_gpu"]

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


def computes_bf16(processors: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether what Keras computes on has bfloat16 numbers: every GPU since 2020, few processors."""
    try:
        flags = processors.read_text("latin-1")
    except OSError:
        flags = ""
    return any(name in flags for name in ("avx512_bf16", "amx_bf16")) or on_gpu()


def keras_because() -> str:
    """Why Keras looks; empty if OpenVINO does.

    On processors OpenVINO starts in a fraction of the time that a backend of Keras takes, needs less memory, and is as
    fast or faster (docs/darknet.md). So it is taken wherever it is installed, unless Keras computes on a GPU or
    ``KERAS_BACKEND`` says what is to compute.
    """
    if not is_there("openvino"):
        return "it is not installed: pip install openvino"
    if os.environ.get("KERAS_BACKEND"):
        return "KERAS_BACKEND is set: unset it"
    return "here Keras computes on a GPU" if on_gpu() else ""


def looked_by(*, openvino: bool) -> str:
    """What looks, with versions, for provenance; nothing is imported.

    Parameters
    ----------
    openvino : bool
        Whether the network is known to OpenVINO.
    """
    return f"openvino {version('openvino')}, f32" if openvino and not keras_because() else keras_engine()


@contextmanager
def importing_openvino() -> Iterator[None]:
    """Say what to do where OpenVINO, imported within the block, is there and cannot be.

    Raises
    ------
    MissingError
    """
    try:
        yield
    except ImportError as error:
        raise MissingError(
            f"openvino cannot be imported ({error}). Install it again, or remove it: `pip uninstall openvino`."
        ) from error
