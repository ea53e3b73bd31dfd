"""What is found at the marks of one subject: how dark their spots are, and those where they may have been meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..evaluation.mark_evidence import DARK_RANK
from ..imaging.darkness import darkest_neighbours, drops, has_tissue_around, random_spots, ranks, tissue
from ..io.nifti import Grid, Volume
from ..io.recount import Counting, Way, base_step, other_ways

__all__ = ["MarkFacts", "look_at_marks"]

_SPOTS = 2000


@dataclass(frozen=True)
class MarkFacts:
    """What was found at the marks of one subject.

    Attributes
    ----------
    voxels : tuple of (int, int, int)
        The marks inside the volume.
    ranks : tuple of float
        Which share of the brain's spots is as dark as each.
    aloft : tuple of (int, int, int)
        The marks in air, in bone or at the edge of the head.
    offsets : tuple of (int, int, int)
        Which way the middle of each dark spot lies, a voxel at the most, along i, j, k; 1 is towards where the marks
        would move if the first voxel were called by the other number.
    middle_ranks : tuple of float
        The ranks of these middles.
    others : tuple of (Way, tuple of float)
        Other ways of counting, and the marks' ranks by these.
    """

    voxels: tuple[tuple[int, ...], ...] = ()
    ranks: tuple[float, ...] = ()
    aloft: tuple[tuple[int, ...], ...] = ()
    offsets: tuple[tuple[int, ...], ...] = ()
    middle_ranks: tuple[float, ...] = ()
    others: tuple[tuple[Way, tuple[float, ...]], ...] = ()

    @property
    def dark(self) -> int:
        """How many marks are on dark spots."""
        return sum(rank <= DARK_RANK for rank in self.ranks)


def look_at_marks(
    structure: Volume, grids: Mapping[str, Grid], marks: NDArray[np.int_], counting: Counting
) -> MarkFacts:
    """Look at the marks of one subject on its magnitude or SWI.

    Parameters
    ----------
    structure : Volume
    grids : mapping
        Of all files of the subject that marks may count on, by role: the same voxels, perhaps stored in another order.
    marks : (n, 3) array
        Inside the volume, on canonical axes.
    counting : Counting
    """
    if not len(marks):
        return MarkFacts()
    data, zooms = structure.data, structure.zooms
    within = tissue(data, zooms)
    spots = random_spots(within, zooms, _SPOTS, np.random.default_rng(0))
    usual = drops(data, within, spots, zooms)
    offsets = darkest_neighbours(data, marks, zooms)
    files = {role: (grid.shape, grid.affine) for role, grid in grids.items()}
    shape, affine = files.pop(counting.on if counting.on in files else next(iter(files)))
    return MarkFacts(
        _tuples(marks),
        tuple(ranks(data, within, marks, zooms, usual).tolist()),
        _tuples(marks[~has_tissue_around(within, marks, zooms)]),
        _tuples(offsets * base_step(shape, affine, counting)),
        tuple(ranks(data, within, marks + offsets, zooms, usual).tolist()),
        tuple(
            (way, tuple(ranks(data, within, voxels, zooms, usual).tolist()))
            for way, voxels in other_ways(marks, shape, affine, counting, files)
        ),
    )


def _tuples(voxels: NDArray[np.int_]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(voxel) for voxel in voxels.tolist())
