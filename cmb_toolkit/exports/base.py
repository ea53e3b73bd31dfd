"""What an export has to say: how the findings of one scan become a file.

An export is a recipe with a way to write, in a file of its own, and a line of :mod:`cmb_toolkit.exports.registry`. Its
class is imported to show its options, so that what is heavy is imported where it is used.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from ..recipe import Recipe, option

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Export"]


@dataclass(frozen=True)
class Export(Recipe, ABC):
    """How findings are written, and which.

    Attributes
    ----------
    name : str
        As in the registry.
    ending : str
        Of its files' names, for example ``.nii.gz``.
    """

    name: ClassVar[str]
    ending: ClassVar[str]

    role: Literal["train", "validation", "test", "control"] = option(
        "test", "Whose findings: of the subjects that have this role in the cell's fold."
    )
    all: bool = option(False, "Candidates that stage 2 did not keep as well.")

    @abstractmethod
    def write(self, findings: pd.DataFrame, like: Path, path: Path) -> None:
        """Write the findings of one scan.

        Parameters
        ----------
        findings : DataFrame
            ``id`` (1, 2, ... from the most probable), ``candidate_id``, ``x_mm``, ``y_mm``, ``z_mm`` (world, RAS),
            ``probability``, ``kept``; perhaps without a row, where nothing was found.
        like : Path
            The scan.
        path : Path
            Where to.

        Raises
        ------
        MissingError, DataError
        """
