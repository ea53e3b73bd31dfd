"""The second stages of earlier work (the paper's Table 9), as published where that is known; see docs/methods.md.

``dou``
    Dou et al. 2016: two convolutions and three dense layers on 20 x 20 x 16 voxels of SWI; 1,364,338 parameters.
``chen``
    Chen et al. 2019: twelve residual units on 16 x 16 x 8 voxels of SWI; 244,009 trainable parameters.
``liu``
    Liu et al. 2019: a 3D-ResNet on SWI and phase. Its blocks and widths were not found: Chen's network on 16 x 16 x 16
    voxels of both stands for it; 244,233 trainable parameters.
"""

from __future__ import annotations

from typing import Any

from ..backend import keras, layers, ops
from .networks import KEEP, PACKAGE, MaxPool

__all__ = ["BothSides", "Middle", "chen", "dou", "liu"]


@keras.saving.register_keras_serializable(PACKAGE)
class Middle(layers.Layer):  # type: ignore[misc]
    """SWI beside phase (n, s, 2 s, s, 1) -> the slices in the middle (n, s, s, slices, channels), -2..2.

    The voxel at index s/2 of a patch, on which its candidate lies, comes to stand at index slices/2.

    Parameters
    ----------
    slices : int
        Even.
    channels : int
        1: SWI alone; 2: SWI and phase.
    """

    def __init__(self, slices: int, channels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.slices = slices
        self.channels = channels

    def call(self, x: Any) -> Any:
        size = x.shape[1]
        first = (size - self.slices) // 2
        sides = [x[:, :, n * size : (n + 1) * size, first : first + self.slices] for n in range(self.channels)]
        return 4.0 * ops.concatenate(sides, axis=-1) - 2.0

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (shape[0], shape[1], shape[1], self.slices, self.channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "slices": self.slices, "channels": self.channels}


@keras.saving.register_keras_serializable(PACKAGE)
class BothSides(layers.Layer):  # type: ignore[misc]
    """Probability of a microbleed (n, 1) -> of none, of one (n, 2)."""

    def call(self, x: Any) -> Any:
        return ops.concatenate([1 - x, x], axis=-1)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (shape[0], 2)


def dou(seed: int, size: int) -> keras.Model:
    """Dou's 3D-CNN; all convolutions are valid."""
    image = keras.Input((size, 2 * size, size, 1), name="swi_beside_phase")
    x = Middle(16, 1)(image)
    x = MaxPool()(layers.Conv3D(32, (7, 7, 5), activation="relu", kernel_initializer="he_normal")(x))
    x = layers.Conv3D(64, (5, 5, 3), activation="relu", kernel_initializer="he_normal")(x)
    x = layers.Dropout(0.3, seed=seed)(layers.Flatten()(x))
    for units in (500, 100):
        x = layers.Dense(units, activation="relu", kernel_initializer="he_normal")(x)
    return keras.Model(image, layers.Dense(2, activation="softmax", dtype="float32")(x), name="dou")


def chen(seed: int, size: int) -> keras.Model:
    """Chen's 3D-ResNet."""
    return _resnet("chen", seed, size, slices=8, channels=1)


def liu(seed: int, size: int) -> keras.Model:
    """The same on whole patches of SWI and phase."""
    return _resnet("liu", seed, size, slices=16, channels=2)


def _resnet(name: str, seed: int, size: int, *, slices: int, channels: int) -> keras.Model:
    image = keras.Input((size, 2 * size, size, 1), name="swi_beside_phase")
    x = Middle(slices, channels)(image)
    for level, (width, units) in enumerate(((8, 3), (16, 6), (32, 3))):
        x = MaxPool()(x) if level else x
        for unit in range(units):
            x = _unit(x, width, widened=unit == 0)
    x = layers.GlobalAveragePooling3D()(x)
    for number, units in enumerate((32, 16)):
        x = layers.Dropout(0.5, seed=seed + number)(layers.Dense(units, activation="relu")(x))
    return keras.Model(image, BothSides()(layers.Dense(1, activation="sigmoid", dtype="float32")(x)), name=name)


def _unit(x: Any, width: int, *, widened: bool) -> Any:
    """A residual unit; where the number of channels changes, the shortcut has a convolution of its own."""
    shortcut = layers.Conv3D(width, 1)(x) if widened else x
    x = layers.ReLU()(layers.BatchNormalization(momentum=KEEP)(layers.Conv3D(width, 3, padding="same")(x)))
    x = layers.BatchNormalization(momentum=KEEP)(layers.Conv3D(width, 3, padding="same")(x))
    return layers.ReLU()(layers.Add()([x, shortcut]))
