"""The fast radial symmetry transform, in 3D the paper's rival (Table 9): candidates are what is round and dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ..stage1.recipe import RadialSymmetry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Frst", "PlanarFrst"]


@dataclass(frozen=True)
class Frst(RadialSymmetry):
    """Local maxima of the radial symmetry of the SWI."""

    volumes: ClassVar[tuple[str, ...]] = ("swi",)
    planar: ClassVar[bool] = False

    def find(
        self,
        volumes: Mapping[str, NDArray[np.float32]],
        mask: NDArray[np.bool_],
        spacing: Sequence[float],
        *,
        separation_mm: float,
        most: int,
    ) -> tuple[NDArray[np.intp], NDArray[np.floating[Any]]]:
        """The strongest maxima and their radial symmetry."""
        from ..stage1.radial_symmetry import local_maxima, radial_symmetry  # its options are shown without numpy

        scores = radial_symmetry(volumes["swi"], mask, spacing, self, planar=self.planar)
        return local_maxima(scores, spacing, separation_mm=separation_mm, most=most)


@dataclass(frozen=True)
class PlanarFrst(Frst):
    """The same in each slice by itself; of slices above each other the best is kept."""

    planar: ClassVar[bool] = True
