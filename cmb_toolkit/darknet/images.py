"""Network images as engines take them: by name, and made when they are looked at, some at a time.

An engine in this process computes on them as they are; a Darknet is given them as files (:func:`encoded`).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..io.files import read_bytes
from .cfg import Cfg

__all__ = ["Images", "ahead", "encoded", "in_files", "in_memory", "kept", "read_image"]

T = TypeVar("T")
R = TypeVar("R")

_AGAIN = "Run `cmbtk prepare-yolo` for this cell again."
_LARGEST = 1 << 28
_READING = 8
"""Threads that make images, at most."""


@dataclass(frozen=True)
class Images:
    """Some network images.

    Attributes
    ----------
    names : sequence of str
        Stems, as detections have them.
    make : callable
        Makes them, each time anew: (n, row, column, RGB) uint8 arrays, together all images in the order of `names`.
    """

    names: Sequence[str]
    make: Callable[[], Iterable[NDArray[np.uint8]]]

    def blocks(self, cfg: Cfg) -> Iterator[tuple[Sequence[str], NDArray[np.uint8]]]:
        """Names and images, some at a time.

        Raises
        ------
        DataError
            If the network of `cfg` takes images of another size.
        """
        first = 0
        for block in self.make():
            row, column = block.shape[1:3]
            if (row, column) != (cfg.net.height, cfg.net.width):
                raise DataError(
                    f"{self.names[first]}: {column} x {row} px, but the network takes {cfg.net.width} x "
                    f"{cfg.net.height}. Run `cmbtk prepare-yolo` with this network's --size."
                )
            yield self.names[first : first + len(block)], block
            first += len(block)

    def batches(self, cfg: Cfg, size: int) -> Iterator[tuple[Sequence[str], NDArray[np.uint8]]]:
        """Names and images of every batch; the last one is filled up with black images."""
        names: list[str] = []
        batch = np.zeros((size, cfg.net.height, cfg.net.width, 3), np.uint8)
        for more, block in self.blocks(cfg):
            done = 0
            while done < len(block):
                part = block[done : done + size - len(names)]
                batch[len(names) : len(names) + len(part)] = part
                names += more[done : done + len(part)]
                done += len(part)
                if len(names) == size:
                    yield names, batch
                    names, batch = [], np.zeros_like(batch)
        if names:
            yield names, batch


def in_memory(names: Sequence[str], images: NDArray[np.uint8]) -> Images:
    """Images that are there.

    Parameters
    ----------
    names : sequence of str
    images : (n, row, column, 3) uint8 array
    """
    return Images(names, lambda: [images])


def in_files(paths: Sequence[Path], cfg: Cfg) -> Images:
    """Image files, which are read ahead; see :func:`read_image`."""

    def make() -> Iterator[NDArray[np.uint8]]:
        for image in ahead(lambda path: read_image(path, cfg.net.height, cfg.net.width), paths, at_once=2 * _READING):
            yield image[None]

    return Images([path.stem for path in paths], make)


def kept(images: Images) -> Images:
    """The same, kept in memory when they were made once: for who looks again and again."""
    made: list[NDArray[np.uint8]] = []

    def make() -> Iterable[NDArray[np.uint8]]:
        if not made:
            made[:] = list(images.make())
        return made

    return Images(images.names, make)


def ahead(function: Callable[[T], R], items: Sequence[T], *, at_once: int | None = None) -> Iterator[R]:
    """Apply a function to items in threads while what came before is worked on.

    Parameters
    ----------
    function : callable
    items : sequence
    at_once : int, optional
        Results that wait in memory, at most; by default as many as there are threads: half the processors.
    """
    threads = max(1, min(_READING, len(os.sched_getaffinity(0)) // 2))
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="images") as pool:
        try:
            left = iter(items)
            for item in left:
                waiting.append(pool.submit(function, item))
                if len(waiting) > (at_once or threads):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def read_image(path: Path, height: int, width: int) -> NDArray[np.uint8]:
    """A network image of a file as (height, width, 3) RGB.

    Raises
    ------
    DataError
        If the file is no readable image or has another size.
    """
    content = np.frombuffer(read_bytes(path, _AGAIN, _LARGEST), np.uint8)
    image = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
    if image is None:
        raise DataError(f"{path}: not a readable image. {_AGAIN}")
    if image.shape[:2] != (height, width):
        raise DataError(
            f"{path}: {image.shape[1]}x{image.shape[0]} pixels, but the network in yolo.cfg takes {width}x{height}. "
            "Run `cmbtk prepare-yolo` with this cfg."
        )
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def encoded(image: NDArray[np.uint8]) -> bytes:
    """A (row, column, RGB) image as PNG, which loses nothing."""
    # without parameters: giving OpenCV a compression level resets its filter and makes it 2.5 times slower
    return cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()
