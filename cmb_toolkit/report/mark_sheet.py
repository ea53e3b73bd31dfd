"""A contact sheet of marks: each on its slice, and near by on SWI (or magnitude) and phase, for a look by eye."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from .planes import Grey, grey, radiological
from .style import canvas, save

__all__ = ["MOST", "MarkPicture", "draw_marks", "slice_of", "surroundings"]

MOST = 150
"""So many marks a person can look through in some minutes; of more, evenly spread ones are drawn."""

_SIDE = 120  # of a picture [px]
_FIELD_MM = 24.0
_COLUMNS = 4
_GAP, _CAPTION = 8, 22
_DPI = 150
_RING = (255, 200, 0)


@dataclass(frozen=True)
class MarkPicture:
    """What is shown of one mark. All pictures are radiological: anterior on top, the patient's right on the left.

    Attributes
    ----------
    subject : str
    voxel : tuple of int
        i, j, k from 0.
    whole : (row, column) uint8 array
        The slice.
    at : (int, int)
        Row and column of the mark in it.
    near, phase : (row, column) uint8 array
        24 mm around the mark, which is in the middle; the phase is None where there is none.
    """

    subject: str
    voxel: tuple[int, ...]
    whole: Grey
    at: tuple[int, int]
    near: Grey
    phase: Grey | None


def slice_of(volume: NDArray[np.float32], voxel: Sequence[int], zooms: Sequence[float]) -> tuple[Grey, tuple[int, int]]:
    """The slice through a voxel, and where in it the voxel is (row, column).

    Parameters
    ----------
    volume : (i, j, k) array
    voxel : three ints
    zooms : three floats
        Voxel size [mm].
    """
    i, j, k = voxel
    plane = radiological(volume[:, :, k])
    scale = _SIDE / max(plane.shape[0] * zooms[1], plane.shape[1] * zooms[0])
    size = (max(1, round(plane.shape[1] * zooms[0] * scale)), max(1, round(plane.shape[0] * zooms[1] * scale)))
    small = cv2.resize(np.ascontiguousarray(plane, np.float32), size, interpolation=cv2.INTER_AREA)
    row = int((volume.shape[1] - 0.5 - j) * zooms[1] * scale)
    column = int((volume.shape[0] - 0.5 - i) * zooms[0] * scale)
    return _grey(np.asarray(small, np.float32)), (row, column)


def surroundings(volume: NDArray[np.float32], voxel: Sequence[int], zooms: Sequence[float]) -> Grey:
    """24 mm around a voxel on its slice, black beyond the volume."""
    i, j, k = voxel
    half = [max(2, round(_FIELD_MM / 2 / zoom)) for zoom in zooms[:2]]
    padded = np.pad(volume[:, :, k], [(half[0], half[0]), (half[1], half[1])], constant_values=np.nan)
    cut = radiological(padded[i : i + 2 * half[0] + 1, j : j + 2 * half[1] + 1])
    return cv2.resize(_grey(cut), (_SIDE, _SIDE), interpolation=cv2.INTER_NEAREST).astype(np.uint8)


def draw_marks(pictures: Sequence[MarkPicture], title: str, path: Path) -> Path:
    """Draw marks row by row, numbered by subject and voxel.

    Parameters
    ----------
    pictures : sequence of MarkPicture
        At least one.
    title : str
    path : Path
        PNG.
    """
    chosen = [pictures[n] for n in np.unique(np.linspace(0, len(pictures) - 1, MOST).astype(int))]
    width, height = 3 * _SIDE + _GAP, _SIDE + _CAPTION
    columns = min(_COLUMNS, len(chosen))
    rows = -(-len(chosen) // columns)
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for n, picture in enumerate(chosen):
        top, left = n // columns * height + _CAPTION, n % columns * width
        for place, tile in enumerate(_tiles(picture)):
            sheet[top : top + _SIDE, left + place * _SIDE : left + (place + 1) * _SIDE] = tile
    head = 60
    inches = [max(sheet.shape[1], 3 * width) / _DPI, (sheet.shape[0] + head) / _DPI]
    with canvas(*inches, arrange=False) as figure:
        axes = figure.add_axes((0, 0, sheet.shape[1] / inches[0] / _DPI, sheet.shape[0] / inches[1] / _DPI))
        axes.imshow(sheet, interpolation="nearest", aspect="auto")
        axes.axis("off")
        for n, picture in enumerate(chosen):
            at = (n % columns * width + 1, n // columns * height + _CAPTION - 4)
            caption = f"{picture.subject}  {', '.join(map(str, picture.voxel))}"
            axes.text(*at, caption, fontsize=7, va="bottom", parse_math=False)
        some = f", {len(chosen)} of {len(pictures)}" if len(chosen) < len(pictures) else ""
        said = f"{title}{some}: slice, SWI or magnitude, phase (24 mm; subject and voxel i, j, k)"
        # a headline's place is a share of the figure's height, and a sheet may be of any
        corner = 4 / _DPI / inches[0], 1 - 10 / _DPI / inches[1]
        figure.text(*corner, said, fontsize=9, weight="bold", va="top", parse_math=False)
        return save(figure, path)


def _tiles(picture: MarkPicture) -> list[NDArray[np.uint8]]:
    """Slice with a ring around the mark, and both surroundings with ticks that point at it, as squares of colours."""
    whole = np.zeros((_SIDE, _SIDE), np.uint8)
    whole[: picture.whole.shape[0], : picture.whole.shape[1]] = picture.whole
    first = cv2.cvtColor(whole, cv2.COLOR_GRAY2RGB)
    cv2.circle(first, (picture.at[1], picture.at[0]), 6, _RING, 1, cv2.LINE_AA)
    tiles = [first]
    for near in (picture.near, picture.phase):
        tile = cv2.cvtColor(near if near is not None else np.zeros((_SIDE, _SIDE), np.uint8), cv2.COLOR_GRAY2RGB)
        middle, tick = _SIDE // 2, _SIDE // 8
        for start in (0, _SIDE - tick):
            tile[middle, start : start + tick] = _RING
            tile[start : start + tick, middle] = _RING
        tile[:, 0] = 255
        tiles.append(tile)
    return [np.asarray(tile, np.uint8) for tile in tiles]


def _grey(plane: NDArray[np.float32]) -> Grey:
    """0..255 between the 1st and the 99th percentile; NaN is black."""
    known = plane[np.isfinite(plane)]
    low, high = np.percentile(known, [1, 99]) if known.size else (0.0, 1.0)
    return grey(plane, (low, high))
