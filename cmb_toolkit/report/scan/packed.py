"""The SWI as the page's viewer takes it: the brain's box in 8 bits, made smaller in the plane until it fits."""

from __future__ import annotations

import base64
import gzip
from dataclasses import dataclass

import cv2
import numpy as np

from ..planes import grey, radiological
from .content import Shown
from .grid import Box, Window, brain_box, slice_number, zooms

__all__ = ["MOST_BYTES", "Packed", "pack"]

MOST_BYTES = 1_750_000
"""Length of the volume in the page."""

_MOST_VOXELS = 2_100_000  # at most so many fit anyway; more would only be tried in vain
_LEVELS = 0xFE  # the last bit is noise, and costs an eighth of the page
_TIMES_WHITE = 1.25  # headroom above what is white at first, for other windows


@dataclass(frozen=True)
class Packed:
    """A volume of rows from anterior, columns from the patient's right, slices from below.

    Attributes
    ----------
    data : str
        base64 of gzip of one byte a voxel, columns first; 0 outside the brain.
    size : (int, int, int)
        Columns, rows, slices.
    mm : (float, float, float)
        Size of a voxel.
    white : float
        The byte that is white at first.
    slices : tuple of int
        What viewers of the file call each.
    world : (3, 4) list
        From column, row, slice (whole numbers at centres) to RAS [mm].
    box : Box
        What of the shown grid it is.
    """

    data: str
    size: tuple[int, int, int]
    mm: tuple[float, float, float]
    white: float
    slices: tuple[int, ...]
    world: list[list[float]]
    box: Box

    def place(self, voxel: tuple[float, float, float]) -> list[float]:
        """Column, row, slice of a voxel of the shown grid."""
        box = self.box
        column = (box.high[0] - 0.5 - voxel[0]) * self.size[0] / box.size[0] - 0.5
        row = (box.high[1] - 0.5 - voxel[1]) * self.size[1] / box.size[1] - 0.5
        return [round(float(value), 2) for value in (column, row, voxel[2] - box.low[2])]


def pack(shown: Shown, window: Window) -> Packed:
    """Cut, shrink by area means, and press together; equal volumes give equal bytes.

    Parameters
    ----------
    shown : Shown
    window : (float, float)
        Values that are black and white at first.
    """
    box = brain_box(shown)
    shape = box.size
    voxels = float(_MOST_VOXELS)
    while True:
        factor = min(1.0, (voxels / np.prod(shape)) ** 0.5)
        size = (max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor)), shape[2])
        data = base64.b64encode(gzip.compress(_bytes(shown, box, size, window), 6, mtime=0)).decode("ascii")
        if len(data) <= MOST_BYTES:
            break
        voxels = 0.95 * MOST_BYTES / len(data) * min(voxels, float(np.prod(size)))
    steps = [n / new for n, new in zip(shape, size, strict=True)]
    mm = zooms(shown)
    return Packed(
        data,
        size,
        (mm[0] * steps[0], mm[1] * steps[1], mm[2]),
        round(255 / _TIMES_WHITE),
        tuple(slice_number(shown, k) for k in range(box.low[2], box.high[2])),
        _world(shown, box, steps),
        box,
    )


def _bytes(shown: Shown, box: Box, size: tuple[int, int, int], window: Window) -> bytes:
    low, high = window
    wide = (low, low + _TIMES_WHITE * (high - low))
    volume = np.empty((size[2], size[1], size[0]), np.uint8)
    for n, k in enumerate(range(box.low[2], box.high[2])):
        area = (*box.plane, k)
        plane = np.ascontiguousarray(radiological(shown.swi[area]), np.float32)
        inside = np.ascontiguousarray(radiological(shown.mask[area]), np.float32)
        if plane.shape != (size[1], size[0]):
            plane, inside = (
                np.asarray(cv2.resize(each, size[:2], interpolation=cv2.INTER_AREA), np.float32)
                for each in (plane, inside)
            )
        # 0 is outside; within the brain the darkest is 2
        volume[n] = np.where(inside >= 0.5, np.maximum(grey(plane, wide) & _LEVELS, 2), 0)
    return volume.tobytes()


def _world(shown: Shown, box: Box, steps: list[float]) -> list[list[float]]:
    """i = high - 0.5 - (column + 0.5) * step, j alike from the row, k = low + slice."""
    turned = np.array(
        [
            [-steps[0], 0, 0, box.high[0] - 0.5 - 0.5 * steps[0]],
            [0, -steps[1], 0, box.high[1] - 0.5 - 0.5 * steps[1]],
            [0, 0, 1, box.low[2]],
            [0, 0, 0, 1],
        ]
    )
    return [[round(float(value), 5) for value in row] for row in (shown.affine @ turned)[:3]]
