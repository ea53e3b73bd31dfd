"""Marks on a subject's canonical grid: which of his files they count on, and whether they can be where they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from nibabel.orientations import aff2axcodes
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError
from ..io.marks import NEAR_VOXEL
from ..io.nifti import GRID_TOLERANCE, Grid, grids_apart, read_grid
from ..io.orient import canonical_grid, inside
from ..schema import MARKS_ON

__all__ = ["common_grid", "far_from_world", "grid_problem", "mark_problems", "place_marks", "read_grids"]


def read_grids(volumes: Mapping[str, Path]) -> dict[str, Grid]:
    """The grids of a subject's volumes, from their headers: the same voxels, perhaps stored in different orders.

    Raises
    ------
    MissingError, DataError
    """
    grids = {role: read_grid(path) for role, path in volumes.items()}
    first, *others = grids
    for role in others:
        if problem := grid_problem(grids[first], grids[role]):
            raise DataError(f"{volumes[first]} and {volumes[role]}: {problem}")
    return grids


def grid_problem(first: Grid, second: Grid) -> str:
    """What keeps two files from having the same voxels, in whatever order they are stored; empty where nothing does."""
    one, two = canonical_grid(*first[:2]), canonical_grid(*second[:2])
    if one[0] != two[0]:
        return (
            f"shapes {_times(first.shape)} and {_times(second.shape)} disagree. Volumes of a subject must lie on one "
            "grid; resample or export one of them again."
        )
    if not (apart := grids_apart(*one, two[1])) <= GRID_TOLERANCE:
        return (
            f"their corners lie up to {apart:.3g} voxels apart, so their voxels are not in the same places. Export "
            "both from the same scan with the same converter."
        )
    return ""


def common_grid(grids: Mapping[str, Grid]) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """Shape and affine of the canonical voxels that all volumes of a subject have."""
    first = next(iter(grids.values()))
    return canonical_grid(first.shape, first.affine)


def place_marks(
    grids: Mapping[str, Grid], on: str | None, to_canonical: Callable[[Grid], NDArray[np.int_]]
) -> NDArray[np.int_]:
    """Put marks that count the voxels of a file on the canonical grid.

    Parameters
    ----------
    grids : mapping
        Of the subject's volumes, by role.
    on : str or None
        Role of the volume that the marks count on; None: it does not matter, or nobody said.
    to_canonical : callable
        Canonical voxels of the marks, if they count on a grid.

    Raises
    ------
    DataError
        If there is no such volume; or if nobody said which, and it matters: volumes are stored in different orders.
    """
    counted = {role: grid for role, grid in grids.items() if role in MARKS_ON}
    if on is not None:
        if on not in counted:
            raise DataError(f"the marks are said to count on the {on}, and there is none; found {', '.join(counted)}.")
        return to_canonical(counted[on])
    placed = [to_canonical(grid) for grid in counted.values()]
    if any(not np.array_equal(placed[0], other) for other in placed[1:]):
        orders = ", ".join(f"{role} {''.join(aff2axcodes(grid.affine))}" for role, grid in counted.items())
        raise DataError(
            f"the files store their axes in different orders ({orders}), and the marks count the voxels of one of "
            f"them. Say which with --marks-on {'|'.join(counted)}."
        )
    return placed[0]


def mark_problems(where: Sequence[str], voxels: NDArray[np.int_], shape: Sequence[int]) -> Iterator[str]:
    """What is wrong with the marks of one subject; `where` says where each of them stands."""
    seen: dict[tuple[int, ...], str] = {}
    for place, voxel, fits in zip(where, voxels.tolist(), inside(voxels, shape), strict=True):
        if not fits:
            yield (
                f"{place} marks voxel ({', '.join(map(str, voxel))}), outside its volume of {_times(shape)} (i, j, k "
                "from 0, canonical axes). Correct it, or check how the labels count."
            )
        if tuple(voxel) in seen:
            yield f"{place} marks the same voxel as {seen[tuple(voxel)]}. A microbleed is marked once; remove one."
        seen[tuple(voxel)] = place


def far_from_world(
    where: Sequence[str], voxels: NDArray[np.int_], world_mm: ArrayLike, affine: NDArray[np.float64]
) -> Iterator[str]:
    """Which marks are not where their world positions are, of marks that have both; on the canonical grid."""
    inverse = np.linalg.inv(affine)
    positions = np.asarray(world_mm, dtype=float) @ inverse[:3, :3].T + inverse[:3, 3]
    for place, distance in zip(where, np.abs(positions - voxels).max(axis=1), strict=True):
        if not distance <= NEAR_VOXEL:
            yield (
                f"{place} has a voxel i, j, k and a world position x_mm, y_mm, z_mm that lie {distance:.3g} voxels "
                "apart. Keep the columns that are right, and remove the others (of a study's microbleeds.tsv: i, j, k)."
            )


def _times(numbers: Sequence[int]) -> str:
    return " x ".join(map(str, numbers))
