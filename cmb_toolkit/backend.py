"""Keras on TensorFlow, imported and set up for the detector; stage 2 runs on any of Keras' backends.

Importing this module takes seconds; only modules that are themselves imported late may do it at their top.

oneDNN's kernels are switched on everywhere: TensorFlow does so by itself only on processors with AVX-512 VNNI, but
elsewhere, too, they train twice as fast, and TensorFlow's own gradient of 3D max-pooling pays tied values several
times over.
"""

from __future__ import annotations

import os

from .errors import MissingError, UsageError
from .silence import silence

__all__ = ["engine_versions", "keras", "tf"]


os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

try:
    with silence():
        import keras
        import tensorflow as tf
except ImportError as error:
    raise MissingError(
        f"TensorFlow or Keras cannot be imported ({error}). Install the package's dependencies again: `make setup`."
    ) from error

if keras.backend.backend() != "tensorflow":
    raise UsageError(
        f"Keras is set to the backend {keras.backend.backend()!r}, but the networks here train with TensorFlow. "
        "Unset KERAS_BACKEND, or set it to tensorflow."
    )


def engine_versions() -> str:
    """What computes, for provenance: ``keras 3.15.1 (tensorflow 2.21.0)``."""
    return f"keras {keras.__version__} (tensorflow {tf.__version__})"
