"""2D networks that say whether a microbleed is in the middle of a window: a DenseNet and a ResNet, and small ones.

``densenet-full``
    DenseNet-201 (Huang et al. 2017, CVPR, 4700) with two classes: 18,096,770 trainable parameters.
``resnet-full``
    ResNet-50 (He et al. 2016, CVPR, 770), its convolutions with biases as in Keras, with two classes: 23,538,690.
``densenet-small``, ``resnet-small``
    Of the same blocks, for a CPU: 122,306 and 105,762.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from ..backend import keras, layers
from ..lessons.network_file import Builders

__all__ = ["BUILDERS", "build"]

CHANNELS = 3


def build(name: str, seed: int) -> keras.Model:
    """An untrained network, (n, i, j, 3) in -0.5..0.5 -> (n, 2) logits.

    Parameters
    ----------
    name : str
        One of :data:`BUILDERS`.
    seed : int
    """
    keras.utils.set_random_seed(seed)
    return BUILDERS[name](CHANNELS)


def _conv(x: Any, filters: int, kernel: int, *, stride: int = 1, bias: bool = False) -> Any:
    return layers.Conv2D(
        filters, kernel, strides=stride, padding="same", use_bias=bias, kernel_initializer="he_normal"
    )(x)


def _normed(x: Any) -> Any:
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))


def _densenet(name: str, stem: int, kernel: int, blocks: Sequence[int], growth: int, channels: int) -> keras.Model:
    """Every layer sees all layers before it in its block; between blocks half of the channels are kept."""
    image = keras.Input((None, None, channels))
    x = _normed(_conv(layers.Rescaling(4.0)(image), stem, kernel, stride=2))
    x = layers.MaxPooling2D(3, 2, padding="same")(x) if kernel > 3 else x
    for number, count in enumerate(blocks):
        if number:
            x = layers.AveragePooling2D(2)(_conv(_normed(x), x.shape[-1] // 2, 1))
        for _ in range(count):
            new = _conv(_normed(_conv(_normed(x), 4 * growth, 1)), growth, 3)
            x = layers.Concatenate()([x, new])
    x = layers.GlobalAveragePooling2D()(_normed(x))
    return keras.Model(image, layers.Dense(2)(x), name=name)


def _resnet(name: str, stem: int, kernel: int, stages: Sequence[tuple[int, int]], channels: int) -> keras.Model:
    """Bottlenecks of 1 x 1, 3 x 3 and 1 x 1 beside a shortcut; of each stage so wide and so many, pooled between."""
    image = keras.Input((None, None, channels))
    x = _normed(_conv(layers.Rescaling(4.0)(image), stem, kernel, stride=2, bias=True))
    x = layers.MaxPooling2D(3, 2, padding="same")(x) if kernel > 3 else x
    for number, (width, count) in enumerate(stages):
        for unit in range(count):
            stride = 2 if number and not unit else 1
            shortcut = x
            if not unit:
                shortcut = layers.BatchNormalization(momentum=0.9)(_conv(x, 4 * width, 1, stride=stride, bias=True))
            x = _normed(_conv(x, width, 1, stride=stride, bias=True))
            x = _normed(_conv(x, width, 3, bias=True))
            x = layers.BatchNormalization(momentum=0.9)(_conv(x, 4 * width, 1, bias=True))
            x = layers.ReLU()(layers.Add()([x, shortcut]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(2)(x), name=name)


BUILDERS: Builders = {
    "densenet-full": partial(_densenet, "densenet-full", 64, 7, (6, 12, 48, 32), 32),
    "densenet-small": partial(_densenet, "densenet-small", 24, 3, (4, 4, 6), 12),
    "resnet-full": partial(_resnet, "resnet-full", 64, 7, ((64, 3), (128, 4), (256, 6), (512, 3))),
    "resnet-small": partial(_resnet, "resnet-small", 16, 3, ((16, 2), (24, 2), (40, 2))),
}
"""Name of a network -> what builds it from the number of its input's channels."""
