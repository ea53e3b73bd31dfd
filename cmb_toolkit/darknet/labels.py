"""Darknet's label text: one row ``class x y width height`` per box, centre and size relative to the image.

Darknet reads it with ``fscanf`` and never complains: a wrong row silently becomes no box or a wrong one. Reading here
is therefore strict.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError
from ..names import shown

__all__ = ["labels_from_text", "labels_to_text"]

_SLACK = 1e-5  # of the image: six decimals are written


def labels_to_text(boxes: ArrayLike, size: int) -> str:
    """Label rows of class 0.

    Parameters
    ----------
    boxes : (n, 4) array-like
        Left, top, right, bottom [px], 0-based, half open, inside the image.
    size : int
        Side of the image [px].

    Returns
    -------
    str
        One line per box; empty for an image without boxes.
    """
    left, top, right, bottom = np.asarray(boxes, float).reshape(-1, 4).T / size
    rows = zip((left + right) / 2, (top + bottom) / 2, right - left, bottom - top, strict=True)
    return "".join(f"0 {x:.6f} {y:.6f} {w:.6f} {h:.6f}\n" for x, y, w, h in rows)


def labels_from_text(text: str, size: int, name: str, classes: int = 1) -> NDArray[np.float64]:
    """Boxes of a label file.

    Parameters
    ----------
    text : str
    size : int
        Side of the image [px].
    name : str
        What to call the file in messages.
    classes : int
        How many classes there are; a row's class is checked and dropped.

    Returns
    -------
    (n, 4) float64 array
        Left, top, right, bottom [px], 0-based, half open.

    Raises
    ------
    DataError
        If a row has not five columns, is no number, names a class beyond `classes`, reaches beyond the image, or is
        smaller than a pixel (Darknet drops such a box without a word).
    """
    boxes = []
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        columns = line.split()
        if not columns:
            continue
        problem = _problem(columns, size, classes)
        if problem:
            raise DataError(
                f"{name}, line {number}: {shown(line)} {problem}. Expected `class x y width height`, relative to the "
                "image; write the labels again with `cmbtk prepare-yolo`."
            )
        x, y, w, h = (float(column) * size for column in columns[1:])
        boxes.append((x - w / 2, y - h / 2, x + w / 2, y + h / 2))
    return np.array(boxes, float).reshape(-1, 4)


def _problem(columns: list[str], size: int, classes: int) -> str | None:
    """What is wrong with a row; None if nothing."""
    if len(columns) != 5:
        return f"has {len(columns)} columns"
    if not (columns[0].isascii() and columns[0].isdecimal()) or len(columns[0]) > 9 or int(columns[0]) >= classes:
        return f"has class {columns[0][:20]}, but classes are numbered from 0 to {classes - 1}"
    try:
        x, y, w, h = (_number(column) for column in columns[1:])
    except ValueError:
        return "has a column that is no number"
    if not all(math.isfinite(value) for value in (x, y, w, h)):
        return "has a column that is not finite"
    if min(w, h) * size < 1:
        return "is smaller than a pixel"
    inside = min(x - w / 2, y - h / 2) >= -_SLACK and max(x + w / 2, y + h / 2) <= 1 + _SLACK
    return None if inside else "reaches beyond the image"


def _number(text: str) -> float:
    """A number as other programs read it, too: Python alone takes 1_000 and digits of other scripts."""
    if "_" in text or not text.isascii():
        raise ValueError(text)
    return float(text)
