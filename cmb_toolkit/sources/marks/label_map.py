"""Lesions of a label map, on the scan's own grid."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ...io.label_maps import read_lesions
from ...schema import VOXEL
from .base import MarkOptions, Reading

__all__ = ["read"]


def read(path: Path, options: MarkOptions) -> Reading:
    """Read a label map; each lesion is marked at its voxel nearest to the centre.

    Raises
    ------
    MissingError, DataError
    """
    lesions = read_lesions(path, options.label_map)
    points = pd.DataFrame(lesions.centres, columns=[*VOXEL])
    points["where"] = [f"{path}: lesion {n} (label {value})" for n, value in enumerate(lesions.values.tolist(), 1)]
    what = "a connected component" if options.label_map == "component" else "the voxels of a value"
    return Reading(f"label map, a lesion is {what}", points, grid=lesions.grid)
