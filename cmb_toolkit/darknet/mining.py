"""Hard negatives: where the network in training sees microbleeds that are none, to be shown again (``draw_hard``)."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import CmbError
from ..io.files import read_text
from ..io.publish import write_text
from ..model import Detection
from ..slices import split_stem
from .images import Images
from .samples import HardPlace, Samples

__all__ = ["hard_places", "mine", "read_places", "write_places"]

_THRESHOLD, _NMS = 0.02, 0.45
_MOST_A_SLICE = 5

_NEAR_SLICES = 3
_NEAR_LABELS = 1.5


class Detect(Protocol):
    """Finds boxes on images with the network as it is."""

    def __call__(
        self, images: Images, /, *, threshold: float, nms: float, most: int | None = None
    ) -> list[Detection]: ...


def mine(samples: Samples, detect: Detect) -> list[HardPlace]:
    """Look at every slice without a microbleed with the network as it is; see :func:`hard_places`."""
    images = samples.images(samples.unmarked)
    return hard_places(samples, detect(images, threshold=_THRESHOLD, nms=_NMS, most=2 * _MOST_A_SLICE))


def hard_places(samples: Samples, detections: list[Detection], most_a_slice: int = _MOST_A_SLICE) -> list[HardPlace]:
    """False positives on the slices without a microbleed.

    A slice that carries no label may still show a part of a microbleed that is marked a slice or two away: what lies
    within 1.5 label sides of a label, no more than 3 slices off, is left out.

    Parameters
    ----------
    samples : Samples
    detections : list of Detection
        On images of `samples.unmarked`.
    most_a_slice : int
        The strongest so many of each slice.

    Returns
    -------
    list of HardPlace
        In the order of the images, on each the strongest first.
    """
    net = samples.cfg.net
    number = {samples.paths[n].stem: n for n in samples.unmarked}
    labels: dict[tuple[str, int], list[NDArray[np.float64]]] = {}
    for n in samples.marked:
        subject, k = split_stem(samples.paths[n].stem)
        for box in samples.boxes[n]:
            corner = np.array([box[0] * net.width, box[1] * net.height, _NEAR_LABELS * box[2] * net.width])
            for near in range(k - _NEAR_SLICES, k + _NEAR_SLICES + 1):
                labels.setdefault((subject, near), []).append(corner)
    found: dict[int, list[tuple[float, HardPlace]]] = {}
    for detection in detections:
        box = detection.box
        x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
        around = labels.get(split_stem(detection.image), [])
        if not any(max(abs(x - mark[0]), abs(y - mark[1])) < mark[2] for mark in around):
            n = number[detection.image]
            found.setdefault(n, []).append((box.confidence, (n, x, y)))
    ranked = (sorted(found[n], key=lambda one: -one[0])[:most_a_slice] for n in sorted(found))
    return [place for one in ranked for _, place in one]


def write_places(places: list[HardPlace], path: Path) -> None:
    """Keep them for a training that is killed and goes on."""
    write_text(path, "".join(f"{n}\t{x!r}\t{y!r}\n" for n, x, y in places))


def read_places(path: Path) -> list[HardPlace] | None:
    """What :func:`write_places` wrote; None where that is not there or not whole."""
    try:
        rows = [line.split("\t") for line in read_text(path, "It is made anew.").splitlines()]
        return [(int(n), float(x), float(y)) for n, x, y in rows]
    except (CmbError, ValueError):
        return None
