"""What the detector asks of Keras' backend beyond ``keras.ops``: functions that run fast, and gradients.

TensorFlow, PyTorch and JAX do both. JAX's functions may not change a variable: what one reads and changes there is
handed in and out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..backend import keras, ops
from ..errors import MissingError
from ..silence import silence

__all__ = ["compiled", "gradients", "keras", "ops", "zeros"]

BACKEND: str = keras.backend.backend()

try:
    with silence():
        if BACKEND == "tensorflow":
            import tensorflow as tf
        elif BACKEND == "torch":
            import torch
        else:
            import jax
except ImportError as error:
    raise MissingError(
        f"{BACKEND} cannot be imported ({error}). Install the package's dependencies again: `make setup`."
    ) from error


def compiled(function: Callable[..., Any], variables: Sequence[Any]) -> Callable[..., Any]:
    """A function of arrays that may change variables, and through which no gradient flows, made fast.

    Its arguments become tensors on the device that computes. Arguments of another shape are allowed.

    Parameters
    ----------
    function : callable
    variables : sequence of keras.Variable
        All that it reads or changes.
    """
    if BACKEND == "tensorflow":
        traced = tf.function(function, autograph=False)
        return lambda *arrays: traced(*map(tf.convert_to_tensor, arrays))
    if BACKEND == "jax":
        return _compiled_by_jax(function, list(variables))

    def run(*arrays: Any) -> Any:
        with torch.no_grad():
            return function(*map(ops.convert_to_tensor, arrays))

    return run


def _compiled_by_jax(function: Callable[..., Any], variables: list[Any]) -> Callable[..., Any]:
    def pure(values: list[Any], *arrays: Any) -> tuple[Any, list[Any]]:
        with keras.StatelessScope(list(zip(variables, values, strict=True))) as scope:
            result = function(*arrays)
        return result, [scope.get_current_value(variable) for variable in variables]

    traced = jax.jit(pure, donate_argnums=0)

    def run(*arrays: Any) -> Any:
        result, values = traced([variable.value for variable in variables], *arrays)
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return result

    return run


def gradients(
    forward: Callable[[], Any], variables: Sequence[Any], upstream: Callable[[Any], Any], changed: Sequence[Any] = ()
) -> tuple[Any, list[Any]]:
    """Gradients by variables, given the gradient by what they make.

    Parameters
    ----------
    forward : callable
        Computes an output from the variables.
    variables : sequence of keras.Variable
    upstream : callable
        The gradient by the output, as a function of it; no gradient flows through this function.
    changed : sequence of keras.Variable
        What `forward` changes.

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
    if BACKEND == "jax":
        before = [(variable, variable.value) for variable in changed]

        def pure(inner: list[Any]) -> tuple[Any, list[Any]]:
            with keras.StatelessScope([*zip(variables, inner, strict=True), *before]) as scope:
                output = forward()
            return output, [scope.get_current_value(variable) for variable in changed]

        output, backward, after = jax.vjp(pure, values, has_aux=True)
        for variable, value in zip(changed, after, strict=True):
            variable.assign(value)
        given = upstream(output)
        return given, backward(given)[0]
    with torch.enable_grad():
        output = forward()
    given = upstream(output.detach())
    return given, list(torch.autograd.grad(output, values, given))


def zeros(shape: Sequence[int]) -> Any:
    """A variable of zeros that is not trained."""
    return keras.Variable(keras.ops.zeros(tuple(shape)), trainable=False)
