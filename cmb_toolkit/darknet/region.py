"""YOLOv2's region layer: what the network's output means (NumPy) and how wrong it is (Keras).

Output of the network: (batch, rows, columns, num * (5 + classes)), for every anchor tx, ty, tw, th, objectness and
the classes. In cell (row j, column i) of a grid of W x H cells and for an anchor of (aw, ah) cells the box has its
centre at (i + sigmoid(tx)) / W, (j + sigmoid(ty)) / H and the size exp(tw) aw / W, exp(th) ah / H, relative to the
image; its confidence is sigmoid(objectness) times the softmax of the classes (Redmon and Farhadi 2017).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..boxes import nms
from ..model import Box
from .layers import Region

__all__ = ["WARM_UP_IMAGES", "decode", "region_delta", "select_boxes"]

_FAR = 1e6  # px

WARM_UP_IMAGES = 12_800
"""While fewer images were seen, every anchor is also drawn to its cell's centre and its own size."""


def decode(
    output: NDArray[np.float32], region: Region, width: int, height: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Boxes and confidences of a network's output.

    Parameters
    ----------
    output : (n, rows, columns, num * (5 + classes)) array
    region : Region
    width, height : int
        Of the network image [px].

    Returns
    -------
    boxes : (n, rows * columns * num, 4) array
        Left, top, right, bottom [px], 0-based and half open, not clipped to the image.
    confidence : (n, rows * columns * num, classes) array
        Objectness times the class's probability, 0..1.
    """
    n, rows, columns, _ = output.shape
    t = output.astype(float).reshape(n, rows, columns, len(region.anchors), 5 + region.classes)
    anchors = np.asarray(region.anchors)
    x = (np.arange(columns)[:, None] + _sigmoid(t[..., 0])) * (width / columns)
    y = (np.arange(rows)[:, None, None] + _sigmoid(t[..., 1])) * (height / rows)
    with np.errstate(over="ignore"):  # an untrained network may predict boxes of any size
        w = np.exp(t[..., 2]) * anchors[:, 0] * (width / columns)
        h = np.exp(t[..., 3]) * anchors[:, 1] * (height / rows)
    boxes = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=-1)
    classes = np.exp(t[..., 5:] - t[..., 5:].max(axis=-1, keepdims=True))
    confidence = _sigmoid(t[..., 4:5]) * (classes / classes.sum(axis=-1, keepdims=True))
    return boxes.reshape(n, -1, 4), confidence.reshape(n, -1, region.classes)


def select_boxes(
    boxes: NDArray[np.float64],
    confidence: NDArray[np.float64],
    threshold: float,
    overlap: float,
    size: tuple[int, int],
    most: int | None = None,
) -> list[Box]:
    """The boxes of one image above `threshold`, greedily thinned out, strongest first, clipped to the image.

    Parameters
    ----------
    boxes : (n, 4) array
    confidence : (n,) array
    threshold : float
        Confidence in 0..1; equal or above is kept.
    overlap : float
        IoU above which the weaker of two boxes is dropped.
    size : (int, int)
        Width and height of the image [px].
    most : int, optional
        Keep so many boxes at most, the strongest.
    """
    boxes = np.clip(boxes, -_FAR, _FAR)  # an untrained network's may be infinite, and infinite areas have no IoU
    clipped = np.clip(boxes, 0, (*size, *size))
    # an empty box is nobody's rival, and must not take one of the places
    strong = (confidence >= threshold) & (clipped[:, 2:] > clipped[:, :2]).all(axis=1)
    boxes, confidence, clipped = boxes[strong], confidence[strong], clipped[strong]
    kept = nms(boxes, confidence, overlap, most)
    return [
        Box(float(left), float(top), float(right), float(bottom), float(score))
        for (left, top, right, bottom), score in zip(clipped[kept], confidence[kept], strict=True)
    ]


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.5 * (1 + np.tanh(x / 2))


def region_delta(output: Any, truths: Any, seen: Any, region: Region) -> Any:
    """Minus the gradient of the region loss by the network's output, as AlexeyAB's Darknet computes it.

    Darknet defines the loss by this delta alone, and prints the sum of its squares; feed its negative into the
    backward pass as the output's gradient.

    Parameters
    ----------
    output : (n, rows, columns, num * (5 + classes)) tensor
    truths : (n, boxes, 5) tensor
        Centre x, y, width, height relative to the image, class; a width of 0 marks an empty place, and all empty
        places stand at the end. Of several truths in one cell and anchor the last counts.
    seen : scalar integer tensor
        Images processed so far, this minibatch included; below 12,800 the warm-up term is added.
    region : Region

    Returns
    -------
    tensor of the output's shape
    """
    from .tensors import ops

    n, rows, columns, _ = output.shape
    num, features = len(region.anchors), 5 + region.classes
    grid = ops.convert_to_tensor([columns, rows], "float32")
    anchors = ops.convert_to_tensor(region.anchors, "float32")
    t = ops.reshape(output, (n, rows, columns, num, features))
    delta = _background_delta(t, truths, seen, region)
    boxes = truths.shape[1]
    if not boxes:
        return ops.reshape(delta, output.shape)

    # 3. Every truth's cell and its responsible anchor.
    there = truths[..., 2] > 0
    centre, size = truths[..., :2], truths[..., 2:4]
    cell = ops.minimum(ops.cast(centre * grid, "int32"), ops.convert_to_tensor([columns - 1, rows - 1], "int32"))
    at = (ops.arange(n)[:, None] * rows + cell[..., 1]) * columns + cell[..., 0]
    here = ops.take(ops.reshape(t, (-1, num, features)), at, axis=0)  # (n, boxes, num, features)
    shape = anchors / grid if region.bias_match else ops.exp(here[..., 2:4]) * anchors / grid
    origin = ops.zeros((2,))
    anchor = ops.cast(ops.argmax(_iou(origin, shape, origin, size[..., None, :]), axis=-1), "int32")
    mine = ops.take_along_axis(here, anchor[..., None, None], axis=2)[:, :, 0]
    own = ops.take(anchors, anchor, axis=0) / grid
    values = _truth_delta(mine, own, truths, (ops.cast(cell, "float32"), grid), region)

    # The last truth of a cell and anchor wins; the others, and empty places, go to one row more, cut off again.
    cells = n * rows * columns * num
    row = at * num + anchor
    later = ops.convert_to_tensor(np.triu(np.ones((boxes, boxes), bool), 1))
    beaten = ops.any((row[:, :, None] == row[:, None, :]) & later & there[:, None, :], axis=-1)
    row = ops.where(there & ~beaten, row, cells)
    flat = ops.concatenate([ops.reshape(delta, (cells, features)), ops.zeros((1, features))], axis=0)
    flat = ops.scatter_update(flat, ops.reshape(row, (-1, 1)), ops.reshape(values, (-1, features)))
    return ops.reshape(flat[:cells], output.shape)


def _background_delta(t: Any, truths: Any, seen: Any, region: Region) -> Any:
    """What every cell and anchor gets: no object where no truth overlaps enough, and the warm-up."""
    from .tensors import ops

    n, rows, columns, num, _ = t.shape
    grid = ops.convert_to_tensor([columns, rows], "float32")
    s = ops.sigmoid(t[..., :2])
    objectness = ops.sigmoid(t[..., 4])
    best = ops.zeros_like(objectness)
    if truths.shape[1]:
        cell = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1)[:, :, None, :]
        centre = (ops.convert_to_tensor(cell, "float32") + s) / grid
        size = ops.exp(t[..., 2:4]) * ops.convert_to_tensor(region.anchors, "float32") / grid
        every = truths[:, None, None, None]
        overlap = _iou(centre[..., None, :], size[..., None, :], every[..., :2], every[..., 2:4])
        best = ops.max(ops.where(every[..., 2] > 0, overlap, 0.0), axis=-1)
    # 1. No object.
    slope = objectness * (1 - objectness)
    d_object = ops.where(best > region.thresh, 0.0, -region.noobject_scale * objectness * slope)
    # 2. Warm-up: towards the cell's centre and the anchor's own size.
    warm = ops.cast(seen < WARM_UP_IMAGES, "float32") * 0.01
    d_centre = warm * (0.5 - s) * s * (1 - s)
    d_size = -warm * t[..., 2:4]
    d_class = ops.zeros((n, rows, columns, num, region.classes))
    return ops.concatenate([d_centre, d_size, d_object[..., None], d_class], axis=-1)


def _truth_delta(mine: Any, anchor: Any, truths: Any, place: tuple[Any, Any], region: Region) -> Any:
    """What the responsible anchors get: `mine` is their output, `anchor` their relative size, `place` cell and grid."""
    from .tensors import ops

    cell, grid = place
    s, objectness = ops.sigmoid(mine[..., :2]), ops.sigmoid(mine[..., 4])
    centre, size = truths[..., :2], truths[..., 2:4]
    target = ops.ones_like(objectness)
    if region.rescore:
        target = _iou((cell + s) / grid, ops.exp(mine[..., 2:4]) * anchor, centre, size)
    wanted = ops.log(ops.maximum(size, 1e-12) / anchor)
    d_centre = region.coord_scale * (centre * grid - cell - s) * s * (1 - s)
    d_size = region.coord_scale * (wanted - mine[..., 2:4])
    d_object = region.object_scale * (target - objectness) * objectness * (1 - objectness)
    hot = ops.one_hot(ops.cast(truths[..., 4], "int32"), region.classes)
    probability = ops.softmax(mine[..., 5:]) if region.classes > 1 else ops.ones_like(mine[..., 5:])
    d_class = region.class_scale * (hot - probability)
    return ops.concatenate([d_centre, d_size, d_object[..., None], d_class], axis=-1)


def _iou(centre_a: Any, size_a: Any, centre_b: Any, size_b: Any) -> Any:
    from .tensors import ops

    low = ops.maximum(centre_a - size_a / 2, centre_b - size_b / 2)
    high = ops.minimum(centre_a + size_a / 2, centre_b + size_b / 2)
    overlap = ops.prod(ops.maximum(high - low, 0.0), axis=-1)
    union = ops.prod(size_a, axis=-1) + ops.prod(size_b, axis=-1) - overlap
    return ops.divide_no_nan(overlap, union)
