"""A detector that takes the darkest voxels of the SWI for microbleeds."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cmb_toolkit.stage1.radial_symmetry import local_maxima


@dataclass(frozen=True)
class Darkest:
    """What is darkest in the brain."""

    volumes: ClassVar[tuple[str, ...]] = ("swi",)

    def find(self, volumes, mask, spacing, *, separation_mm, most):
        dark = np.where(mask, volumes["swi"].max() - volumes["swi"], 0)
        return local_maxima(dark, spacing, separation_mm=separation_mm, most=most)
