"""Which brain mask to take: that of the fraction that was asked for, or a steadier one where it cannot be a brain's.

BET's fractional threshold suits most heads at 0.5. Where skull is bright, or neck and face are in the field of view,
the surface leaks there, and the volume shows it. A mask that ends at the brain's own edge hardly changes over a range
of fractions; one that leaks, or that eats into the brain, does. So other fractions are tried, and the middle of the
longest range over which neighbours agree is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

__all__ = ["BRAIN_ML", "WHOLE_HEAD_MM", "Brain", "find_brain", "too_large", "volume_ml"]

Mask = NDArray[np.bool_]

WHOLE_HEAD_MM = 110.0
"""Extent along the slice axis from which a volume is taken to hold a whole head."""

BRAIN_ML = (600.0, 2200.0)
"""What the inside of a skull can hold [ml]."""

_USUAL_ML = (1000.0, 1900.0)  # beyond, a leak is likelier than so large a head: it is held against a neighbour
_STEP = 0.05
_FRACTIONS = (0.1, 0.9)
_AGREE = 0.97  # Dice of the masks of neighbouring fractions: 0.99 on the brain's edge, 0.91 to 0.97 where one leaks
_FEWEST = 3  # masks that agree one with the next


@dataclass(frozen=True)
class Brain:
    """A brain mask and how it was chosen.

    Attributes
    ----------
    mask : (i, j, k) bool array
    fraction : float
        At which it was found.
    volume_ml : float
    asked_ml : float or None
        Volume at the fraction that was asked for, where that mask was given up; None where it was taken.
    doubt : {"", "large", "small"}
        What is wrong with the volume still, where no other fraction gave a better mask.
    """

    mask: Mask
    fraction: float
    volume_ml: float
    asked_ml: float | None = None
    doubt: str = ""


def find_brain(extract: Callable[[float], Mask], zooms: Sequence[float], fraction: float) -> Brain:
    """Extract the brain, at another fraction where the one that was asked for gives no plausible mask.

    Only of whole heads is it known what is plausible; the mask of a slab is taken as it is.

    Parameters
    ----------
    extract : callable
        Gives the mask at a fraction; a larger fraction, a smaller brain.
    zooms : three floats
        Voxel size [mm].
    fraction : float
        The one that was asked for, 0..1.

    Raises
    ------
    DataError
        If nothing is found at the fraction that was asked for.
    """
    mask = extract(fraction)
    volume = volume_ml(mask, zooms)
    if mask.shape[2] * zooms[2] < WHOLE_HEAD_MM or _USUAL_ML[0] <= volume <= _USUAL_ML[1]:
        return Brain(mask, fraction, volume)
    large = volume > _USUAL_ML[1]
    tried = [(fraction, mask), *_next(extract, fraction, large)]
    possible = BRAIN_ML[0] <= volume <= BRAIN_ML[1]
    if possible and len(tried) > 1 and _dice(mask, tried[1][1]) >= _AGREE:
        return Brain(mask, fraction, volume)
    while len(tried) > 1 and (more := _next(extract, tried[-1][0], large)):
        tried += more
    steady = _steadiest(tried, zooms)
    if steady is None:
        return Brain(mask, fraction, volume, doubt="large" if large else "small")
    found, other = steady
    if found == fraction:
        return Brain(mask, fraction, volume)
    return Brain(other, found, volume_ml(other, zooms), asked_ml=volume)


def too_large(mask: Mask, zooms: Sequence[float]) -> bool:
    """Whether a mask, of a whole head or not, holds more than any brain."""
    return volume_ml(mask, zooms) > BRAIN_ML[1]


def volume_ml(mask: Mask, zooms: Sequence[float]) -> float:
    """Volume of a mask [ml]."""
    return float(mask.sum() * np.prod(np.asarray(zooms, float)) / 1000)


def _next(extract: Callable[[float], Mask], fraction: float, large: bool) -> list[tuple[float, Mask]]:
    """The mask one step on, towards a smaller brain if this one is large; empty where there is none."""
    other = round(fraction + (_STEP if large else -_STEP), 4)
    if not _FRACTIONS[0] <= other <= _FRACTIONS[1]:
        return []
    try:
        return [(other, extract(other))]
    except DataError:
        return []


def _steadiest(tried: Sequence[tuple[float, Mask]], zooms: Sequence[float]) -> tuple[float, Mask] | None:
    """The middle of the longest row of plausible masks that agree one with the next."""
    rows: list[list[tuple[float, Mask]]] = [[]]
    for candidate in tried:
        plausible = BRAIN_ML[0] <= volume_ml(candidate[1], zooms) <= BRAIN_ML[1]
        if not plausible or (rows[-1] and _dice(rows[-1][-1][1], candidate[1]) < _AGREE):
            rows.append([])
        if plausible:
            rows[-1].append(candidate)
    longest = max(rows, key=len)
    return longest[len(longest) // 2] if len(longest) >= _FEWEST else None


def _dice(one: Mask, other: Mask) -> float:
    return float(2 * (one & other).sum() / max(one.sum() + other.sum(), 1))
