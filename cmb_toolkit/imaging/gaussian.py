"""In-plane Gaussian smoothing in millimetres, with a mask that counts."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["in_plane_mean"]

Float = NDArray[np.float32]


def in_plane_mean(
    volume: NDArray[np.float32], weight: NDArray[np.float32], zooms: Sequence[float], sigma_mm: float
) -> Float:
    """Weighted Gaussian mean of each slice: ``G(weight volume) / G(weight)``.

    Parameters
    ----------
    volume, weight : (i, j, k) arrays
        A weight of 0 takes a voxel out; the mean is 0 where no weight is near.
    zooms : three floats
        Voxel size [mm].
    sigma_mm : float
        Standard deviation [mm]; the kernel reaches three of them.
    """
    rows, columns = (_kernel(sigma_mm / size) for size in zooms[:2])
    mean = np.empty(volume.shape, np.float32)
    for k in range(volume.shape[2]):
        w = np.ascontiguousarray(weight[:, :, k], np.float32)
        v = np.ascontiguousarray(volume[:, :, k], np.float32) * w
        above, below = (cv2.sepFilter2D(x, -1, columns, rows, borderType=cv2.BORDER_CONSTANT) for x in (v, w))
        mean[:, :, k] = above / np.maximum(below, np.float32(1e-3))
    return mean


def _kernel(sigma: float) -> Float:
    reach = max(1, int(3 * sigma + 0.5))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.asarray(kernel / kernel.sum(), np.float32)
