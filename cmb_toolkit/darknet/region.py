"""YOLOv2's region layer: what the network's output means (NumPy) and how wrong it is (TensorFlow).

Output of the network: (batch, rows, columns, num * (5 + classes)), for every anchor tx, ty, tw, th, objectness and
the classes. In cell (row j, column i) of a grid of W x H cells and for an anchor of (aw, ah) cells the box has its
centre at (i + sigmoid(tx)) / W, (j + sigmoid(ty)) / H and the size exp(tw) aw / W, exp(th) ah / H, relative to the
image; its confidence is sigmoid(objectness) times the softmax of the classes (Redmon and Farhadi 2017).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..boxes import nms
from ..model import Box
from .cfg import Region

if TYPE_CHECKING:
    from .tensors import tf

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


def region_delta(output: tf.Tensor, truths: tf.Tensor, seen: tf.Tensor, region: Region) -> tf.Tensor:
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
    from .tensors import tf

    n, rows, columns, _ = output.shape
    num, features = len(region.anchors), 5 + region.classes
    grid = tf.constant([columns, rows], tf.float32)
    anchors = tf.constant(region.anchors, tf.float32)
    t = tf.reshape(output, (n, rows, columns, num, features))
    delta = _background_delta(t, truths, seen, region)
    boxes = truths.shape[1]
    if not boxes:
        return tf.reshape(delta, output.shape)

    # 3. Every truth's cell and its responsible anchor.
    there = truths[..., 2] > 0
    centre, size = truths[..., :2], truths[..., 2:4]
    cell = tf.minimum(tf.cast(centre * grid, tf.int32), tf.constant([columns - 1, rows - 1]))
    image = tf.tile(tf.range(n)[:, None], (1, boxes))
    here = tf.gather_nd(t, tf.stack([image, cell[..., 1], cell[..., 0]], axis=-1))  # (n, boxes, num, features)
    shape = anchors / grid if region.bias_match else tf.exp(here[..., 2:4]) * anchors / grid
    origin = tf.zeros((2,))
    anchor = tf.argmax(_iou(origin, shape, origin, size[..., None, :]), axis=-1, output_type=tf.int32)
    mine = tf.gather(here, anchor, batch_dims=2)
    values = _truth_delta(mine, tf.gather(anchors, anchor) / grid, truths, (tf.cast(cell, tf.float32), grid), region)

    # The last truth of a cell and anchor wins; the others, and empty places, go to one row more, cut off again.
    cells = n * rows * columns * num
    row = ((image * rows + cell[..., 1]) * columns + cell[..., 0]) * num + anchor
    later = tf.constant(np.triu(np.ones((boxes, boxes), bool), 1))
    beaten = tf.reduce_any((row[:, :, None] == row[:, None, :]) & later & there[:, None, :], axis=-1)
    row = tf.where(there & ~beaten, row, cells)
    flat = tf.concat([tf.reshape(delta, (cells, features)), tf.zeros((1, features))], axis=0)
    flat = tf.tensor_scatter_nd_update(flat, tf.reshape(row, (-1, 1)), tf.reshape(values, (-1, features)))
    return tf.reshape(flat[:cells], output.shape)


def _background_delta(t: Any, truths: Any, seen: Any, region: Region) -> Any:
    """What every cell and anchor gets: no object where no truth overlaps enough, and the warm-up."""
    from .tensors import tf

    n, rows, columns, num, _ = t.shape
    grid = tf.constant([columns, rows], tf.float32)
    s = tf.sigmoid(t[..., :2])
    objectness = tf.sigmoid(t[..., 4])
    best = tf.zeros_like(objectness)
    if truths.shape[1]:
        cell = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1)[:, :, None, :]
        centre = (tf.constant(cell, tf.float32) + s) / grid
        size = tf.exp(t[..., 2:4]) * tf.constant(region.anchors, tf.float32) / grid
        every = truths[:, None, None, None]
        overlap = _iou(centre[..., None, :], size[..., None, :], every[..., :2], every[..., 2:4])
        best = tf.reduce_max(tf.where(every[..., 2] > 0, overlap, 0.0), axis=-1)
    # 1. No object.
    slope = objectness * (1 - objectness)
    d_object = tf.where(best > region.thresh, 0.0, -region.noobject_scale * objectness * slope)
    # 2. Warm-up: towards the cell's centre and the anchor's own size.
    warm = tf.cast(seen < WARM_UP_IMAGES, tf.float32) * 0.01
    d_centre = warm * (0.5 - s) * s * (1 - s)
    d_size = -warm * t[..., 2:4]
    d_class = tf.zeros((n, rows, columns, num, region.classes))
    return tf.concat([d_centre, d_size, d_object[..., None], d_class], axis=-1)


def _truth_delta(mine: Any, anchor: Any, truths: Any, place: tuple[Any, Any], region: Region) -> Any:
    """What the responsible anchors get: `mine` is their output, `anchor` their relative size, `place` cell and grid."""
    from .tensors import tf

    cell, grid = place
    s, objectness = tf.sigmoid(mine[..., :2]), tf.sigmoid(mine[..., 4])
    centre, size = truths[..., :2], truths[..., 2:4]
    target = tf.ones_like(objectness)
    if region.rescore:
        target = _iou((cell + s) / grid, tf.exp(mine[..., 2:4]) * anchor, centre, size)
    wanted = tf.math.log(tf.maximum(size, 1e-12) / anchor)
    d_centre = region.coord_scale * (centre * grid - cell - s) * s * (1 - s)
    d_size = region.coord_scale * (wanted - mine[..., 2:4])
    d_object = region.object_scale * (target - objectness) * objectness * (1 - objectness)
    hot = tf.one_hot(tf.cast(truths[..., 4], tf.int32), region.classes)
    d_class = region.class_scale * (hot - tf.nn.softmax(mine[..., 5:]))
    return tf.concat([d_centre, d_size, d_object[..., None], d_class], axis=-1)


def _iou(centre_a: Any, size_a: Any, centre_b: Any, size_b: Any) -> Any:
    from .tensors import tf

    low = tf.maximum(centre_a - size_a / 2, centre_b - size_b / 2)
    high = tf.minimum(centre_a + size_a / 2, centre_b + size_b / 2)
    overlap = tf.reduce_prod(tf.maximum(high - low, 0.0), axis=-1)
    union = tf.reduce_prod(size_a, axis=-1) + tf.reduce_prod(size_b, axis=-1) - overlap
    return tf.math.divide_no_nan(overlap, union)
