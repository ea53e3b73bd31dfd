"""The surroundings of a lesion on SWI, phase and minimum-intensity projection, with the lesion in the middle."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from ..planes import grey, picture_address, radiological
from .content import Shown
from .grid import Window, zooms

__all__ = ["FIELD_MM", "Crop", "crops", "ring_radius"]

FIELD_MM = 30.0
"""Side of a crop: a microbleed has 10 mm at most, so that its surroundings show whether it is a vessel."""

_MOST_PIXELS = 80
_LEAST_RING_MM = 3.6
_ROOM_MM = 2.2


@dataclass(frozen=True)
class Crop:
    """A picture around a lesion. The lesion is at 0, 0; x to the patient's left, y to posterior.

    Attributes
    ----------
    volume : str
        ``swi``, ``phase`` or ``minip``.
    address : str
        PNG.
    x, y, width, height : float
        Where the picture lies [mm].
    """

    volume: str
    address: str
    x: float
    y: float
    width: float
    height: float


def crops(shown: Shown, windows: Mapping[str, Window], voxel: tuple[float, float, float]) -> tuple[Crop, ...]:
    """Cut a little more than :data:`FIELD_MM` on the slice that is nearest to a place.

    Parameters
    ----------
    shown : Shown
    windows : mapping
        Volume -> values that are black and white.
    voxel : (float, float, float)
        i, j, k on the shown grid.

    Returns
    -------
    tuple of Crop
        Of each volume; empty where the place lies beyond the volume.
    """
    k = round(voxel[2])
    if not 0 <= k < shown.mask.shape[2]:
        return ()
    ranges = []
    for place, zoom, n in zip(voxel[:2], zooms(shown), shown.mask.shape, strict=False):
        half = math.ceil(FIELD_MM / 2 / zoom + 0.5)
        ranges.append((max(0, round(place) - half), min(n, round(place) + half + 1)))
    if any(low >= high for low, high in ranges):
        return ()
    mm_i, mm_j, _ = zooms(shown)
    (i, i_end), (j, j_end) = ranges
    # the last voxel of either axis is at the left or the top of the picture, its outer edge half a voxel further
    frame = ((voxel[0] - i_end + 0.5) * mm_i, (voxel[1] - j_end + 0.5) * mm_j, (i_end - i) * mm_i, (j_end - j) * mm_j)
    made = []
    for name, window in windows.items():
        picture = grey(radiological(getattr(shown, name)[i:i_end, j:j_end, k]), window)
        size = tuple(min(n, _MOST_PIXELS) for n in picture.shape)
        if size != picture.shape:
            picture = np.asarray(cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)
        made.append(Crop(name, picture_address(picture), *(round(value, 3) for value in frame)))
    return tuple(made)


def ring_radius(diameter_mm: float) -> float:
    """Radius of a ring that leaves the lesion free [mm]."""
    known = 0.0 if math.isnan(diameter_mm) else diameter_mm
    return round(max(_LEAST_RING_MM, known / 2 + _ROOM_MM), 1)
