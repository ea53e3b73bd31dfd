"""Arithmetic of boxes: rows of (left, top, right, bottom) in pixels, 0-based and half open."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["iou", "nms"]


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
    low, high = corners[order, :2], corners[order, 2:]
    area = np.prod(np.clip(high - low, 0, None), axis=1)
    kept: list[int] = []
    while order.size and (most is None or len(kept) < most):
        kept.append(int(order[0]))
        sides = np.minimum(high, high[0]) - np.maximum(low, low[0])
        overlap = np.where((sides > 0).all(axis=1), sides[:, 0] * sides[:, 1], 0.0)
        stays = overlap <= threshold * (area + area[0] - overlap)
        stays[0] = False
        order, low, high, area = order[stays], low[stays], high[stays], area[stays]
    return np.array(kept, dtype=np.intp)
