"""The rim of a mask, slice by slice."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["without_rim"]

Mask = NDArray[np.bool_]


def without_rim(mask: Mask, rim_mm: float, zooms: Sequence[float]) -> Mask:
    """The mask less a rim, in-plane only: a slab's end slices are no rim, the borders of a slice are.

    Parameters
    ----------
    mask : (i, j, k) bool array
    rim_mm : float
        Width of the rim [mm].
    zooms : three floats
        Voxel size [mm].
    """
    core = np.zeros_like(mask)
    for k in range(mask.shape[2]):
        plane = np.pad(mask[:, :, k], 1).astype(np.uint8)
        distance = cv2.distanceTransform(plane, cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1]
        core[:, :, k] = distance * min(zooms[:2]) > rim_mm
    return core
