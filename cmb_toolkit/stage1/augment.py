"""The paper's augmentation of stage 1 (section 2.3): images and their boxes, eightfold.

Rotations by 0, 90, 180 and 270 degrees, and horizontal and vertical flips of the 0 and the 270 ones. These are the
eight symmetries of the square, each once.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UsageError

__all__ = ["IDENTITY", "VARIANTS", "augment_boxes", "augment_image"]

IDENTITY = "rot000"
VARIANTS: tuple[str, ...] = (IDENTITY, "rot090", "rot180", "rot270", "rot000h", "rot000v", "rot270h", "rot270v")
"""Counter-clockwise rotation in degrees, then a flip: h mirrors left and right, v mirrors top and bottom."""

T = TypeVar("T", bound=np.generic)


def _parse(variant: str) -> tuple[int, str]:
    if variant not in VARIANTS:
        raise UsageError(f"variant {variant!r}: expected one of {', '.join(VARIANTS)}.")
    return int(variant[3:6]) // 90, variant[6:]


def augment_image(image: NDArray[T], variant: str) -> NDArray[T]:
    """Rotate and flip an image.

    Parameters
    ----------
    image : (row, column, ...) array
        Square.
    variant : str
        One of :data:`VARIANTS`.

    Returns
    -------
    (row, column, ...) array
        Contiguous copy.
    """
    turns, flip = _parse(variant)
    turned = np.rot90(image, turns)
    if flip:
        turned = turned[:, ::-1] if flip == "h" else turned[::-1]
    return np.ascontiguousarray(turned)


def augment_boxes(boxes: ArrayLike, variant: str, size: int) -> NDArray[np.float64]:
    """Carry boxes along with :func:`augment_image`.

    Parameters
    ----------
    boxes : (n, 4) array-like
        Left, top, right, bottom [px], 0-based, half open.
    variant : str
        One of :data:`VARIANTS`.
    size : int
        Side of the image [px].

    Returns
    -------
    (n, 4) float64 array
    """
    turns, flip = _parse(variant)
    left, top, right, bottom = np.array(boxes, float).reshape(-1, 4).T
    for _ in range(turns):  # counter-clockwise by 90: column <- row, row <- size - column
        left, top, right, bottom = top, size - right, bottom, size - left
    if flip == "h":
        left, right = size - right, size - left
    elif flip == "v":
        top, bottom = size - bottom, size - top
    return np.stack([left, top, right, bottom], axis=1)
