"""The grid of a subject's preprocessed volumes, and how its planes become network images."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingError
from ..imaging.frame import make_frame
from ..imaging.recipe import Mode
from ..io.nifti import read_grid
from ..io.orient import canonical_grid
from ..model import IMAGE_SIZE, Frame
from .layout import Study

__all__ = ["Geometry", "read_geometry"]


class Geometry(NamedTuple):
    """The grid of a subject's preprocessed volumes, on canonical axes.

    Attributes
    ----------
    shape : (int, int, int)
        Voxels along i, j, k.
    affine : (4, 4) array
        From voxel indices to world coordinates [mm].
    frame : Frame
        From the plane to the network image.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    frame: Frame


def read_geometry(study: Study, subject: str, *, size: int = IMAGE_SIZE, mode: Mode = "auto") -> Geometry:
    """Grid and frame of a subject, from the header of the preprocessed SWI.

    Raises
    ------
    MissingError
        If the subject is not preprocessed.
    """
    path = study.swi(subject)
    if not path.is_file():
        raise MissingError(f"{path}: not found. Run `cmbtk preprocess` on this study first.")
    grid = read_grid(path)
    shape, affine = canonical_grid(grid.shape, grid.affine)
    return Geometry(shape, affine, make_frame(shape[:2], size, mode))
