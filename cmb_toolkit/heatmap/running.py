"""A step of a heatmap network's training, and its answers, compiled for Keras's backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backend import COMPILED, ops
from .network import focal_loss

__all__ = ["answers", "stepper"]

Float = NDArray[np.float32]


def stepper(model: Any, optimizer: Any) -> tuple[Callable[[Float, Float, Float], float], Callable[[Float], Float]]:
    """What learns from a batch and gives its loss, and what answers.

    The first takes (n, i, j, k, channels) images, and targets and weights (n, i, j, k, 1).
    """

    def loss(truth: Any, logits: Any) -> Any:
        return focal_loss(truth[..., :1], logits, truth[..., 1:])

    model.compile(optimizer, loss, **COMPILED)

    def learn(image: Float, target: Float, weight: Float) -> float:
        return float(model.train_on_batch(image, np.concatenate([target, weight], -1), return_dict=True)["loss"])

    return learn, answers(model)


def answers(model: Any) -> Callable[[Float], Float]:
    """What gives the probabilities of a batch."""

    def run(image: Float) -> Float:
        logits = np.asarray(ops.convert_to_numpy(model.predict_on_batch(image)), np.float32)
        return np.asarray(1 / (1 + np.exp(-logits)), np.float32)

    return run
