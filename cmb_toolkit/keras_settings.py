"""Which backend Keras runs on, and its import without what its user has set for other work.

``~/.keras/keras.json`` and ``KERAS_...`` variables change data types and axes of every network on an account. Weights
and provenance would then mean something else from one account to the next, so nothing of them has an effect here but
``KERAS_BACKEND``, which chooses what stage 2 computes with, and ``KERAS_TORCH_DEVICE``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import UsageError

__all__ = ["BACKENDS", "keras_backend", "without_users_settings"]

BACKENDS: tuple[str, ...] = ("tensorflow", "jax", "torch")

_OWN_CHOICE = {"KERAS_BACKEND", "KERAS_TORCH_DEVICE"}


def keras_backend() -> str:
    """What Keras is to compute with: TensorFlow, or what ``KERAS_BACKEND`` says.

    Raises
    ------
    UsageError
        If it is none of :data:`BACKENDS`.
    """
    chosen = os.environ.get("KERAS_BACKEND") or BACKENDS[0]
    if chosen not in BACKENDS:
        raise UsageError(f"KERAS_BACKEND is {chosen!r}: unset it, or set it to one of {', '.join(BACKENDS)}.")
    return chosen


@contextmanager
def without_users_settings() -> Iterator[None]:
    """Let Keras, imported within the block, find neither the user's file nor variables; nothing is written either."""
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("KERAS_")}
    os.environ["KERAS_BACKEND"] = kept.get("KERAS_BACKEND") or BACKENDS[0]
    os.environ["KERAS_HOME"] = os.devnull  # Keras looks for keras.json in it, and makes neither
    os.environ.update({name: kept[name] for name in _OWN_CHOICE & kept.keys() if kept[name]})
    try:
        yield
    finally:
        del os.environ["KERAS_HOME"]
        os.environ.update({name: value for name, value in kept.items() if name not in _OWN_CHOICE})
