"""Arithmetic of boxes: rows of (left, top, right, bottom) in pixels, 0-based and half open."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["iou", "nms"]

_AT_ONCE = 256
"""Boxes whose overlaps are computed at once, each with each."""


def iou(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Intersection over union of every box of `a` with every box of `b`.

    Parameters
    ----------
    a : (n, 4) array-like
    b : (m, 4) array-like

    Returns
    -------
    (n, m) array
        Values in 0..1; 0 where both boxes are empty.
    """
    p, q = (np.asarray(x, float).reshape(-1, 4) for x in (a, b))
    low = np.maximum(p[:, None, :2], q[None, :, :2])
    high = np.minimum(p[:, None, 2:], q[None, :, 2:])
    overlap = np.prod(np.clip(high - low, 0, None), axis=2)
    area_p, area_q = (np.prod(np.clip(x[:, 2:] - x[:, :2], 0, None), axis=1) for x in (p, q))
    union = area_p[:, None] + area_q[None] - overlap
    ratio: NDArray[np.float64] = np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)
    return ratio


def nms(boxes: ArrayLike, confidence: ArrayLike, threshold: float, most: int | None = None) -> NDArray[np.intp]:
    """Greedy non-maximum suppression: drop a box whose IoU with a stronger kept one is above `threshold`.

    Parameters
    ----------
    boxes : (n, 4) array-like
    confidence : (n,) array-like
    threshold : float
        IoU in 0..1; Darknet's ``test`` uses 0.45.
    most : int, optional
        Stop after so many kept boxes.

    Returns
    -------
    (m,) integer array
        Indices of the kept boxes, strongest first; ties keep their order.
    """
    corners = np.asarray(boxes, float).reshape(-1, 4)
    order = np.argsort(-np.asarray(confidence, float), kind="stable")
    kept: list[int] = []
    for first in range(0, len(order), _AT_ONCE):  # of thousands of boxes often only the strongest are looked at
        part = order[first : first + _AT_ONCE]
        stays = np.full(len(part), True)
        stays[(iou(corners[kept], corners[part]) > threshold).any(axis=0)] = False
        rivals = iou(corners[part], corners[part]) > threshold
        for place, index in enumerate(part.tolist()):
            if most is not None and len(kept) >= most:
                return np.array(kept, dtype=np.intp)
            if stays[place]:
                kept.append(index)
                stays[place:] &= ~rivals[place, place:]
    return np.array(kept, dtype=np.intp)
