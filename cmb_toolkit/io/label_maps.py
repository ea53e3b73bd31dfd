"""Label maps: volumes whose voxels say which lesion they belong to, as ITK-SNAP and other programs write them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import DataError
from .nifti import Grid, read_grid
from .nifti_file import open_nifti

__all__ = ["Lesions", "read_lesions"]

_MOST_LESIONS = 2000
_LONGEST_MM = 50.0
"""A label that reaches farther is of something else: a microbleed has 10 mm at most."""

_TOUCHING = np.ones((3, 3, 3), int)


@dataclass(frozen=True)
class Lesions:
    """The lesions of a label map.

    Attributes
    ----------
    grid : Grid
    centres : (n, 3) integer array
        The voxel of each nearest to its centre of mass, along the file's own axes, from 0.
    values : (n,) integer array
        Their labels; 1 where the only one is no whole number.
    """

    grid: Grid
    centres: NDArray[np.int_]
    values: NDArray[np.int_]


def read_lesions(path: Path, by: Literal["component", "value"] = "component") -> Lesions:
    """Read the lesions of a label map, in the order of their labels and of their voxels.

    Parameters
    ----------
    path : Path
        A NIfTI volume of whole numbers, 0 where there is no lesion; or with any one other value inside.
    by : {"component", "value"}
        What a lesion is: voxels of one value that touch by faces, edges or corners; or all voxels of a value.

    Raises
    ------
    MissingError
    DataError
        If it is no label map, or its labels are no lesions.
    """
    grid = read_grid(path)
    if grid.volumes > 1:
        raise DataError(f"{path}: holds {grid.volumes} volumes; a label map is one. Save the one that is meant.")
    data, _ = open_nifti(path).values()
    if data.dtype.kind == "c" or np.isinf(data).any():
        raise DataError(f"{path}: holds complex or infinite values; a label map holds whole numbers. Save it as such.")
    data = np.nan_to_num(data, copy=False)
    values = np.unique(data[data != 0])
    if (len(values) != 1 and not np.array_equal(values, np.rint(values))) or (values < 0).any():
        raise DataError(
            f"{path}: is no label map: it holds {len(values):,} different values from {values[0]:.4g} to "
            f"{values[-1]:.4g}; expected whole numbers, 0 where there is no lesion. Threshold a map of probabilities, "
            "and save that."
        )
    if len(values) > _MOST_LESIONS:
        raise _no_lesions(path, f"{len(values):,} labels")
    codes = np.zeros(data.shape, np.int32)
    inside = data != 0
    codes[inside] = np.searchsorted(values, data[inside]) + 1
    zooms = np.linalg.norm(grid.affine[:3, :3], axis=0)
    centres: list[NDArray[np.int_]] = []
    labels: list[int] = []
    for code, box in enumerate(ndimage.find_objects(codes), 1):
        of_value = codes[box] == code
        parts, count = ndimage.label(of_value, _TOUCHING) if by == "component" else (of_value.astype(np.int32), 1)
        if len(centres) + count > _MOST_LESIONS:
            raise _no_lesions(path, f"more than {_MOST_LESIONS} lesions")
        for part, piece in enumerate(ndimage.find_objects(parts), 1):
            voxels = np.argwhere(parts[piece] == part) + [edge.start for edge in piece] + [edge.start for edge in box]
            if by == "component" and (np.ptp(voxels, axis=0) * zooms).max() > _LONGEST_MM:
                raise _no_lesions(path, f"a label that reaches over more than {_LONGEST_MM:g} mm")
            centres.append(_middle(voxels, zooms))
            labels.append(int(values[code - 1]) if values[code - 1] == np.rint(values[code - 1]) else 1)
    return Lesions(grid, np.array(centres, int).reshape(-1, 3), np.array(labels, int))


def _middle(voxels: NDArray[np.int_], zooms: NDArray[np.float64]) -> NDArray[np.int_]:
    """Of (n, 3) voxels the one nearest to their centre of mass; of several as near the first."""
    away = (((voxels - voxels.mean(axis=0)) * zooms) ** 2).sum(axis=1).round(6)
    nearest: NDArray[np.int_] = voxels[away.argmin()]
    return nearest


def _no_lesions(path: Path, what: str) -> DataError:
    return DataError(
        f"{path}: holds {what}, so it is no map of microbleeds (an image, a mask of the brain, a parcellation?). Give "
        "the label map of the lesions."
    )
