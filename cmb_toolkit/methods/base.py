"""What a method of stage 1 has to say that looks at clean scans, with or without having learned from some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from ..model import OnProgress

__all__ = ["MOST", "Finder", "Learner", "Marked"]

MOST = 3000
"""Candidates of one subject that are kept for a threshold to be chosen, the strongest: three times as many as the
paper's 3D-FRST left."""


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
    ) -> tuple[NDArray[np.integer[Any] | np.floating[Any]], NDArray[np.floating[Any]]]:
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
        (n, 3) array, (n,) array
            Voxels i, j, k (0-based; i and j may lie between voxels, k is a slice), and how much each looks like a
            microbleed, above 0: more is likelier.
        """


@dataclass(frozen=True)
class Marked:
    """A clean scan to learn from.

    Attributes
    ----------
    volumes : mapping of (i, j, k) arrays
        Those that the method looks at.
    mask : (i, j, k) bool array
        The brain.
    spacing : three floats
        Voxel size [mm].
    marks : (n, 3) float array
        Its microbleeds [voxel i, j, k].
    """

    volumes: Mapping[str, NDArray[np.float32]]
    mask: NDArray[np.bool_]
    spacing: tuple[float, float, float]
    marks: NDArray[np.float64]


class Learner(Protocol):
    """Gives candidates once it has learned; a frozen dataclass like :class:`Finder`, whose scores are probabilities.

    Attributes
    ----------
    volumes : tuple of str
        Which of ``magnitude``, ``phase`` and ``swi`` it looks at; the first has the grid of all.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    volumes: ClassVar[tuple[str, ...]]

    def learn(
        self, scans: Iterable[Marked], out: Path, *, checkpoint: Path, key: str, on_progress: OnProgress
    ) -> Mapping[str, Any]:
        """Train a network and write it.

        Parameters
        ----------
        scans : iterable of Marked
            Of the training subjects, read one after the other.
        out : Path
            File of the network.
        checkpoint : Path
            Of an unfinished training, to go on from; may be deleted at any time.
        key : str
            Says what is learned from: a checkpoint with another key is not used.
        on_progress : callable

        Returns
        -------
        mapping
            What to note of the training, JSON-able.

        Raises
        ------
        DataError
            If there is nothing to learn, or nothing was learned.
        """

    def trained(self, network: Path) -> Finder:
        """What looks at scans with a network that :meth:`learn` wrote."""
