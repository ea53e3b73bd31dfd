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
    import tensorflow as tf

__all__ = ["WARM_UP_IMAGES", "decode", "region_delta", "select_boxes"]

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
    confidence : (n, rows * columns * num) array
        Of the strongest class, 0..1.
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
    confidence = _sigmoid(t[..., 4]) * (classes / classes.sum(axis=-1, keepdims=True)).max(axis=-1)
    return boxes.reshape(n, -1, 4), confidence.reshape(n, -1)


def select_boxes(
    boxes: NDArray[np.float64],
    confidence: NDArray[np.float64],
    threshold: float,
    overlap: float,
    width: int,
    height: int,
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
    width, height : int
        Of the image [px].
    """
    strong = confidence >= threshold
    boxes, confidence = boxes[strong], confidence[strong]
    kept = nms(boxes, confidence, overlap)
    corners = np.clip(boxes[kept], 0, [width, height, width, height])
    return [
        Box(*map(float, corner), float(score))
        for corner, score in zip(corners, confidence[kept], strict=True)
        if corner[2] > corner[0] and corner[3] > corner[1]
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
    import tensorflow as tf

    n, rows, columns, _ = output.shape
    num, features = len(region.anchors), 5 + region.classes
    anchors = tf.constant(region.anchors, tf.float32)
    t = tf.reshape(output, (n, rows, columns, num, features))
    s = tf.sigmoid(t[..., :2])
    objectness = tf.sigmoid(t[..., 4])
    slope = objectness * (1 - objectness)

    # Predicted boxes, relative to the image.
    grid = tf.constant([columns, rows], tf.float32)
    cell = tf.stack(tf.meshgrid(tf.range(columns), tf.range(rows)), axis=-1)[None, :, :, None, :]
    centre = (tf.cast(cell, tf.float32) + s) / grid
    size = tf.exp(t[..., 2:4]) * anchors / grid

    # 1. No object, wherever no truth overlaps enough.
    there = truths[..., 2] > 0
    best = tf.zeros_like(objectness)
    if truths.shape[1]:
        overlap = _iou(
            centre[..., None, :], size[..., None, :],
            truths[:, None, None, None, :, :2], truths[:, None, None, None, :, 2:4],
        )  # fmt: skip
        best = tf.reduce_max(tf.where(there[:, None, None, None, :], overlap, 0.0), axis=-1)
    d_object = tf.where(best > region.thresh, 0.0, -region.noobject_scale * objectness * slope)

    # 2. Warm-up: every anchor towards its cell's centre and its own size.
    warm = tf.cast(seen < WARM_UP_IMAGES, tf.float32) * 0.01
    d_centre = warm * (0.5 - s) * s * (1 - s)
    d_size = -warm * t[..., 2:4]
    delta = tf.concat(
        [d_centre, d_size, d_object[..., None], tf.zeros((n, rows, columns, num, region.classes))], axis=-1
    )
    boxes = truths.shape[1]
    if not boxes:
        return tf.reshape(delta, output.shape)

    # 3. The responsible anchor of every truth.
    place = tf.cast(truths[..., :2] * grid, tf.int32)
    place = tf.minimum(place, tf.constant([columns - 1, rows - 1]))  # a centre on the very edge
    image = tf.tile(tf.range(n)[:, None], (1, boxes))
    here = tf.gather_nd(t, tf.stack([image, place[..., 1], place[..., 0]], axis=-1))  # (n, boxes, num, features)
    shape = anchors / grid if region.bias_match else tf.exp(here[..., 2:4]) * anchors / grid
    zero = tf.zeros_like(truths[..., None, :2])
    anchor = tf.argmax(_iou(zero, shape, zero, truths[..., None, 2:4]), axis=-1, output_type=tf.int32)
    mine = tf.gather(here, anchor, batch_dims=2)
    own = tf.gather(anchors, anchor)

    sxy = tf.sigmoid(mine[..., :2])
    obj = tf.sigmoid(mine[..., 4])
    placed = tf.cast(place, tf.float32)
    predicted = (placed + sxy) / grid, tf.exp(mine[..., 2:4]) * own / grid
    target = _iou(*predicted, truths[..., :2], truths[..., 2:4]) if region.rescore else tf.ones_like(obj)
    wanted = tf.math.log(tf.maximum(truths[..., 2:4], 1e-12) * grid / own)
    t_centre = region.coord_scale * (truths[..., :2] * grid - placed - sxy) * sxy * (1 - sxy)
    t_size = region.coord_scale * (wanted - mine[..., 2:4])
    t_object = region.object_scale * (target - obj) * obj * (1 - obj)
    hot = tf.one_hot(tf.cast(truths[..., 4], tf.int32), region.classes)
    t_class = region.class_scale * (hot - tf.nn.softmax(mine[..., 5:]))
    values = tf.concat([t_centre, t_size, t_object[..., None], t_class], axis=-1)

    # The last truth of a cell and anchor wins; all others go to one row more, which is cut off again.
    cells = n * rows * columns * num
    row = ((image * rows + place[..., 1]) * columns + place[..., 0]) * num + anchor
    later = tf.linalg.band_part(tf.ones((boxes, boxes), tf.bool), 0, -1) & ~tf.eye(boxes, dtype=tf.bool)
    beaten = tf.reduce_any((row[:, :, None] == row[:, None, :]) & later & there[:, None, :], axis=-1)
    row = tf.where(there & ~beaten, row, cells)
    flat = tf.concat([tf.reshape(delta, (cells, features)), tf.zeros((1, features))], axis=0)
    flat = tf.tensor_scatter_nd_update(flat, tf.reshape(row, (-1, 1)), tf.reshape(values, (-1, features)))
    return tf.reshape(flat[:cells], output.shape)


def _iou(centre_a: Any, size_a: Any, centre_b: Any, size_b: Any) -> Any:
    import tensorflow as tf

    low = tf.maximum(centre_a - size_a / 2, centre_b - size_b / 2)
    high = tf.minimum(centre_a + size_a / 2, centre_b + size_b / 2)
    overlap = tf.reduce_prod(tf.maximum(high - low, 0.0), axis=-1)
    union = tf.reduce_prod(size_a, axis=-1) + tf.reduce_prod(size_b, axis=-1) - overlap
    return tf.math.divide_no_nan(overlap, union)
