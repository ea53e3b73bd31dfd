"""What classifies patches with a trained network: OpenVINO, or Keras with its backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..classifiers import CLASSIFIERS
from ..device import importing_openvino, keras_because, looked_by
from .keras_file import KerasFile, read_network

__all__ = ["Looking", "looking"]

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Looking:
    """A network from its file, and what computes it.

    Attributes
    ----------
    file : KerasFile
    package : {"openvino", "keras"}
    engine : str
        The same with versions, for provenance.
    """

    file: KerasFile
    package: Literal["openvino", "keras"]
    engine: str = ""

    @property
    def size(self) -> int:
        """Side of its patches [voxel]."""
        return CLASSIFIERS[self.file.network].size

    def classifier(self) -> Callable[[Array], Array]:
        """The network: (n, size, 2 size, size) patches in 0..1 -> (n,) probability of a microbleed.

        Raises
        ------
        MissingError
            If OpenVINO is there and cannot be imported.
        DataError
            If the numbers of the file are not its network's.
        """
        if self.package == "keras":
            from . import networks

            return networks.answers(networks.load(self.file))
        with importing_openvino():
            from ..openvino_layers import Numbers
            from . import openvino_network
        try:
            return openvino_network.classifier(self.file.network, Numbers(self.file.of_kind()))
        except ValueError as error:
            raise self.file.other_numbers() from error


def looking(path: Path) -> Looking:
    """Read a trained network, and choose what computes it.

    Raises
    ------
    MissingError, DataError
        As :func:`cmb_toolkit.stage2.keras_file.read_network`.
    """
    file = read_network(path)
    known = bool(CLASSIFIERS[file.network].openvino)
    return Looking(file, "openvino" if known and not keras_because() else "keras", looked_by(openvino=known))
