"""Finding boxes on a project's images with a network in memory: one that was loaded, or one that is being trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..model import Detection, OnProgress
from .cfg import Cfg
from .region import decode, select_boxes
from .samples import read_image

__all__ = ["BATCH", "find_boxes"]

BATCH = 8
"""Images that a network takes at once."""


def find_boxes(
    run: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    cfg: Cfg,
    project: Path,
    images: Sequence[str],
    *,
    threshold: float,
    nms: float,
    most: int | None = None,
    batch: int = BATCH,
    on_progress: OnProgress = lambda done, total, what: None,
) -> list[Detection]:
    """Detect in batches; images are read ahead.

    Parameters
    ----------
    run : callable
        (batch, height, width, 3) uint8 RGB -> (batch, rows, columns, num * (5 + classes)) raw output.
    cfg : Cfg
    project, images, threshold, nms, most, on_progress
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
    for names, pixels in _batches(project, images, cfg, batch):
        boxes, confidence = decode(run(pixels)[: len(names)], cfg.region, *size)
        for name, box, score in zip(names, boxes, confidence[..., 0], strict=True):
            stem = Path(name).stem
            found += [Detection(stem, one) for one in select_boxes(box, score, threshold, nms, size, most)]
        done += len(names)
        on_progress(done, len(images), f"{len(found)} boxes")
    return found


def _batches(
    project: Path, images: Sequence[str], cfg: Cfg, size: int
) -> Iterator[tuple[Sequence[str], NDArray[np.uint8]]]:
    """Names and images of every batch; the last one is filled up with black images."""

    def load(names: Sequence[str]) -> NDArray[np.uint8]:
        batch = np.zeros((size, cfg.net.height, cfg.net.width, 3), np.uint8)
        for place, name in enumerate(names):
            batch[place] = read_image(project / name, cfg.net.height, cfg.net.width)
        return batch

    parts = [images[start : start + size] for start in range(0, len(images), size)]
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(load, parts[0]) if parts else None
        for n, names in enumerate(parts):
            assert following is not None
            batch = following.result()
            if n + 1 < len(parts):
                following = pool.submit(load, parts[n + 1])
            yield names, batch
