"""A label map: where findings are, for viewers and for people who correct them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ..errors import DataError
from ..recipe import option
from .base import Export

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Labelmap", "spheres"]

_MOST = (1 << 16) - 1


@dataclass(frozen=True)
class Labelmap(Export):
    """A sphere around each finding, on the grid of the scan."""

    name: ClassVar[str] = "labelmap"
    ending: ClassVar[str] = ".nii.gz"

    radius: float = option(
        2.0, "Of labelmap: radius of the sphere that stands for a finding.", unit="mm", above=0, most=50
    )

    def write(self, findings: pd.DataFrame, like: Path, path: Path) -> None:
        from ..io.nifti import read_grid, write_labels

        if len(findings) > _MOST:
            raise DataError(f"{len(findings)} findings; a label map holds {_MOST} at most. Write them as points.")
        grid = read_grid(like)
        try:
            labels = spheres(findings[["x_mm", "y_mm", "z_mm"]], grid.shape, grid.affine, self.radius)
        except DataError as error:
            raise DataError(f"{like}: {error}") from error
        write_labels(path, labels, like)


def spheres(centres_mm: ArrayLike, shape: Sequence[int], affine: ArrayLike, radius_mm: float) -> NDArray[np.uint16]:
    """Number the voxels around points: 1 around the first, 0 where there is none.

    A voxel belongs to a point if its centre is within the radius, and to the first of several; the voxel that holds a
    point is always the point's own, or that of an earlier point in the same voxel.

    Parameters
    ----------
    centres_mm : (n, 3) array-like
        World positions [mm].
    shape, affine
        Of the grid, along the axes of the array that is made.
    radius_mm : float

    Returns
    -------
    array of `shape`

    Raises
    ------
    DataError
        If a point is not in the volume.
    """
    import numpy as np
    from nibabel.affines import apply_affine

    matrix = np.asarray(affine, float)
    centres = np.asarray(centres_mm, float).reshape(-1, 3)
    places = apply_affine(np.linalg.inv(matrix), centres)
    holding = np.rint(places).astype(int)
    lost = ~((holding >= 0) & (holding < np.asarray(shape))).all(axis=1)
    if lost.any():
        at = ", ".join(f"{x:g}" for x in centres[lost][0])
        raise DataError(
            f"a finding at ({at}) mm lies outside this scan. The study's scans were moved or replaced since they were "
            "looked at; run `cmbtk preprocess` and the steps after it again."
        )
    labels = np.zeros(tuple(shape), np.uint16)
    for number, voxel in reversed(list(enumerate(holding, 1))):
        labels[tuple(voxel)] = number
    # how far along each axis a sphere reaches [voxel]
    reach = radius_mm * np.linalg.norm(np.linalg.inv(matrix)[:3, :3], axis=1)
    for number, place in enumerate(places, 1):
        low = np.maximum(np.ceil(place - reach), 0).astype(int)
        high = np.minimum(np.floor(place + reach) + 1, shape).astype(int)
        part = labels[tuple(map(slice, low, high))]
        offsets = np.moveaxis(np.indices(part.shape), 0, -1) + (low - place)
        near = np.linalg.norm(offsets @ matrix[:3, :3].T, axis=-1) <= radius_mm
        part[near & (part == 0)] = number
    return labels
