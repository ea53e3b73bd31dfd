"""Which backend Keras runs on, and its import without what its user has set for other work.

``~/.keras/keras.json`` and ``KERAS_...`` variables change data types and axes of every network on an account. Weights
and provenance would then mean something else from one account to the next, so nothing of them has an effect here but
``KERAS_BACKEND``, which chooses what both stages compute with, and ``KERAS_TORCH_DEVICE``.
"""

from __future__ import annotations

import gc
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from .errors import UsageError

__all__ = [
    "BACKENDS",
    "backend_version",
    "is_there",
    "keras_backend",
    "keras_engine",
    "parameters_trained",
    "without_collecting",
    "without_extras",
    "without_users_settings",
]

BACKENDS: tuple[str, ...] = ("tensorflow", "torch", "jax")
"""The first that is installed is taken."""

_ALSO = {"tensorflow": ("tensorflow-cpu",)}
"""Distributions that are the same package under another name."""

_OWN_CHOICE = {"KERAS_BACKEND", "KERAS_TORCH_DEVICE"}


def keras_backend() -> str:
    """What Keras is to compute with: what ``KERAS_BACKEND`` says, or TensorFlow, or what is there in its place.

    Raises
    ------
    UsageError
        If it is none of :data:`BACKENDS`.
    """
    chosen = os.environ.get("KERAS_BACKEND") or next(filter(is_there, BACKENDS), BACKENDS[0])
    if chosen not in BACKENDS:
        raise UsageError(f"KERAS_BACKEND is {chosen!r}: unset it, or set it to one of {', '.join(BACKENDS)}.")
    return chosen


def is_there(package: str) -> bool:
    """Whether a package can be imported; it is not."""
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def backend_version(backend: str) -> str:
    """Version of what Keras computes with, without importing it."""
    for name in (backend, *_ALSO.get(backend, ())):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "of another distribution"


def keras_engine() -> str:
    """What trains and predicts, with versions, for the provenance; does not import it."""
    backend = keras_backend()
    return f"keras {version('keras')} ({backend} {backend_version(backend)})"


def parameters_trained(model: Any) -> int:
    """How many numbers a network learns."""
    return sum(math.prod(each.shape) for each in model.trainable_variables)


@contextmanager
def without_users_settings() -> Iterator[None]:
    """Let Keras, imported within the block, find neither the user's file nor variables; nothing is written either."""
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("KERAS_")}
    os.environ["KERAS_BACKEND"] = kept.get("KERAS_BACKEND") or keras_backend()
    os.environ["KERAS_HOME"] = os.devnull  # Keras looks for keras.json in it, and makes neither
    os.environ.update({name: kept[name] for name in _OWN_CHOICE & kept.keys() if kept[name]})
    try:
        yield
    finally:
        del os.environ["KERAS_HOME"]
        if "KERAS_BACKEND" not in kept:  # what was taken is no wish of the user's
            del os.environ["KERAS_BACKEND"]
        os.environ.update({name: value for name, value in kept.items() if name not in _OWN_CHOICE})


@contextmanager
def without_extras() -> Iterator[None]:
    """Let Keras, imported within the block, find neither matplotlib nor scikit-learn, if they are not loaded already.

    It would load them for pictures and wrappers of which nothing here makes use: a third of the time of its import.
    """
    hidden = {"matplotlib", "sklearn"} - sys.modules.keys()
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: not to be imported
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextmanager
def without_collecting() -> Iterator[None]:
    """Let nobody look for rubbish within the block, while thousands of modules are loaded: a seventh of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
