"""Keras on TensorFlow for the detector; stage 2 runs on any of Keras' backends."""

from __future__ import annotations

from ..backend import keras
from ..errors import MissingError, UsageError
from ..silence import silence

__all__ = ["keras", "tf"]

if keras.backend.backend() != "tensorflow":
    raise UsageError(
        f"Keras is set to the backend {keras.backend.backend()!r}, but the detector trains with TensorFlow. "
        "Unset KERAS_BACKEND, or set it to tensorflow."
    )

try:
    with silence():
        import tensorflow as tf
except ImportError as error:
    raise MissingError(
        f"TensorFlow cannot be imported ({error}). Install the package's dependencies again: `make setup`."
    ) from error
