"""What the detector asks of Keras' backend beyond ``keras.ops``: functions that run fast, and gradients.

TensorFlow and PyTorch do both; with JAX, whose functions may not change a variable, the detector does not run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..backend import keras, ops
from ..errors import MissingError, UsageError
from ..silence import silence

__all__ = ["compiled", "gradients", "keras", "ops", "zeros"]

BACKEND: str = keras.backend.backend()

if BACKEND not in ("tensorflow", "torch"):
    raise UsageError(
        f"Keras is set to the backend {BACKEND!r}, but the detector trains with TensorFlow or PyTorch. "
        "Unset KERAS_BACKEND, or set it to tensorflow or torch."
    )

try:
    with silence():
        if BACKEND == "tensorflow":
            import tensorflow as tf
        else:
            import torch
except ImportError as error:
    raise MissingError(
        f"{BACKEND} cannot be imported ({error}). Install the package's dependencies again: `make setup`."
    ) from error


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of arrays that may change variables, and through which no gradient flows, made fast.

    Its arguments become tensors on the device that computes. Arguments of another shape are allowed.
    """
    if BACKEND == "tensorflow":
        traced = tf.function(function, autograph=False)
        return lambda *arrays: traced(*map(tf.convert_to_tensor, arrays))

    def run(*arrays: Any) -> Any:
        with torch.no_grad():
            return function(*map(ops.convert_to_tensor, arrays))

    return run


def gradients(
    forward: Callable[[], Any], variables: Sequence[Any], upstream: Callable[[Any], Any]
) -> tuple[Any, list[Any]]:
    """Gradients by variables, given the gradient by what they make.

    Parameters
    ----------
    forward : callable
        Computes an output from the variables.
    variables : sequence of keras.Variable
    upstream : callable
        The gradient by the output, as a function of it; no gradient flows through this function.

    Returns
    -------
    upstream : tensor
        What that function gave.
    gradients : list of tensors
    """
    values = [variable.value for variable in variables]
    if BACKEND == "tensorflow":
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            output = forward()
        given = upstream(output)
        return given, tape.gradient(output, values, output_gradients=given)
    with torch.enable_grad():
        output = forward()
    given = upstream(output.detach())
    return given, list(torch.autograd.grad(output, values, given))


def zeros(shape: Sequence[int]) -> Any:
    """A variable of zeros that is not trained."""
    return keras.Variable(keras.ops.zeros(tuple(shape)), trainable=False)
