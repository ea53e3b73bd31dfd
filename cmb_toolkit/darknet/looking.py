"""What computes a network that looks at images: OpenVINO, or Keras with its backend.

On processors OpenVINO takes the network straight from cfg and weights, starts in a fraction of the time that a backend
of Keras takes, needs half its memory, and is as fast or faster (docs/darknet.md). So it is taken wherever it is
installed, unless Keras computes on a GPU or ``KERAS_BACKEND`` says what is to compute.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..device import on_gpu
from ..errors import MissingError, UsageError
from ..keras_settings import backend_version, is_there, keras_backend
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
        try:
            from . import openvino_network
        except ImportError as error:
            raise MissingError(
                f"openvino cannot be imported ({error}). Install it again, or remove it: `pip uninstall openvino`."
            ) from error
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
    why = _keras_because()
    if not why:
        return Looking("openvino", precision)
    if precision != "f32":
        raise UsageError(f"--precision {precision}: OpenVINO computes so, and {why}.")
    return Looking("keras")


def _keras_because() -> str:
    """Why Keras looks; empty if OpenVINO does."""
    if not is_there("openvino"):
        return "it is not installed: pip install openvino"
    if os.environ.get("KERAS_BACKEND"):
        return "KERAS_BACKEND is set: unset it"
    return "here Keras computes on a GPU" if on_gpu() else ""
