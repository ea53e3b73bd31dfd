"""Networks of the second stage: patch -> probability of (no microbleed, microbleed).

``paper``
    The network of Al-masni et al. 2020 (section 2.1.2): 1,355,450 trainable parameters. That number is reached only
    when batch norm has one scale and shift for each *position along the patch's depth*, where the usual one has them
    for each channel: their tensors were channels-first and the layer's axis was left at its default. Convolution,
    ReLU, then batch norm, as in the authors' script. The input, 0..1, is put to -2..2 first, and the moving statistics
    keep 0.9 at each step: neither adds a parameter, and without them it does not learn (benchmarks/stage2_seeds.py).
``channel``
    The same with the usual batch norm over channels: 1,356,154 trainable parameters.
``paper-literal``
    ``paper`` without these two: the input as it is, statistics that keep 0.99. Its ReLUs die in the first steps, and it
    ends with next to one output for every patch; kept to show just that.
``small``
    For training on a CPU in minutes: 77,000 parameters. SWI and phase are channels of one cube, so that the same voxel
    of both is seen at once; about 1/100 of the paper's arithmetic.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backend import keras, layers, ops
from ..classifiers import CLASSIFIERS
from ..errors import UsageError
from ..registry import load as locate
from .keras_file import KerasFile

__all__ = [
    "KEEP",
    "NETWORKS",
    "PACKAGE",
    "Blocks",
    "Builder",
    "DepthBN",
    "MaxPool",
    "answers",
    "build",
    "live_units",
    "load",
    "save",
]

PACKAGE = "cmb_toolkit"

Builder = Callable[[int, int], keras.Model]
"""Seed and side of the patches' cubes -> an untrained network, (n, size, 2 size, size, 1) in 0..1 -> (n, 2)."""

KEEP = 0.9
"""What moving statistics keep at each step: in short trainings those that keep 0.99 lag behind."""


@keras.saving.register_keras_serializable(PACKAGE)
class DepthBN(layers.Layer):  # type: ignore[misc]
    """Batch norm over the last spatial axis of (n, i, j, depth, channel): one mean and variance for each depth.

    The same mathematics as ``BatchNormalization(axis=3)``. Written on rows (n i j, depth channel), whose column sums
    are fast and far more accurate in single precision than a reduction over scattered axes.

    Parameters
    ----------
    momentum : float
        What the moving statistics keep at each step.
    epsilon : float
        Added to the variance.
    """

    def __init__(self, momentum: float = 0.99, epsilon: float = 1e-3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, shape: tuple[int | None, ...]) -> None:
        one = (shape[3],)
        self.gamma = self.add_weight(shape=one, initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=one, initializer="zeros", name="beta")
        self.mean = self.add_weight(shape=one, initializer="zeros", trainable=False, name="moving_mean")
        self.variance = self.add_weight(shape=one, initializer="ones", trainable=False, name="moving_variance")

    def call(self, x: Any, training: bool = False) -> Any:
        depth, channels = x.shape[3:]
        rows = ops.reshape(x, (-1, depth * channels))

        def mean_by_depth(values: Any) -> Any:
            by_column = ops.mean(values, axis=0)
            return ops.mean(ops.reshape(by_column, (depth, channels)), axis=1)

        def columns(by_depth: Any) -> Any:
            return ops.repeat(by_depth, channels)

        mean, variance = self.mean, self.variance
        if training:
            mean = mean_by_depth(rows)
        centred = rows - columns(mean)
        if training:
            variance = mean_by_depth(ops.square(centred))
            self.mean.assign(self.mean * self.momentum + mean * (1 - self.momentum))
            self.variance.assign(self.variance * self.momentum + variance * (1 - self.momentum))
        normed = centred * columns(self.gamma * ops.rsqrt(variance + self.epsilon)) + columns(self.beta)
        return ops.reshape(normed, ops.shape(x))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "epsilon": self.epsilon}


@keras.saving.register_keras_serializable(PACKAGE)
class MaxPool(layers.Layer):  # type: ignore[misc]
    """Greatest of 2 x 2 x 2 voxels, stride 2, with a gradient that goes to one of them even when they tie.

    TensorFlow's own ``MaxPool3D`` gradient pays every tied voxel when it does not run through oneDNN's graph (eager
    mode, other CPUs); after ReLU ties are everyday, and gradients were off by up to 180 %. Pairwise maxima are right
    everywhere.
    """

    def call(self, x: Any) -> Any:
        x = ops.maximum(x[:, ::2], x[:, 1::2])
        x = ops.maximum(x[:, :, ::2], x[:, :, 1::2])
        return ops.maximum(x[:, :, :, ::2], x[:, :, :, 1::2])

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (shape[0], *(n and n // 2 for n in shape[1:4]), shape[4])


@keras.saving.register_keras_serializable(PACKAGE)
class Blocks(layers.Layer):  # type: ignore[misc]
    """SWI beside phase (n, s, 2 s, s, 1) -> (n, s/2, s/2, s, 8): each in-plane block of 2 x 2 voxels of both images
    becomes the channels of one coarser voxel, centred on 0. Nothing is lost, and voxels twice as wide are closer to
    the thickness of a slice."""

    def call(self, x: Any) -> Any:
        size, depth = x.shape[1], x.shape[3]
        x = ops.concatenate([x[:, :, :size], x[:, :, size:]], axis=-1) - 0.5
        x = ops.reshape(x, (-1, size // 2, 2, size // 2, 2, depth, 2))
        return ops.reshape(ops.transpose(x, (0, 1, 3, 5, 2, 4, 6)), (-1, size // 2, size // 2, depth, 8))

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        half = shape[1] and shape[1] // 2
        return (shape[0], half, half, shape[3], 8)


def _input(size: int) -> Any:
    return keras.Input((size, 2 * size, size, 1), name="swi_beside_phase")


def _paper(name: str, seed: int, size: int, norm: Callable[[], layers.Layer], *, centred: bool) -> keras.Model:
    image = x = _input(size)
    if centred:
        # inputs that are all above 0 push the first units the same way, and ReLUs that fall below 0 never answer again
        x = layers.Rescaling(4.0, offset=-2.0, name="centred")(x)
    for filters in (32, 64, 64):
        x = norm()(layers.Conv3D(filters, 3, padding="same", activation="relu")(x))
    x = MaxPool()(x)
    for filters in (128, 128):
        x = norm()(layers.Conv3D(filters, 3, padding="same", activation="relu")(x))
    x = MaxPool()(x)
    x = layers.Dense(32, activation="relu")(layers.Flatten()(x))
    x = layers.Dropout(0.3, seed=seed)(x)
    x = layers.Dense(8, activation="relu")(x)
    return keras.Model(image, layers.Dense(2, activation="softmax", dtype="float32")(x), name=name)


def paper(seed: int, size: int) -> keras.Model:
    """The paper's network."""
    return _paper("paper-centred", seed, size, partial(DepthBN, momentum=KEEP), centred=True)


def channel(seed: int, size: int) -> keras.Model:
    """The same with batch norm over channels."""
    return _paper("channel-centred", seed, size, partial(layers.BatchNormalization, momentum=KEEP), centred=True)


def paper_literal(seed: int, size: int) -> keras.Model:
    """The paper's as it is written there."""
    return _paper("paper-literal", seed, size, DepthBN, centred=False)


def small(seed: int, size: int) -> keras.Model:
    """A network that a CPU trains in minutes."""
    image = _input(size)
    x = Blocks()(image)
    # pooling and no strides: TensorFlow's gradients of strided 3-D convolutions are up to 50 times slower on a CPU
    for filters, pooled in ((24, False), (24, True), (48, True)):
        x = layers.Conv3D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=KEEP)(x))
        x = MaxPool()(x) if pooled else x
    x = layers.Dropout(0.3, seed=seed)(layers.Flatten()(x))
    x = layers.Dense(32, activation="relu")(x)
    return keras.Model(image, layers.Dense(2, activation="softmax", dtype="float32")(x), name="small")


NETWORKS: tuple[str, ...] = tuple(CLASSIFIERS)
"""Names of the networks."""


def build(name: str, seed: int = 0, size: int | None = None) -> keras.Model:
    """An untrained network.

    Parameters
    ----------
    name : str
        One of :data:`NETWORKS`.
    seed : int
        Decides the initial weights and the dropout.
    size : int
        Side of the patches' cubes [voxel], by default the network's own; of the paper's a multiple of 4.

    Returns
    -------
    keras.Model
        (n, size, 2 size, size, 1) in 0..1 -> (n, 2): probability of no microbleed, of a microbleed.

    Raises
    ------
    UsageError
        If there is no such network.
    """
    if name not in CLASSIFIERS:
        raise UsageError(f"network {name!r} is not known; choose one of {', '.join(NETWORKS)}.")
    keras.utils.set_random_seed(seed)
    return _built(name, seed, size)


def _built(name: str, seed: int, size: int | None = None) -> keras.Model:
    builder: Builder = locate(CLASSIFIERS[name].builder)
    return builder(seed, CLASSIFIERS[name].size if size is None else size)


def live_units(model: keras.Model, patches: NDArray[np.float32], batch: int = 64) -> list[int]:
    """How many units of each hidden dense layer answer to any of these patches.

    A unit behind a ReLU that answers to none learns nothing any more; a layer without a live one makes the network give
    one output for every patch.

    Parameters
    ----------
    model : keras.Model
        From :func:`build` or :func:`load`.
    patches : (n, 16, 32, 16) float32 array
        In 0..1.

    Returns
    -------
    list of int
        In the order of the layers; the output's is not among them.
    """
    dense = [layer.output for layer in model.layers if isinstance(layer, layers.Dense)][:-1]
    inner = keras.Model(model.input, dense)
    greatest = [np.zeros(output.shape[-1]) for output in dense]
    for first in range(0, len(patches), batch):
        answers = inner.predict_on_batch(np.asarray(patches[first : first + batch])[..., None])
        each = answers if len(dense) > 1 else [answers]
        greatest = [np.maximum(old, np.max(new, axis=0)) for old, new in zip(greatest, each, strict=True)]
    return [int((units > 0).sum()) for units in greatest]


def save(model: keras.Model, path: Path) -> None:
    """Write architecture and weights, without the optimizer's state, as a ``.keras`` file."""
    bare = model.__class__.from_config(model.get_config())
    bare.set_weights(model.get_weights())
    bare.save(path)


def load(file: KerasFile) -> keras.Model:
    """A trained network: one of :data:`NETWORKS` with the numbers of a file. Nothing else in the file is used.

    Raises
    ------
    DataError
        If its numbers are not the network's.
    """
    model = _built(file.network, 0)
    if sorted(array.shape for array in file.arrays.values()) != sorted(tuple(w.shape) for w in model.weights):
        raise file.other_numbers()
    with tempfile.TemporaryDirectory(prefix="cmbtk-") as folder:
        copy = Path(folder) / "model.weights.h5"
        copy.write_bytes(file.numbers)  # what was looked at, not what may lie at the path by now
        try:
            model.load_weights(copy)
        except Exception as error:  # Keras documents none
            raise file.other_numbers() from error
    return model


def answers(model: keras.Model) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """What classifies a batch of patches, (n, size, 2 size, size) -> (n,) probability of a microbleed."""
    return lambda patches: np.asarray(model.predict_on_batch(patches[..., None]))[:, 1]
