"""Finding boxes on a project's images with a network in memory: one that was loaded, or one that is being trained."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..device import on_gpu
from ..model import Detection, OnProgress
from .cfg import Cfg
from .region import decode, select_boxes
from .samples import read_image

__all__ = ["at_once", "find_boxes", "find_boxes_on"]

_AT_ONCE = {False: 8, True: 24}
"""Images that a network takes at once, without and with a GPU: there the paper's does 72 slices in 0.12 s, eight at a
time in 0.29 s (H100)."""

_READING = 8
"""Threads that read images, at most."""


def at_once() -> int:
    """Images that a network takes at once on this machine."""
    return _AT_ONCE[on_gpu()]


def find_boxes(  # noqa: PLR0913 (what Engine.detect takes, with a network in its place)
    run: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    cfg: Cfg,
    project: Path,
    images: Sequence[str],
    *,
    threshold: float,
    nms: float,
    most: int | None = None,
    batch: int,
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
    return _found(run, cfg, _batches(project, images, cfg, batch), len(images), threshold, nms, most, on_progress)


def find_boxes_on(
    run: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    cfg: Cfg,
    images: NDArray[np.uint8],
    names: Sequence[str],
    *,
    threshold: float,
    nms: float,
    most: int | None = None,
    batch: int,
) -> list[Detection]:
    """The same on images in memory.

    Parameters
    ----------
    images : (n, row, column, 3) uint8 array
        RGB, of the network's size.
    names : sequence of str
        What to call them.
    """

    def batches() -> Iterator[tuple[Sequence[str], NDArray[np.uint8]]]:
        for first in range(0, len(images), batch):
            pixels = np.zeros((batch, *images.shape[1:]), np.uint8)
            part = images[first : first + batch]
            pixels[: len(part)] = part
            yield names[first : first + batch], pixels

    return _found(run, cfg, batches(), len(images), threshold, nms, most)


def _found(
    run: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    cfg: Cfg,
    batches: Iterable[tuple[Sequence[str], NDArray[np.uint8]]],
    total: int,
    threshold: float,
    nms: float,
    most: int | None,
    on_progress: OnProgress = lambda done, total, what: None,
) -> list[Detection]:
    size = cfg.net.width, cfg.net.height
    found: list[Detection] = []
    done = 0
    for names, pixels in batches:
        boxes, confidence = decode(run(pixels)[: len(names)], cfg.region, *size)
        for name, box, score in zip(names, boxes, confidence[..., 0], strict=True):
            stem = Path(name).stem
            found += [Detection(stem, one) for one in select_boxes(box, score, threshold, nms, size, most)]
        done += len(names)
        on_progress(done, total, f"{len(found)} boxes")
    return found


def _batches(
    project: Path, images: Sequence[str], cfg: Cfg, size: int
) -> Iterator[tuple[Sequence[str], NDArray[np.uint8]]]:
    """Names and images of every batch; the last one is filled up with black images."""

    def read(name: str) -> NDArray[np.uint8]:
        return read_image(project / name, cfg.net.height, cfg.net.width)

    cores = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(max(1, min(_READING, cores // 2))) as pool:
        ahead: deque[Future[NDArray[np.uint8]]] = deque(pool.submit(read, name) for name in images[: 2 * size])
        for start in range(0, len(images), size):
            names = images[start : start + size]
            batch = np.zeros((size, cfg.net.height, cfg.net.width, 3), np.uint8)
            for place in range(len(names)):
                batch[place] = ahead.popleft().result()
            ahead.extend(pool.submit(read, name) for name in images[start + 2 * size : start + 3 * size])
            yield names, batch
