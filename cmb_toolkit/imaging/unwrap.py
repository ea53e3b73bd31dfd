"""Phase unwrapping inside a mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy import ndimage
from skimage.restoration import unwrap_phase

from ..errors import DataError

__all__ = ["unwrap_laplacian", "unwrap_path"]

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]


def unwrap_path(phase: Float, mask: Mask) -> Float:
    """Exact unwrapping in three dimensions along a quality-guided path (Herraez 2002, Abdul-Rahman 2007).

    Parameters
    ----------
    phase : (i, j, k) array
        Wrapped phase [rad].
    mask : (i, j, k) bool array

    Returns
    -------
    (i, j, k) float32 array
        The phase plus whole cycles inside the mask, 0 outside.
    """
    box = _box(mask)
    # Voxels at the border of what it is given have a random place in skimage's path, whatever its rng (its issue
    # 7964). A margin of one voxel all around, thrown away again, puts every voxel of the mask inside.
    inside = np.pad(mask[box], 2)
    allowed = ndimage.binary_dilation(inside, np.ones((3, 3, 3), bool))
    part = np.pad(_with_margin(phase, box), 1, mode="edge")
    if part.min() < -np.pi or part.max() > np.pi:  # it expects values of one cycle about 0
        part = np.arctan2(np.sin(part), np.cos(part))
    solved = np.ma.getdata(unwrap_phase(np.ma.array(part, mask=~allowed), rng=0))
    result = np.zeros(phase.shape, np.float32)
    result[box] = np.where(inside, solved, 0)[2:-2, 2:-2, 2:-2]
    return result


def _with_margin(phase: Float, box: tuple[slice, ...]) -> Float:
    """The box and one voxel around it; at the border of the volume its last voxels again."""
    index = [
        np.clip(np.arange(along.start - 1, along.stop + 1), 0, n - 1) for along, n in zip(box, phase.shape, strict=True)
    ]
    return np.asarray(phase[np.ix_(*index)], np.float32)


def unwrap_laplacian(phase: Float, mask: Mask, zooms: Sequence[float]) -> Float:
    """Laplacian unwrapping with mirrored boundaries (Schofield and Zhu, Optics Letters 28:1194, 2003).

    The Laplacian of the true phase is computed from the wrapped one and inverted by cosine transforms. Smooth and
    robust where the exact methods fail, at the price of strong dipoles lowered by about a third. The whole box around
    the mask is solved; what its noise adds inside is smooth, and leaves with the high-pass filter.

    Parameters
    ----------
    phase : (i, j, k) array
        Wrapped phase [rad].
    mask : (i, j, k) bool array
    zooms : three floats
        Voxel size [mm].

    Returns
    -------
    (i, j, k) float32 array
        Unwrapped phase up to a smooth (harmonic) field inside the mask, 0 outside.
    """
    box = _box(mask)
    inside, wrapped = mask[box], phase[box].astype(np.float32)
    symbol = np.zeros(wrapped.shape, np.float32)
    for axis, (n, size) in enumerate(zip(wrapped.shape, zooms, strict=True)):
        along = (2 * np.cos(np.pi * np.arange(n) / n) - 2) / size**2
        symbol += along.astype(np.float32).reshape([-1 if axis == a else 1 for a in range(3)])

    def laplacian(x: Float) -> Float:
        return np.asarray(scipy.fft.idctn(scipy.fft.dctn(x) * symbol), np.float32)

    sine, cosine = np.sin(wrapped), np.cos(wrapped)
    source = cosine * laplacian(sine) - sine * laplacian(cosine)
    symbol[0, 0, 0] = 1
    spectrum = scipy.fft.dctn(source) / symbol
    spectrum[0, 0, 0] = 0
    result = np.zeros(phase.shape, np.float32)
    result[box] = np.where(inside, scipy.fft.idctn(spectrum), 0)
    return result


def _box(mask: Mask) -> tuple[slice, ...]:
    found = ndimage.find_objects(mask.astype(np.uint8))
    if not found:
        raise DataError("the brain mask is empty, so there is no phase to unwrap.")
    box: tuple[slice, ...] = found[0]
    return box
