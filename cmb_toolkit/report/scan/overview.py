"""The whole brain at a glance: minimum-intensity projections with numbered circles, and outlines of the mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from nibabel.affines import apply_affine
from numpy.typing import NDArray

from ...regions.atlas import mars
from ..planes import grey, picture_address, radiological
from .content import Shown
from .grid import Window, brain_box, slice_number, zooms

__all__ = ["RADIUS_MM", "Circle", "Overview", "bar_mm", "outlines", "regions_on", "slabs"]

RADIUS_MM = 4.5
"""Of a circle around a lesion."""

_BARS_MM = (1, 2, 5, 10, 20, 50)
_SLAB_MM = 18.0
_MOST_SLABS = 8
_RIM_MM = 3.0
_HEAD_MM = 22.0  # of the head around the brain
_MOST_PIXELS = 320
_LABEL_MM = (5.0, 8.0)  # width of a digit, height of a label
_DIRECTIONS = ((1, -1), (1, 0), (1, 1), (-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1))


@dataclass(frozen=True)
class Circle:
    """A lesion on an overview: its place and that of its number [mm from the top left corner]."""

    id: int
    x: float
    y: float
    label_x: float
    label_y: float


@dataclass(frozen=True)
class Overview:
    """A picture of the whole brain in one plane.

    Attributes
    ----------
    address : str
        JPEG.
    width, height : float
        Size [mm].
    slices : (int, int)
        Lowest and highest slice in it, as viewers of the file count.
    circles : tuple of Circle
    outlines : tuple of str
        Points of closed lines, ``x,y`` pairs [mm].
    """

    address: str
    width: float
    height: float
    slices: tuple[int, int]
    circles: tuple[Circle, ...] = ()
    outlines: tuple[str, ...] = ()

    @property
    def bar(self) -> int:
        """Length of the scale bar [mm]."""
        return bar_mm(self.width)


def bar_mm(width: float) -> int:
    """The round length that is at most a fifth of a picture's width [mm].

    >>> bar_mm(140), bar_mm(60), bar_mm(30)
    (20, 10, 5)
    """
    return max((length for length in _BARS_MM if length <= width / 5), default=_BARS_MM[0])


def slabs(shown: Shown, window: Window, lesions: Mapping[int, Sequence[float]]) -> tuple[Overview, ...]:
    """Minimum-intensity projections of the brain in slabs of about 18 mm, at most eight, from below.

    Parameters
    ----------
    shown : Shown
    window : (float, float)
        Values of the projection that are black and white.
    lesions : mapping
        Number of a lesion -> voxel i, j, k of the shown grid.
    """
    box = brain_box(shown)
    mm = zooms(shown)
    first, end = box.low[2], box.high[2]
    count = int(np.clip(round((end - first) * mm[2] / _SLAB_MM), 1, min(_MOST_SLABS, end - first)))
    edges = np.rint(np.linspace(first, end, count + 1)).astype(int)
    made = []
    for low, high in pairwise(edges):
        area = (*box.plane, slice(low, high))
        plane = _lowest(shown.swi[area], shown.mask[area], mm)
        width, height = plane.shape[0] * mm[0], plane.shape[1] * mm[1]
        here = {
            name: voxel for name, voxel in lesions.items() if low <= np.clip(round(voxel[2]), first, end - 1) < high
        }
        centres = {
            name: ((box.high[0] - 0.5 - voxel[0]) * mm[0], (box.high[1] - 0.5 - voxel[1]) * mm[1])
            for name, voxel in here.items()
        }
        made.append(
            Overview(
                _picture(plane, window, mm),
                round(width, 1),
                round(height, 1),
                _numbers(shown, low, high - 1),
                _circles(centres, (width, height)),
            )
        )
    return tuple(made)


def _lowest(swi: NDArray[np.float32], mask: NDArray[np.bool_], mm: Sequence[float]) -> NDArray[np.float32]:
    """The lowest of the slices, (i, j). The dark rim of the brain counts only where nothing else is.

    Otherwise the rims of all slices would lie on the picture like the lines of a map, as the brain's outline moves
    from slice to slice.
    """
    reach = [max(1, round(_RIM_MM / zoom)) for zoom in mm[:2]]
    element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach[1] + 1, 2 * reach[0] + 1))
    inner = np.zeros(mask.shape, bool)
    for n in range(mask.shape[2]):
        inner[:, :, n] = cv2.erode(np.ascontiguousarray(mask[:, :, n], np.uint8), element)
    lowest = np.where(inner, swi, np.inf).min(axis=2)
    highest = np.where(mask, swi, 0).max(axis=2)
    return np.asarray(np.where(np.isfinite(lowest), lowest, highest), np.float32)


def outlines(shown: Shown, windows: dict[str, Window], most: int = 3) -> tuple[Overview, ...]:
    """The edge of the brain mask on a few slices, evenly from below; on the head where it is there, else on SWI."""
    return _outlined(shown, windows, most, lambda k: [shown.mask[:, :, k]])


def regions_on(
    shown: Shown, windows: dict[str, Window], matrix: NDArray[np.float64], most: int = 3
) -> tuple[Overview, ...]:
    """The edges of the atlas's regions on a few slices, as :func:`outlines`.

    Parameters
    ----------
    shown, windows, most
    matrix : (4, 4) array
        From the scan's world to the template's [mm].
    """
    places = np.moveaxis(np.indices((*shown.mask.shape[:2], 1)), 0, -1)[:, :, 0]
    atlas = mars()

    def regions(k: int) -> list[NDArray[np.bool_]]:
        labels = atlas.at(apply_affine(matrix @ shown.affine, places + np.array([0, 0, k])))
        return [labels == label for label in np.unique(labels[labels > 0])]

    return _outlined(shown, windows, most, regions)


def _outlined(
    shown: Shown, windows: dict[str, Window], most: int, bodies: Callable[[int], Sequence[NDArray[np.bool_]]]
) -> tuple[Overview, ...]:
    """A few slices with the edges of bodies, which are given for each slice."""
    box = brain_box(shown, 4.0 if shown.head is None else _HEAD_MM)
    mm = zooms(shown)
    first, end = box.low[2], box.high[2]
    chosen = np.unique(np.rint(np.linspace(first, end - 1, 2 * most + 1)[1::2]).astype(int))
    volume, window = shown.swi, windows["swi"]
    if shown.head is not None:
        volume, window = shown.head, (0.0, float(np.percentile(shown.head[:, :, chosen], 99.5)))
    made = []
    for k in chosen:
        area = (*box.plane, int(k))
        plane = volume[area]
        points = []
        for body in bodies(int(k)):
            edge = np.ascontiguousarray(radiological(body[box.plane]), np.uint8)
            lines, _ = cv2.findContours(edge, cv2.RETR_LIST, cv2.CHAIN_APPROX_TC89_L1)
            points += [(line[:, 0] + 0.5) * mm[:2] for line in lines if len(line) > 2]
        made.append(
            Overview(
                _picture(plane, window, mm),
                round(plane.shape[0] * mm[0], 1),
                round(plane.shape[1] * mm[1], 1),
                _numbers(shown, int(k), int(k)),
                outlines=tuple(" ".join(f"{x:.1f},{y:.1f}" for x, y in line) for line in points),
            )
        )
    return tuple(made)


def _picture(plane: NDArray[np.float32], window: Window, mm: Sequence[float]) -> str:
    """Square pixels, no side longer than :data:`_MOST_PIXELS`."""
    image = np.ascontiguousarray(radiological(plane))
    height, width = image.shape[0] * mm[1], image.shape[1] * mm[0]
    pixel = max(max(height, width) / _MOST_PIXELS, min(mm[:2]))
    size = (max(1, round(width / pixel)), max(1, round(height / pixel)))
    smaller = pixel > max(mm[:2])
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    return picture_address(grey(np.asarray(small, np.float32), window), "jpeg")


def _numbers(shown: Shown, low: int, high: int) -> tuple[int, int]:
    numbers = sorted((slice_number(shown, low), slice_number(shown, high)))
    return numbers[0], numbers[1]


def _circles(centres: Mapping[int, tuple[float, float]], size: tuple[float, float]) -> tuple[Circle, ...]:
    """Each number beside its circle where it hides least of the others."""
    taken = [(x - RADIUS_MM, y - RADIUS_MM, x + RADIUS_MM, y + RADIUS_MM) for x, y in centres.values()]
    made = []
    for name, (x, y) in centres.items():
        wide, high = _LABEL_MM[0] * len(str(name)) / 2, _LABEL_MM[1] / 2
        places = []
        for right, down in _DIRECTIONS:
            reach = 0.75 if right and down else 1.05
            at = (x + right * (reach * RADIUS_MM + wide), y + down * (reach * RADIUS_MM + high))
            label = (at[0] - wide, at[1] - high, at[0] + wide, at[1] + high)
            outside = sum(max(0.0, -label[n]) + max(0.0, label[n + 2] - size[n]) for n in (0, 1))
            places.append((sum(_overlap(label, other) for other in taken) + 10 * outside, at, label))
        _, at, label = min(places, key=lambda place: place[0])
        taken.append(label)
        made.append(Circle(name, *(round(float(value), 1) for value in (x, y, *at))))
    return tuple(made)


def _overlap(first: Sequence[float], second: Sequence[float]) -> float:
    sides = [min(first[n + 2], second[n + 2]) - max(first[n], second[n]) for n in (0, 1)]
    return max(0.0, sides[0]) * max(0.0, sides[1])
