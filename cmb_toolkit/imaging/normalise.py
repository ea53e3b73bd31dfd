"""Grey values to 0..1 inside the brain, as the paper feeds them to its networks (section 2.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["complement", "minmax"]

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]


def minmax(volume: Float, mask: Mask, *, per_slice: bool = False) -> Float:
    """``(I - min) / (max - min)`` inside the mask, 0 outside.

    Parameters
    ----------
    volume : (i, j, k) array
    mask : (i, j, k) bool array
        Minimum and maximum are taken inside, so that the background does not count.
    per_slice : bool, default=False
        Each slice on its own instead of the whole subject. The paper leaves this open; on phase images of low
        resolution it moves zero phase between 0.36 and 0.62 from slice to slice.

    Returns
    -------
    (i, j, k) float32 array
        0..1; 0 wherever a slice (or volume) is constant or empty inside the mask.
    """
    result = np.zeros(volume.shape, np.float32)
    if per_slice:
        for k in range(volume.shape[2]):
            result[:, :, k] = minmax(volume[:, :, k : k + 1], mask[:, :, k : k + 1])[:, :, 0]
        return result
    inside = volume[mask].astype(np.float32)
    if inside.size:
        low, high = inside.min(), inside.max()
        if high > low:
            result[mask] = (inside - low) / (high - low)
    return result


def complement(normalised: Float, mask: Mask) -> Float:
    """``1 - I`` inside the mask, 0 outside: the paper's complemented phase, microbleeds dark as on SWI.

    Outside stays 0 so that the background of both channels agrees; a literal ``1 - I`` would make it white.
    """
    return np.where(mask, 1 - normalised, 0).astype(np.float32)
