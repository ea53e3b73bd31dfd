"""The brain that scans are laid on: the MNI152 template as nilearn carries it (ICBM 2009a, nonlinear, T1)."""

from __future__ import annotations

from functools import cache

import numpy as np

from .brain import Brain, coarse
from .registration import check_installed

__all__ = ["template"]


@cache
def template() -> Brain:
    """The template's brain, on coarse voxels.

    Raises
    ------
    MissingError
        Without nilearn.
    """
    check_installed("the MNI152 template")
    from nilearn import datasets

    image, mask = datasets.load_mni152_template(resolution=1), datasets.load_mni152_brain_mask(resolution=1)
    return coarse(np.asarray(image.dataobj, np.float32), np.asarray(mask.dataobj) > 0, image.affine)
