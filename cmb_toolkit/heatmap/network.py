"""The heatmap networks in Keras, and the loss that they learn by.

A small U-Net: convolutions of 3 x 3 x 3 with batch norm and ReLU, pooled in plane first, as slices are thick.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ..backend import keras, layers, ops

__all__ = ["build", "focal_loss"]

_NEVER = -4.6
"""Bias of the last layer: one voxel in a hundred looks like a microbleed at first, so that the many others do not drown
the few."""

_ALPHA, _BETA = 2.0, 4.0


def build(network: Literal["small", "large"], channels: int, seed: int) -> keras.Model:
    """An untrained network for inputs of any size that can be halved as often as it pools.

    Parameters
    ----------
    network : {"small", "large"}
    channels : int
        Of its input.
    seed : int

    Returns
    -------
    keras.Model
        (n, i, j, k, channels) -> (n, i, j, k, 1), before the sigmoid.
    """
    keras.utils.set_random_seed(seed)
    image = keras.Input((None, None, None, channels))
    if network == "small":
        fine = _twice(image, 16)
        middle = _twice(layers.MaxPooling3D((2, 2, 1))(fine), 32)
        x = _once(layers.Concatenate()([layers.UpSampling3D((2, 2, 1))(middle), fine]), 16)
    else:
        fine = _twice(image, 24)
        middle = _twice(layers.MaxPooling3D((2, 2, 1))(fine), 48)
        coarse = _twice(layers.MaxPooling3D((2, 2, 2))(middle), 96)
        middle = _once(layers.Concatenate()([layers.UpSampling3D((2, 2, 2))(coarse), middle]), 48)
        x = _once(layers.Concatenate()([layers.UpSampling3D((2, 2, 1))(middle), fine]), 24)
    x = layers.Conv3D(1, 1, bias_initializer=keras.initializers.Constant(_NEVER))(x)
    return keras.Model(image, x, name=f"heatmap-{network}")


def _once(x: Any, filters: int) -> Any:
    x = layers.Conv3D(filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9, epsilon=1e-3)(x))


def _twice(x: Any, filters: int) -> Any:
    return _once(_once(x, filters), filters)


def focal_loss(target: Any, logits: Any, weight: Any) -> Any:
    """The focal loss of peaks (Zhou et al., Objects as Points, arXiv 1904.07850), divided by the number of peaks.

    Voxels near a peak are forgiven: what they should not say counts by (1 - target) to the fourth power.
    """
    probability = ops.sigmoid(logits)
    sure, unsure = ops.log_sigmoid(logits), ops.log_sigmoid(-logits)
    peak = ops.cast(target >= np.float32(1), "float32") * weight
    hit = -peak * (1 - probability) ** _ALPHA * sure
    false = -(weight - peak) * (1 - target) ** _BETA * probability**_ALPHA * unsure
    return ops.sum(hit + false) / ops.maximum(ops.sum(peak), np.float32(1))
