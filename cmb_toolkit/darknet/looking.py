"""What computes a network that looks at images: OpenVINO, straight from cfg and weights, or Keras with its backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..device import importing_openvino, keras_because
from ..errors import UsageError
from ..keras_settings import backend_version, keras_backend
from .cfg import Cfg
from .recipe import Precision
from .weights import Weights

__all__ = ["Looking", "looking"]


@dataclass(frozen=True)
class Looking:
    """What looks.

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
        return f"keras {version('keras')}, {backend} {backend_version(backend)}"

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

            return network.detector(cfg, weights, batch)
        with importing_openvino():
            from . import openvino_network
        if self.precision not in openvino_network.precisions():
            raise UsageError(f"this processor does not compute in {self.precision}. Leave --precision out.")
        return openvino_network.detector(cfg, weights, batch, self.precision)


def looking(precision: Precision = "f32") -> Looking:
    """Choose what looks.

    Raises
    ------
    UsageError
        If another precision than f32 is asked for where OpenVINO does not compute.
    """
    why = keras_because()
    if not why:
        return Looking("openvino", precision)
    if precision != "f32":
        raise UsageError(f"--precision {precision}: OpenVINO computes so, and {why}.")
    return Looking("keras")
