"""In-plane Gaussian smoothing in millimetres, with a mask that counts: a local mean and a local plane."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["in_plane_mean", "in_plane_trend"]

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]

_ALL_INSIDE = 1 - 1e-6  # share of a kernel's weight from which on all voxels in its reach are taken to count
_LINE = 1e-6  # variance [kernel widths squared] that only rounding has: the voxels around lie in one line


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


def in_plane_trend(
    volume: NDArray[np.float32], weight: NDArray[np.float32], zooms: Sequence[float], sigma_mm: float
) -> Float:
    """Value of the plane ``a + b x + c y`` that fits a slice best around each voxel, with Gaussian weights.

    Unlike a mean it follows a slope up to the edge of what counts, where the voxels around lie all to one side: a mean
    there is that of another place. Where all voxels around have weight 1 the two are the same. (Normalised convolution
    of first order: Knutsson and Westin, CVPR 1993.)

    Parameters
    ----------
    volume, weight : (i, j, k) arrays
        A weight of 0 takes a voxel out, 1 is a full one.
    zooms : three floats
        Voxel size [mm].
    sigma_mm : float
        Standard deviation of the Gaussian [mm]; the kernel reaches three of them.

    Returns
    -------
    (i, j, k) float32 array
        0 where a voxel has no weight.
    """
    rows, columns = (_moments(sigma_mm / size) for size in zooms[:2])
    trend = np.zeros(volume.shape, np.float32)
    for k in range(volume.shape[2]):
        counts = weight[:, :, k] > 0
        found = ndimage.find_objects(counts.astype(np.uint8))
        if found:
            box, inside = found[0], counts[found[0]]
            fit = _trend(volume[:, :, k][box], weight[:, :, k][box], inside, rows, columns)
            trend[:, :, k][box][inside] = fit[inside]
    return trend


def _trend(
    plane: NDArray[np.float32],
    weight: NDArray[np.float32],
    inside: Mask,
    rows: Sequence[Float],
    columns: Sequence[Float],
) -> Float:
    """One slice: weighted least squares from the Gaussian moments of the weight (m) and of the values (u)."""
    level = plane[inside].mean(dtype=np.float64).astype(np.float32)  # small numbers round less
    counted = weight.astype(np.float32)
    m_, m_y, m_yy = (_along(counted, 1, kernel) for kernel in columns)
    u_, u_y = (_along(np.where(inside, plane - level, 0) * counted, 1, kernel) for kernel in columns[:2])
    m, mean = _along(m_, 0, rows[0]), _along(u_, 0, rows[0])
    near = inside & (m < _ALL_INSIDE)

    def at(image: Float, kernel: Float) -> NDArray[np.float64]:
        return np.asarray(_along(image, 0, kernel)[near], np.float64) / m[near]

    x, y = at(m_, rows[1]), at(m_y, rows[0])  # where the voxels around lie on average [kernel widths]
    xx, yy, xy = at(m_, rows[2]) - x * x + _LINE, at(m_yy, rows[0]) - y * y + _LINE, at(m_y, rows[1]) - x * y
    u = mean[near] / m[near]
    ux, uy = at(u_, rows[1]) - x * u, at(u_y, rows[0]) - y * u
    lean = (x * (yy * ux - xy * uy) + y * (xx * uy - xy * ux)) / (xx * yy - xy * xy)
    mean[near] = u - lean
    return np.asarray(mean + level, np.float32)


def _along(image: Float, axis: int, kernel: Float) -> Float:
    """Correlation with a kernel along one axis; 0 beyond the border."""
    one = np.ones(1, np.float32)
    first, second = (one, kernel) if axis == 0 else (kernel, one)
    return np.asarray(cv2.sepFilter2D(image, -1, first, second, borderType=cv2.BORDER_CONSTANT), np.float32)


def _kernel(sigma: float) -> Float:
    reach = max(1, int(3 * sigma + 0.5))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.asarray(kernel / kernel.sum(), np.float32)


def _moments(sigma: float) -> tuple[Float, Float, Float]:
    """The kernel times 1, d and d^2, d the distance in kernel widths."""
    kernel = _kernel(sigma)
    reach = len(kernel) // 2
    distance = (np.arange(-reach, reach + 1) / sigma).astype(np.float32)
    return kernel, kernel * distance, kernel * distance**2
