"""Grey values to 0..1 inside the brain, as the networks of both stages take them (paper, section 2.1, equation 2)."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .recipe import Background, Scale

__all__ = ["BACKGROUNDS", "SCALES", "complement", "minmax", "phase_channel", "swi_channel"]

SCALES: tuple[str, ...] = get_args(Scale)
"""How grey values become 0..1, see :func:`swi_channel` and :func:`phase_channel`."""

BACKGROUNDS: tuple[str, ...] = get_args(Background)
"""What the complement makes of the outside of the brain, see :func:`complement`."""

_BRIGHT_PERCENTILE = 99.9

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
    result = np.zeros_like(volume, np.float32)
    if per_slice:
        for k in range(volume.shape[2]):
            result[:, :, k] = minmax(volume[:, :, k : k + 1], mask[:, :, k : k + 1])[:, :, 0]
        return result
    inside = _inside(volume, mask).astype(np.float32)
    if inside.size:
        low, high = inside.min(), inside.max()
        if high > low:
            _as_it_lies(result)[_as_it_lies(mask, result)] = (inside - low) / (high - low)
    return result


def complement(normalised: Float, mask: Mask, *, background: str = "black") -> Float:
    """``1 - I`` inside the mask: the paper's complemented phase, microbleeds dark as on SWI.

    Parameters
    ----------
    normalised : (i, j, k) array
        0..1, 0 outside the mask.
    mask : (i, j, k) bool array
    background : {"black", "white"}
        Outside the mask: 0, so that the background of all channels agrees, or the literal 1 - 0 = 1. The paper masks
        first (section 2.3) and complements then, which would make it white; it does not say which it was.

    Raises
    ------
    UsageError
        If the background is neither.
    """
    if background not in BACKGROUNDS:
        raise UsageError(f"background {background!r} is not known; choose one of {', '.join(BACKGROUNDS)}.")
    result = np.full_like(normalised, background == "white", np.float32)
    return np.subtract(1, normalised, out=result, where=mask)


def swi_channel(swi: Float, mask: Mask, scale: str) -> Float:
    """SWI (or magnitude) in 0..1 inside the brain, 0 outside.

    Parameters
    ----------
    swi, mask : (i, j, k) arrays
    scale : str
        ``paper``: equation 2, minimum to maximum inside the subject's mask. ``slice``: the same for each slice alone.
        ``fixed``: from 0, which is black in every SWI, to the 99.9th percentile inside the mask, brighter voxels at 1:
        a few bright voxels do not darken the subject.

    Raises
    ------
    UsageError
        If the scale is unknown.
    """
    if _known(scale) != "fixed" or not mask.any():
        return minmax(swi, mask, per_slice=scale == "slice")
    bright = float(np.percentile(_inside(swi, mask), _BRIGHT_PERCENTILE))
    if bright <= 0:
        return np.zeros(swi.shape, np.float32)
    return np.where(mask, np.clip(swi / bright, 0, 1), 0).astype(np.float32)


def phase_channel(phase: Float, mask: Mask, scale: str) -> Float:
    """High-passed phase in 0..1 inside the brain, 0 outside.

    Parameters
    ----------
    phase : (i, j, k) array
        Radians, paramagnetic positive.
    mask : (i, j, k) bool array
    scale : str
        ``paper`` and ``slice``: as for :func:`swi_channel`. ``fixed``: -pi to pi, so that 0 rad is 0.5 in every subject
        and the sign that tells iron from calcium keeps its meaning. On HR volumes that is nearly what the paper's
        formula gives, because voxels at the rim reach pi.

    Raises
    ------
    UsageError
        If the scale is unknown.
    """
    if _known(scale) != "fixed":
        return minmax(phase, mask, per_slice=scale == "slice")
    return np.where(mask, np.clip(phase / (2 * np.pi) + 0.5, 0, 1), 0).astype(np.float32)


def _inside(volume: Float, mask: Mask) -> Float:
    """The values inside, in an order that means nothing."""
    inside: Float = _as_it_lies(volume)[_as_it_lies(mask, volume)]
    return inside


def _as_it_lies(array: NDArray[Any], like: NDArray[Any] | None = None) -> NDArray[Any]:
    """With its axes turned, where it lies so in memory, or `like` does: numpy picks values along the last axis."""
    return array.T if (array if like is None else like).flags.f_contiguous else array


def _known(scale: str) -> str:
    if scale not in SCALES:
        raise UsageError(f"scale {scale!r} is not known; choose one of {', '.join(SCALES)}.")
    return scale
