"""The training images and labels of a project, read strictly and served in batches."""

from __future__ import annotations

import hashlib
import math
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..io.files import check_file, read_bytes, read_text
from .augmentation import augment, is_plain, network_size
from .cfg import Cfg
from .drawing import Drawing, draw_image, place_in
from .images import Images, in_files, read_image
from .labels import labels_from_text

__all__ = ["Batch", "HardPlace", "Samples", "digest_of_samples", "read_boxes"]

HardPlace: TypeAlias = tuple[int, float, float]
"""A false positive of the network in training: number of the image, x, y [px]."""

_AGAIN = "Run `cmbtk prepare-yolo` for this cell again."
_LARGEST_LABEL = 1 << 20
_CACHE_BYTES = 4 << 30
_DRAWING = 8

Batch: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.float32]]


def read_boxes(path: Path, side: int) -> NDArray[np.float32]:
    """The boxes of a label file as (n, 5) rows of centre x, y, width, height (relative to the image) and class 0.

    Raises
    ------
    MissingError, DataError
        Darknet reads on after a bad line and trains with what comes out of it; here it is an error.
    """
    text = read_text(path, f"A slice without microbleeds has an empty label file. {_AGAIN}", _LARGEST_LABEL)
    corners = labels_from_text(text, side, str(path)) / side
    low, high = corners[:, :2], corners[:, 2:]
    return np.concatenate([(low + high) / 2, high - low, np.zeros((len(low), 1))], axis=1).astype(np.float32)


class Samples:
    """The training images and labels of a project; images stay decoded in memory if they fit.

    Parameters
    ----------
    cfg : Cfg
    images : sequence of Path
        With the label file beside each.
    cache_bytes : int
        Memory for decoded images; a larger set is decoded anew for every batch.

    Attributes
    ----------
    hard : list of HardPlace
        What ``draw_hard`` draws from; empty at first.
    """

    def __init__(self, cfg: Cfg, images: Sequence[Path], cache_bytes: int = _CACHE_BYTES) -> None:
        self.cfg = cfg
        self.paths = list(images)
        net = cfg.net
        self.boxes = [read_boxes(path.with_suffix(".txt"), net.width) for path in self.paths]
        self.places = max(len(boxes) for boxes in self.boxes)
        if self.places > cfg.region.max_boxes:
            worst = max(range(len(self.paths)), key=lambda n: len(self.boxes[n]))
            raise DataError(
                f"{self.paths[worst].with_suffix('.txt')}: {self.places} boxes, but the cfg allows "
                f"max={cfg.region.max_boxes}. Raise max in [region]."
            )
        self.hard: list[HardPlace] = []
        self.marked = [n for n, boxes in enumerate(self.boxes) if len(boxes)]
        self.unmarked = [n for n, boxes in enumerate(self.boxes) if not len(boxes)]
        if net.draw is not None and not self.marked:
            raise DataError(f"{self.paths[0].parent}: no training slice has a microbleed. {_AGAIN}")
        self._cache: NDArray[np.uint8] | None = None
        shape = (len(self.paths), net.height, net.width, 3)
        if math.prod(shape) <= cache_bytes:
            self._cache = np.empty(shape, np.uint8)
            with ThreadPoolExecutor() as pool:
                for n, image in enumerate(pool.map(self._read, self.paths)):
                    self._cache[n] = image

    def _read(self, path: Path) -> NDArray[np.uint8]:
        return read_image(path, self.cfg.net.height, self.cfg.net.width)

    def image(self, n: int) -> NDArray[np.uint8]:
        """An image as it is."""
        return self._read(self.paths[n]) if self._cache is None else self._cache[n]

    def images(self, numbers: Sequence[int]) -> Images:
        """Some of them, as they are."""
        paths, cache = [self.paths[n] for n in numbers], self._cache
        if cache is None:
            return in_files(paths, self.cfg)
        return Images([path.stem for path in paths], lambda: (cache[n : n + 1] for n in numbers))

    def batch(self, iteration: int, seed: int) -> Batch:
        """Images and truths of an iteration; the same for the same iteration and seed.

        Returns
        -------
        images : (batch, height, width, 3) uint8 array
        truths : (batch, boxes, 5) float array
            Padded with zeros at the end.
        """
        net = self.cfg.net
        if net.draw is not None:
            return self._drawn(net.draw, iteration, seed)
        size = network_size(self.cfg, iteration, np.random.default_rng([seed, 1, (iteration - 1) // 10]))
        random = np.random.default_rng([seed, 2, iteration])
        images = np.empty((net.batch, *size, 3), np.uint8)
        truths = np.zeros((net.batch, self.places, 5), np.float32)
        chosen = random.integers(len(self.paths), size=net.batch)
        for place, n in enumerate(chosen):
            images[place], boxes = augment(self.image(n), self.boxes[n], self.cfg, size, random)
            truths[place, : len(boxes)] = boxes
        return images, truths

    def _drawn(self, drawing: Drawing, iteration: int, seed: int) -> Batch:
        """A batch of images drawn anew: with microbleeds, around false positives, and of other slices."""
        net = self.cfg.net
        random = np.random.default_rng([seed, 2, iteration])
        size = min(drawing.size or net.width, net.width)
        marked = round(net.batch * drawing.marked) if self.unmarked else net.batch
        hard = round(net.batch * drawing.hard) if self.hard else 0
        images = np.empty((net.batch, size, size, 3), np.uint8)
        truths = np.zeros((net.batch, self.places, 5), np.float32)
        for place, kind in enumerate(random.permutation(net.batch)):
            if kind < marked:
                n = self.marked[random.integers(len(self.marked))]
                boxes = self.boxes[n]
                around = boxes[random.integers(len(boxes)), :2] * [net.width, net.height]
            elif kind < marked + hard:
                n, x, y = self.hard[random.integers(len(self.hard))]
                around = np.array([x, y])
            else:
                n = self.unmarked[random.integers(len(self.unmarked))]
                around = place_in(self.image(n), random)
            images[place], boxes = draw_image(self.image(n), self.boxes[n], around, drawing, size, random)
            truths[place, : len(boxes)] = boxes
        return images, truths

    def batches(self, first: int, last: int, seed: int) -> Iterator[Batch]:
        """The batches of iterations `first` to `last`, made ahead in the background."""
        drawn = self.cfg.net.draw is not None
        workers = 1 if is_plain(self.cfg) and not drawn and self._cache is not None else 2
        if drawn:  # a GPU takes them faster than two threads draw
            workers = max(workers, min(_DRAWING, len(os.sched_getaffinity(0)) // 2))
        with ThreadPoolExecutor(workers, thread_name_prefix="batches") as pool:
            ahead: deque[Future[Batch]] = deque()
            try:
                for iteration in range(first, last + 1):
                    while len(ahead) < 2 * workers and (following := iteration + len(ahead)) <= last:
                        ahead.append(pool.submit(self.batch, following, seed))
                    yield ahead.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)


def digest_of_samples(images: Sequence[Path]) -> str:
    """Identity of a training set: names, sizes in bytes, labels.

    Raises
    ------
    MissingError
        If an image or a label is not there.
    """
    digest = hashlib.sha256()
    for path in images:
        size, label = check_file(path, _AGAIN), read_bytes(path.with_suffix(".txt"), _AGAIN, _LARGEST_LABEL)
        digest.update(f"{path.name} {size} {len(label)} ".encode() + label)
    return digest.hexdigest()
