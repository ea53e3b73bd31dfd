"""In which regions the lesions of a scan lie, and whether to believe it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from nibabel.affines import apply_affine
from numpy.typing import NDArray

from ..imaging.brain import WHOLE_HEAD_MM
from ..regions.atlas import mars
from ..regions.brain import Brain
from ..regions.placing import nowhere, placed
from ..regions.registration import Laid, lay
from ..regions.template import template

__all__ = ["LEAST_SIMILARITY", "Located", "located"]

LEAST_SIMILARITY = 0.5
"""Mutual information of scan and template below which they do not lie on each other (docs/regions.md) [nat]."""


@dataclass(frozen=True, eq=False)
class Located:
    """Where the lesions are.

    Attributes
    ----------
    table : DataFrame
        :data:`cmb_toolkit.schema.PLACED`, a row each place.
    laid : Laid or None
        How the scan lies on the template; None where that was not tried.
    doubt : str
        Why no region is known; empty where they are.
    """

    table: pd.DataFrame
    laid: Laid | None
    doubt: str = ""


def located(brain: Brain, world: NDArray[np.float64]) -> Located:
    """Lay a scan on the template and say where places are.

    Parameters
    ----------
    brain : Brain
        Of the scan.
    world : (n, 3) array
        Places [mm].

    Raises
    ------
    MissingError
        Without what the extra `regions` installs.
    """
    nothing = nowhere(len(world))
    if brain.height_mm < WHOLE_HEAD_MM:
        return Located(
            nothing,
            None,
            f"the scan shows {brain.height_mm:.0f} mm of the brain: with less than {WHOLE_HEAD_MM:.0f} mm it cannot be "
            "told how it lies on the template",
        )
    laid = lay(brain, template(), "affine")
    if laid.similarity < LEAST_SIMILARITY:
        return Located(
            nothing,
            laid,
            f"the scan and the template are too little alike ({laid.similarity:.2f} of mutual information, and "
            f"{LEAST_SIMILARITY:.2f} is needed): look at the brain mask, and at which way up the scan's header has it",
        )
    return Located(placed(apply_affine(laid.matrix, world).reshape(-1, 3), mars()), laid)
