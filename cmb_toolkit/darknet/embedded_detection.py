"""Finding boxes on images with a network in memory: one that was loaded, or one that is being trained."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..device import on_gpu
from ..model import Detection, OnProgress
from .cfg import Cfg
from .images import Images
from .region import decode, select_boxes

__all__ = ["at_once", "find_boxes"]

_AT_ONCE = {False: 8, True: 24}
"""Images that a network takes at once, without and with a GPU: there the paper's does 72 slices in 0.12 s, eight at a
time in 0.29 s (H100)."""


def at_once() -> int:
    """Images that a network takes at once on this machine."""
    return _AT_ONCE[on_gpu()]


def find_boxes(
    run: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    cfg: Cfg,
    images: Images,
    *,
    threshold: float,
    nms: float,
    most: int | None = None,
    batch: int,
    on_progress: OnProgress = lambda done, total, what: None,
) -> list[Detection]:
    """Detect in batches.

    Parameters
    ----------
    run : callable
        (batch, height, width, 3) uint8 RGB -> (batch, rows, columns, num * (5 + classes)) raw output.
    cfg : Cfg
    images, threshold, nms, most, on_progress
        As :meth:`cmb_toolkit.darknet.engine.Engine.detect` takes them.
    batch : int
        Images that `run` takes at once.

    Returns
    -------
    list of Detection
        In the order of `images`, on each the strongest first.
    """
    size = cfg.net.width, cfg.net.height
    found: list[Detection] = []
    done = 0
    for names, pixels in images.batches(cfg, batch):
        boxes, confidence = decode(run(pixels)[: len(names)], cfg.region, *size)
        for name, box, score in zip(names, boxes, confidence[..., 0], strict=True):
            found += [Detection(name, one) for one in select_boxes(box, score, threshold, nms, size, most)]
        done += len(names)
        on_progress(done, len(images.names), f"{len(found)} boxes")
    return found
