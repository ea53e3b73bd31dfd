"""What a hit rule says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .pairing import one_to_one, steps_one_to_one

__all__ = ["Rule", "distances", "numbers"]


@dataclass(frozen=True)
class Rule(ABC):
    """A hit rule; its fields are its limits.

    Attributes
    ----------
    name : str
        Its name in :data:`cmb_toolkit.evaluation.rules.RULES`.
    columns : tuple of str
        What it looks at in the tables of candidates and of microbleeds.
    counts_duplicates : bool
        Whether a further candidate at a microbleed is a duplicate, counted apart, and not a false positive.
    """

    name: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]
    counts_duplicates: ClassVar[bool] = False

    @property
    @abstractmethod
    def label(self) -> str:
        """The rule in words, to stand beside every number made with it."""

    @property
    def reach_mm(self) -> float | None:
        """How far from a microbleed a candidate may lie [mm]; None: the rule does not go by a distance."""
        return None

    def widened(self, further_mm: float) -> Rule | None:
        """The same rule with so much more room around every microbleed [mm], or None if it goes by no distance.

        Stage 2 is not taught what is a hit by that only.
        """
        return None

    @abstractmethod
    def closeness(self, candidates: pd.DataFrame, truth: pd.DataFrame) -> NDArray[np.float64]:
        """How near every candidate is to every microbleed.

        Parameters
        ----------
        candidates, truth : DataFrame
            Rows of ONE subject, n and m, with the rule's columns.

        Returns
        -------
        (n, m) array
            0 where the pair does not count as a hit, otherwise in 0..1 and greater for nearer.
        """

    def pair(self, near: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows and columns of `near` (closeness) that are hits; by default paired one to one."""
        return one_to_one(near)

    def steps(self, near: NDArray[np.float64]) -> NDArray[np.int_]:
        """What each row of `near` adds when the rows come in one by one.

        Returns
        -------
        (n, 3) array
            Microbleeds found, false positives, duplicates; the sums are what :meth:`pair` gives for the rows so far.
        """
        return steps_one_to_one(near)


def numbers(frame: pd.DataFrame, columns: Sequence[str]) -> NDArray[np.float64]:
    """(n, columns) values."""
    values: NDArray[np.float64] = frame[list(columns)].to_numpy(float)
    return values


def distances(points: NDArray[np.float64], marks: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, m) distances between (n, 3) and (m, 3) points."""
    offset = points[:, None] - marks[None]
    distance: NDArray[np.float64] = np.sqrt((offset**2).sum(axis=2))
    return distance
