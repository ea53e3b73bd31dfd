"""What computes a network that looks at images: OpenVINO, straight from cfg and weights, or Keras with its backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..device import computes_bf16, importing_openvino, keras_because
from ..errors import UsageError
from ..keras_settings import backend_version, keras_backend
from .cfg import Cfg
from .recipe import Precision
from .weights import Weights

__all__ = ["Looking", "looking"]


@dataclass(frozen=True)
class Looking:
    """What looks; of Keras also what trains.

    Attributes
    ----------
    package : {"openvino", "keras"}
    precision : {"f32", "bf16"}
    """

    package: Literal["openvino", "keras"]
    precision: Precision = "f32"

    def describe(self) -> str:
        """With versions, for provenance; nothing is imported."""
        if self.package == "openvino":
            return f"openvino {version('openvino')}, {self.precision}"
        backend = keras_backend()
        rough = "" if self.precision == "f32" else f", {self.precision}"
        return f"keras {version('keras')}, {backend} {backend_version(backend)}{rough}"

    def detector(self, cfg: Cfg, weights: Weights, batch: int) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
        """The network, as :func:`cmb_toolkit.darknet.network.detector` gives it.

        Raises
        ------
        MissingError
            If OpenVINO is there and cannot be imported.
        UsageError
            If the processor does not have the precision.
        """
        if self.package == "keras":
            from . import network

            return network.detector(cfg, weights, batch, self.precision)
        with importing_openvino():
            from . import openvino_network
        if self.precision not in openvino_network.precisions():
            raise UsageError(f"this processor does not compute in {self.precision}. Leave --precision out.")
        return openvino_network.detector(cfg, weights, batch, self.precision)


def looking(precision: Precision = "f32", *, to_train: bool = False) -> Looking:
    """Choose what looks, or what trains, which is always Keras.

    Raises
    ------
    UsageError
        If Keras is what computes, and this machine does not compute in that precision.
    """
    if not to_train and not keras_because():
        return Looking("openvino", precision)
    if precision == "bf16" and not computes_bf16():
        raise UsageError(f"this machine does not compute in {precision}. Leave --precision out.")
    return Looking("keras", precision)
