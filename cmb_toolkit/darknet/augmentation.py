"""The augmentation that a Darknet cfg asks for, as AlexeyAB's Darknet with OpenCV does it.

- ``jitter`` ([region]): each side of the image moves by up to that fraction, outwards (filled with the image's mean
  colour) or inwards (cut off); the rest is stretched to the network's size. Boxes follow, are clipped, and dropped
  where less than a network pixel is left.
- ``flip`` ([net], on by default): left and right exchanged, half of the time.
- ``hue``, ``saturation``, ``exposure`` ([net]): HSV hue moves by up to +-hue of the circle; saturation and value are
  multiplied by a factor from 1 to the given one, or divided.
- ``random`` ([region]): every 10 iterations another input size, up to 1.4 times larger or smaller (``random=1``) or
  that factor (``random=1.2``); see :func:`network_size`.
- ``angle`` is read and ignored, as by every Darknet when it trains a detector.
- ``mosaic``, ``mixup``, ``cutmix``, ``blur``, ``gaussian_noise``, ``letter_box``, ``resize`` are refused when the
  cfg is read.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .cfg import Cfg

__all__ = ["augment", "is_plain", "network_size"]

_STEP = 32
_MIRROR = np.array([[-1, 1, 1, 1, 1], [1, 0, 0, 0, 0]], np.float32)


def is_plain(cfg: Cfg) -> bool:
    """Whether images are used as they are, but for flips."""
    net = cfg.net
    return cfg.region.jitter == 0 and net.hue == 0 and net.saturation == 1 and net.exposure == 1


def network_size(cfg: Cfg, iteration: int, random: np.random.Generator) -> tuple[int, int]:
    """Input size (height, width) [px] of a block of ten iterations, counted from 1.

    With ``random`` set, the first block has the largest size (so that memory that will not suffice shows at once),
    and the last 100 iterations, too, as in AlexeyAB's Darknet.
    """
    net, factor = cfg.net, cfg.region.random
    if not factor:
        return net.height, net.width
    factor = 1.4 if factor == 1 else factor
    drawn = random.uniform(1, factor)
    drawn = drawn if random.random() < 0.5 else 1 / drawn
    if iteration <= 10 or iteration > net.max_batches - 100:
        drawn = factor
    height, width = (max(round(drawn * side / _STEP + 1), 1) * _STEP for side in (net.height, net.width))
    if drawn < 1:
        height, width = min(height, net.height), min(width, net.width)
    return height, width


def augment(
    image: NDArray[np.uint8],
    boxes: NDArray[np.float32],
    cfg: Cfg,
    size: tuple[int, int],
    random: np.random.Generator,
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """One image, drawn anew.

    Parameters
    ----------
    image : (rows, columns, 3) uint8 array
        RGB.
    boxes : (n, 5) array
        Centre x, y, width, height relative to the image, class.
    cfg : Cfg
    size : (int, int)
        Height and width of the result [px].
    random : Generator

    Returns
    -------
    image : (height, width, 3) uint8 array
    boxes : (m, 5) array
        What is left of the boxes, in random order.
    """
    net, jitter = cfg.net, cfg.region.jitter
    height, width = size
    boxes = random.permutation(boxes)
    if jitter:
        rows, columns = image.shape[:2]
        left, right = (round(random.uniform(-1, 1) * jitter * columns) for _ in range(2))
        top, bottom = (round(random.uniform(-1, 1) * jitter * rows) for _ in range(2))
        image, boxes = _cut(image, boxes, (left, top, columns - right, rows - bottom))
    if image.shape[:2] != (height, width):
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
    if net.flip and random.random() < 0.5:
        image = image[:, ::-1]
        boxes = boxes * _MIRROR[0] + _MIRROR[1]
    hue = random.uniform(-net.hue, net.hue) if net.hue else 0.0
    saturation, exposure = (_factor(limit, random) for limit in (net.saturation, net.exposure))
    if hue or saturation != 1 or exposure != 1:
        image = _recolour(np.ascontiguousarray(image), hue, saturation, exposure)
    boxes = boxes[(boxes[:, 2] * width >= 1) & (boxes[:, 3] * height >= 1)]
    return image, boxes.astype(np.float32)


def _cut(
    image: NDArray[np.uint8], boxes: NDArray[np.float32], window: tuple[int, int, int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The part of the image in `window` (left, top, right, bottom), which may reach outside, and the boxes in it."""
    rows, columns = image.shape[:2]
    left, top, right, bottom = window
    part = np.empty((bottom - top, right - left, 3), np.uint8)
    part[:] = np.round(image.mean(axis=(0, 1)))
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(right, columns), min(bottom, rows)
    part[y0 - top : y1 - top, x0 - left : x1 - left] = image[y0:y1, x0:x1]
    scale, origin = np.array([columns, rows]), np.array([left, top])
    low = (boxes[:, :2] - boxes[:, 2:4] / 2) * scale - origin
    high = (boxes[:, :2] + boxes[:, 2:4] / 2) * scale - origin
    extent = np.array([right - left, bottom - top])
    low, high = np.clip(low / extent, 0, 1), np.clip(high / extent, 0, 1)
    return part, np.concatenate([(low + high) / 2, high - low, boxes[:, 4:]], axis=1).astype(np.float32)


def _factor(limit: float, random: np.random.Generator) -> float:
    if limit == 1:
        return 1.0
    value = float(random.uniform(1, limit))
    return value if random.random() < 0.5 else 1 / value


def _recolour(image: NDArray[np.uint8], hue: float, saturation: float, exposure: float) -> NDArray[np.uint8]:
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 0] = (hsv[..., 0] + 180 * hue) % 180
    hsv[..., 1:] = np.clip(hsv[..., 1:] * [saturation, exposure], 0, 255)
    return cv2.cvtColor(np.round(hsv).astype(np.uint8), cv2.COLOR_HSV2RGB).astype(np.uint8, copy=False)
