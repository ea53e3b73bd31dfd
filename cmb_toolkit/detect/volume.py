"""A scan on a model's grid: clean volumes on its voxels, and its brain in the middle of its plane."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from nibabel.affines import voxel_sizes
from numpy.typing import NDArray

from ..imaging.clean import Acquired, Cleaned, clean
from ..imaging.recipe import Cleaning
from ..imaging.regrid import nearest, regrid

__all__ = ["OnGrid", "in_plane", "on_grid"]

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class OnGrid:
    """A clean scan.

    Attributes
    ----------
    cleaned : Cleaned
    affine : (4, 4) array
        From its voxels to world coordinates [mm].
    resampled : bool
        Whether these are other voxels than the scan's own.
    head : (i, j, k) array or None
        What shows the anatomy, with all that is around the brain.
    """

    cleaned: Cleaned
    affine: NDArray[np.float64]
    resampled: bool
    head: NDArray[np.float32] | None = None

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size [mm]."""
        i, j, k = (float(side) for side in voxel_sizes(self.affine))
        return i, j, k


def on_grid(
    scan: Acquired,
    affine: NDArray[np.float64],
    voxel_mm: Sequence[float],
    recipe: Cleaning,
    mask: Mask | None = None,
    *,
    sign_is_known: bool = False,
    extract: tuple[str, Callable[[float], Mask]] | None = None,
) -> OnGrid:
    """Clean a scan on voxels of given sides.

    Parameters
    ----------
    scan, recipe, mask, sign_is_known, extract
        As :func:`cmb_toolkit.imaging.clean.clean` takes them; `extract` gives a mask on the scan's own voxels.
    affine : (4, 4) array
        Of the scan's own voxels [mm].
    voxel_mm : three floats
        Where they are the scan's own, nothing is resampled.

    Raises
    ------
    UnusableError
    """
    if np.allclose(scan.spacing, voxel_mm, rtol=1e-6):
        done = clean(scan, recipe, mask, sign_is_known=sign_is_known, extract=extract)
        return OnGrid(done, affine, False, scan.structure)
    onto = regrid(scan, affine, voxel_mm, recipe)
    shape = onto.scan.phase.shape

    def carried(given: Mask) -> Mask:
        return nearest(given, affine, shape, onto.affine)

    other = None
    if extract is not None:
        name, program = extract
        other = (name, lambda fraction: carried(program(fraction)))
    done = clean(
        onto.scan,
        replace(recipe, phase_range=None, fix_ge_phase=False),
        None if mask is None else carried(mask),
        sign_is_known=sign_is_known,
        extract=other,
    )
    if onto.scale is not None:
        done.phase_unit = onto.scale.unit
        done.notes += [("phase", warning) for warning in onto.scale.warnings]
    return OnGrid(done, onto.affine, True, onto.scan.structure)


def in_plane(
    volumes: dict[str, NDArray[np.float32]], mask: Mask, matrix: Sequence[int]
) -> tuple[dict[str, NDArray[np.float32]], Mask, NDArray[np.intp], bool]:
    """Cut or pad the planes of volumes to a matrix: around their middle, moved as little as brings the brain in.

    Parameters
    ----------
    volumes : dict of (i, j, k) arrays
    mask : (i, j, k) bool array
        The brain.
    matrix : two ints
        Voxels along i and j.

    Returns
    -------
    volumes, mask
        Of shape (\\*matrix, k); 0 where they reach beyond.
    first : (3,) array
        Voxel of the old volumes at index 0, 0, 0 of the new ones.
    whole : bool
        Whether all of the brain is in.
    """
    first, whole = np.zeros(3, np.intp), True
    for axis, size in enumerate(matrix):
        n = mask.shape[axis]
        used = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        start = (n - size) // 2 if n >= size else -((size - n) // 2)
        low, high = int(used[-1]) + 1 - size, int(used[0])
        whole &= low <= high
        first[axis] = min(max(start, low), high) if low <= high else (int(used[0]) + int(used[-1]) + 1 - size) // 2
    cut = {name: _window(volume, first, matrix) for name, volume in volumes.items()}
    return cut, _window(mask, first, matrix), first, whole


def _window(volume: NDArray[Any], first: NDArray[np.intp], matrix: Sequence[int]) -> NDArray[Any]:
    shape = (*matrix, volume.shape[2])
    low, high = np.maximum(first, 0), np.minimum(first + shape, volume.shape)
    result = np.zeros(shape, volume.dtype, order="F")  # it is looked at slice by slice
    inner = tuple(slice(a - f, b - f) for a, b, f in zip(low, high, first, strict=True))
    result[inner] = volume[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    return result
