"""Keras, imported and set up once for both stages: quietly, fast, and as it comes, whatever its user has set.

Importing this module takes seconds; only modules that are themselves imported late may do it at their top.

oneDNN's kernels are switched on everywhere: TensorFlow does so by itself only on processors with AVX-512 VNNI, but
elsewhere, too, they train twice as fast, and TensorFlow's own gradient of 3D max-pooling pays tied values several
times over.
"""

from __future__ import annotations

import os

from .errors import MissingError
from .keras_settings import keras_backend, without_collecting, without_extras, without_users_settings
from .silence import silence

__all__ = ["COMPILED", "keras", "layers", "ops"]

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_BACKEND = keras_backend()
try:
    with silence(), without_users_settings(), without_extras(), without_collecting():
        import keras
        from keras import layers, ops
except ImportError as error:
    raise MissingError(
        f"Keras or what it computes with ({_BACKEND}) cannot be imported ({error}). "
        "Install the package's dependencies again: `make setup`; or unset KERAS_BACKEND."
    ) from error

# whoever imported it before us
keras.config.set_floatx("float32")
keras.config.set_dtype_policy("float32")
keras.config.set_epsilon(1e-7)
keras.config.set_image_data_format("channels_last")

COMPILED = {"run_eagerly": False, "jit_compile": _BACKEND == "jax"}
"""How models are compiled, whatever was set before: eager gradients are slow, and so is XLA for TensorFlow on
processors, four times; JAX compiles with it or not at all."""
