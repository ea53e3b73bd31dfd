"""Anchors from labels: k-means with the overlap of boxes as distance (Redmon and Farhadi 2017, section 2), in cells.

The paper's network keeps VOC's anchors, none of which fits a 20 px square on a 14 x 14 grid (0.625 cells).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .augmentation import network_size
from .cfg import Cfg, parse_cfg

__all__ = ["anchors_from", "mean_iou", "set_anchors", "sizes_in_cells"]

_ROUNDS = 300
_STARTS = 10
_DRAWS = 20


def sizes_in_cells(sizes: ArrayLike, cfg: Cfg, seed: int) -> NDArray[np.float64]:
    """Sizes of boxes as a training sees them: drawn with the cfg's own jitter and input sizes, in grid cells.

    Parameters
    ----------
    sizes : (n, 2) array-like
        Width and height of the labels [px] on the network image.
    cfg : Cfg
    seed : int

    Returns
    -------
    (m, 2) array
        As many as were given if the cfg does not change sizes, else 20 times as many.
    """
    pixels = np.asarray(sizes, float).reshape(-1, 2)
    relative = pixels / [cfg.net.width, cfg.net.height]
    if not (cfg.region.jitter or cfg.region.random):
        return np.asarray(relative * cfg.grid[::-1])
    random = np.random.default_rng([seed, 3])
    jitter = random.uniform(-cfg.region.jitter, cfg.region.jitter, (_DRAWS, len(relative), 2, 2))
    # of each side; the rest of the image is stretched to the network's size
    stretched = relative / np.maximum(1 - jitter.sum(axis=-1), 0.1)
    inputs = [network_size(cfg, cfg.net.max_batches // 2, random)[::-1] for _ in range(_DRAWS)]
    cells: NDArray[np.float64] = stretched * np.array(inputs)[:, None] / cfg.stride
    return cells.reshape(-1, 2)


def mean_iou(sizes: ArrayLike, anchors: ArrayLike) -> float:
    """Mean over the boxes of the IoU with the anchor that fits best, both centred at one point; 0..1."""
    return float(_iou(np.asarray(sizes, float), np.asarray(anchors, float)).max(axis=1).mean())


def anchors_from(sizes: ArrayLike, count: int, seed: int) -> NDArray[np.float64]:
    """Cluster box sizes.

    Parameters
    ----------
    sizes : (n, 2) array-like
        Width and height of boxes, one at least.
    count : int
        Anchors wanted.
    seed : int
        The best of ten starts is taken, each drawn by it (k-means++).

    Returns
    -------
    (k, 2) array
        Smallest area first; fewer than `count` where there are fewer different sizes.
    """
    boxes = np.asarray(sizes, float).reshape(-1, 2)
    distinct = np.unique(boxes.round(6), axis=0)
    count = min(count, len(distinct))
    random = np.random.default_rng([seed, 4])
    found = [_cluster(boxes, distinct, count, random) for _ in range(_STARTS)]
    best = max(found, key=lambda anchors: mean_iou(boxes, anchors))
    return best[np.argsort(best.prod(axis=1), kind="stable")]


def _cluster(
    boxes: NDArray[np.float64], distinct: NDArray[np.float64], count: int, random: np.random.Generator
) -> NDArray[np.float64]:
    anchors: NDArray[np.float64] = distinct[random.integers(len(distinct))][None]
    while len(anchors) < count:
        distance = 1 - _iou(distinct, anchors).max(axis=1)
        anchors = np.vstack([anchors, distinct[random.choice(len(distinct), p=distance / distance.sum())]])
    nearest = None
    for _ in range(_ROUNDS):
        now = _iou(boxes, anchors).argmax(axis=1)
        if nearest is not None and (now == nearest).all():
            break
        nearest = now
        anchors = np.array(
            [boxes[now == n].mean(axis=0) if (now == n).any() else anchor for n, anchor in enumerate(anchors)]
        )
    return anchors


def _iou(boxes: NDArray[np.float64], anchors: NDArray[np.float64]) -> NDArray[np.float64]:
    """IoU of every box with every anchor, all centred at one point."""
    both = np.minimum(boxes[:, None], anchors).prod(axis=2)
    overlap: NDArray[np.float64] = both / (boxes.prod(axis=1)[:, None] + anchors.prod(axis=1) - both)
    return overlap


def set_anchors(text: str, anchors: Sequence[Sequence[float]] | NDArray[np.float64]) -> str:
    """A network file with other anchors; their number and the filters before the region layer follow.

    Raises
    ------
    DataError
        If the text is no network file.
    """
    region = parse_cfg(text).region
    lines = text.replace("\r\n", "\n").split("\n")
    start = max(n for n, line in enumerate(lines) if re.match(r"\s*\[region\]", line))
    before = max(n for n, line in enumerate(lines[:start]) if re.match(r"\s*\[conv", line))
    values = ",".join(f"{value:.4f}" for anchor in anchors for value in anchor)
    changes = {
        "anchors": (start, f"anchors={values}"),
        "num": (start, f"num={len(anchors)}"),
        "filters": (before, f"filters={len(anchors) * (5 + region.classes)}"),
    }
    for key, (section, line) in changes.items():
        end = next((n for n in range(section + 1, len(lines)) if lines[n].lstrip().startswith("[")), len(lines))
        place = next(n for n in range(section + 1, end) if re.match(rf"\s*{key}\s*=", lines[n]))
        lines[place] = line
    changed = "\n".join(lines)
    parse_cfg(changed)
    return changed
