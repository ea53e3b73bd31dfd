"""What a method of stage 1 that learns nothing has to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Finder"]


class Finder(Protocol):
    """Gives candidates from clean scans; a frozen dataclass whose fields, its settings, stand in the provenance.

    Where it is a :class:`cmb_toolkit.recipe.Recipe`, they are options of its command.

    Attributes
    ----------
    volumes : tuple of str
        Which of ``magnitude``, ``phase`` and ``swi`` it looks at; the first has the grid of all.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    volumes: ClassVar[tuple[str, ...]]

    def find(
        self,
        volumes: Mapping[str, NDArray[np.float32]],
        mask: NDArray[np.bool_],
        spacing: Sequence[float],
        *,
        separation_mm: float,
        most: int,
    ) -> tuple[NDArray[np.intp], NDArray[np.floating[Any]]]:
        """Places that may be microbleeds.

        Parameters
        ----------
        volumes : mapping of (i, j, k) arrays
            Those that it looks at, 0 outside the brain.
        mask : (i, j, k) bool array
            The brain.
        spacing : three floats
            Voxel size [mm].
        separation_mm : float
            Of places closer than this [mm] only the strongest is given.
        most : int
            At most so many are given, the strongest.

        Returns
        -------
        (n, 3) integer array, (n,) array
            Voxels i, j, k (0-based), and how much each looks like a microbleed, above 0: more is likelier.
        """
