"""Batch norm with Darknet's training arithmetic, as a Keras layer.

In training Darknet normalises with the minibatch's mean and *unbiased* variance (Keras uses the biased one), keeps
those in the rolling statistics, and its backward pass divides by N. With c = N / (N - 1), b the biased variance, e =
eps / c and g = gamma / sqrt(c), what it computes, gamma / sqrt(c b + eps), is g / sqrt(b + e): so a backend's own
kernels do it, with e and g, at a third of the memory traffic. Their backward pass, given the unbiased variance and eps,
is Darknet's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .tensors import BACKEND, keras, ops
from .weights import BN_EPSILON

if BACKEND == "tensorflow":
    import tensorflow as tf
elif BACKEND == "torch":
    import torch
else:
    import jax

__all__ = ["BN_MOMENTUM", "BatchNormalization", "normalise"]

BN_MOMENTUM = 0.9
"""What a minibatch leaves of the rolling statistics (AlexeyAB's CPU code; 0.99 on its GPU lags in short trainings)."""


@keras.saving.register_keras_serializable("cmb_toolkit")
class BatchNormalization(keras.layers.Layer):  # type: ignore[misc]
    """Batch norm over all but the last axis; what it is given may be bf16, what it keeps is f32.

    Betas are learned, as on Darknet's GPU; AlexeyAB's CPU build leaves them at their start by mistake.
    """

    def __init__(self) -> None:
        super().__init__(dtype="float32", autocast=False)

    def build(self, shape: tuple[int | None, ...]) -> None:
        one = (int(shape[-1] or 0),)
        self.gamma = self.add_weight(shape=one, initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=one, initializer="zeros", name="beta")
        self.mean = self.add_weight(shape=one, initializer="zeros", trainable=False, name="mean")
        self.variance = self.add_weight(shape=one, initializer="zeros", trainable=False, name="variance")

    def call(self, x: Any, training: bool = False) -> Any:
        if not training:
            scale = self.gamma * ops.rsqrt(self.variance + BN_EPSILON)
            return ops.cast(ops.cast(x, "float32") * scale + (self.beta - self.mean * scale), x.dtype)
        y, mean, variance = normalise(x, self.gamma.value, self.beta.value)
        self.mean.assign(BN_MOMENTUM * self.mean + (1 - BN_MOMENTUM) * mean)
        self.variance.assign(BN_MOMENTUM * self.variance + (1 - BN_MOMENTUM) * variance)
        return y


def _normalise_plainly(x: Any, gamma: Any, beta: Any) -> tuple[Any, Any, Any]:
    """The arithmetic written out, right on every device: y, mean, unbiased variance."""
    axes = tuple(range(len(x.shape) - 1))
    count = int(np.prod(x.shape[:-1]))
    wide = ops.cast(x, "float32")
    mean = ops.mean(wide, axes)
    centred = wide - mean
    variance = ops.sum(centred**2, axes) / max(count - 1, 1)
    y = centred * (ops.rsqrt(variance + BN_EPSILON) * gamma) + beta
    return ops.cast(y, x.dtype), mean, variance


def _gradients_plainly(dy: Any, x: Any, gamma: Any, mean: Any, variance: Any) -> tuple[Any, Any, Any]:
    """The gradients by x, gamma and beta for a gradient by y."""
    axes = tuple(range(len(x.shape) - 1))
    count = int(np.prod(x.shape[:-1]))
    dy = ops.cast(dy, "float32")
    centred = ops.cast(x, "float32") - mean
    r = ops.rsqrt(variance + BN_EPSILON)
    dbeta = ops.sum(dy, axes)
    along = ops.sum(dy * centred, axes)
    dx = gamma * r * (dy - dbeta / count - centred * (r**2 * along / count))
    return ops.cast(dx, x.dtype), along * r, dbeta


if BACKEND == "tensorflow":

    def _normalise_fused(x: Any, gamma: Any, beta: Any) -> tuple[Any, Any, Any]:
        """With TensorFlow's kernels for CPUs; cuDNN keeps other things between its two passes."""
        count = int(np.prod(x.shape[:-1]))
        c = count / max(count - 1, 1)
        empty = tf.zeros([0])
        y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x, scale=gamma / np.float32(np.sqrt(c)), offset=beta, mean=empty, variance=empty,
            epsilon=BN_EPSILON / c, is_training=True,
        )  # fmt: skip
        return y, mean, variance

    def _gradients_fused(dy: Any, x: Any, gamma: Any, mean: Any, variance: Any) -> tuple[Any, Any, Any]:
        dx, dgamma, dbeta, *_ = tf.raw_ops.FusedBatchNormGradV3(
            y_backprop=dy, x=x, scale=gamma, reserve_space_1=mean, reserve_space_2=variance,
            reserve_space_3=tf.zeros([0]), epsilon=BN_EPSILON, is_training=True,
        )  # fmt: skip
        return dx, dgamma, dbeta

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def _normalise(x: Any, gamma: Any, beta: Any) -> tuple[tuple[Any, Any, Any], Callable[..., Any]]:
        on_gpu = bool(tf.config.list_physical_devices("GPU"))
        y, mean, variance = (_normalise_plainly if on_gpu else _normalise_fused)(x, gamma, beta)
        gradients = _gradients_plainly if on_gpu else _gradients_fused
        return (y, mean, variance), lambda dy, _mean, _variance: gradients(dy, x, gamma, mean, variance)

    def normalise(x: Any, gamma: Any, beta: Any) -> tuple[Any, Any, Any]:
        """Batch norm with the unbiased variance: (y, mean, variance), with Darknet's gradient."""
        return _normalise(x, tf.convert_to_tensor(gamma), tf.convert_to_tensor(beta))  # type: ignore[no-any-return]

elif BACKEND == "jax":

    def _forward(x: Any, gamma: Any, beta: Any) -> tuple[tuple[Any, Any, Any], tuple[Any, Any, Any, Any]]:
        y, mean, variance = _normalise_plainly(x, gamma, beta)
        return (y, mean, variance), (x, gamma, mean, variance)

    def _backward(kept: tuple[Any, Any, Any, Any], upstream: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        return _gradients_plainly(upstream[0], *kept)

    _normalised = jax.custom_vjp(_normalise_plainly)
    _normalised.defvjp(_forward, _backward)

    def normalise(x: Any, gamma: Any, beta: Any) -> tuple[Any, Any, Any]:
        """Batch norm with the unbiased variance: (y, mean, variance), with Darknet's gradient."""
        return _normalised(x, gamma, beta)  # type: ignore[no-any-return]

else:

    class _Normalise(torch.autograd.Function):  # type: ignore[misc]
        """With PyTorch's kernels, on every device; they want channels first, which is a view."""

        @staticmethod
        def forward(ctx: Any, x: Any, gamma: Any, beta: Any) -> tuple[Any, Any, Any]:
            count = int(np.prod(x.shape[:-1]))
            c = count / max(count - 1, 1)
            y, mean, r = torch.native_batch_norm(
                x.movedim(-1, 1), gamma / c**0.5, beta, None, None, True, 0.0, BN_EPSILON / c
            )
            variance = c * (r**-2 - BN_EPSILON / c)
            ctx.save_for_backward(x, gamma, mean, torch.rsqrt(variance + BN_EPSILON))
            ctx.mark_non_differentiable(mean, variance)
            return y.movedim(1, -1), mean, variance

        @staticmethod
        def backward(ctx: Any, *upstream: Any) -> tuple[Any, Any, Any]:
            x, gamma, mean, r = ctx.saved_tensors
            dx, dgamma, dbeta = torch.ops.aten.native_batch_norm_backward(
                upstream[0].movedim(-1, 1), x.movedim(-1, 1), gamma, None, None, mean, r, True, BN_EPSILON,
                [True, True, True],
            )  # fmt: skip
            return dx.movedim(1, -1), dgamma, dbeta

    def normalise(x: Any, gamma: Any, beta: Any) -> tuple[Any, Any, Any]:
        """Batch norm with the unbiased variance: (y, mean, variance), with Darknet's gradient."""
        return _Normalise.apply(x, gamma, beta)  # type: ignore[no-any-return]
