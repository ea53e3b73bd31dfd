"""A model's networks in memory, ready to look at scans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bundle.content import OnImages, OnScans
from ..bundle.files import Bundle
from ..darknet.cfg import Cfg, read_cfg
from ..darknet.looking import looking
from ..detectors import DETECTORS
from ..device import looked_by
from ..errors import DataError, UsageError
from ..methods.base import Finder
from ..model import Detection
from ..registry import load as registered
from ..stage2.batches import in_batches
from ..stage2.looking import looking as stage2_looking

__all__ = ["Networks", "engine", "load"]


@dataclass(frozen=True)
class Networks:
    """Both stages.

    Attributes
    ----------
    boxes : callable or None
        (k, row, column, RGB) uint8 images and their names -> boxes of at least the model's confidence; of a detector
        on slices.
    finder : Finder or None
        Of a method that looks at clean scans.
    probability : callable or None
        (n, size, 2 size, size) patches -> (n,) probabilities.
    patch : int
        Side of a patch [voxel].
    """

    boxes: Callable[[NDArray[np.uint8], list[str], float], list[Detection]] | None
    finder: Finder | None
    probability: Callable[[NDArray[np.float32]], NDArray[np.float64]] | None
    patch: int


def engine(bundle: Bundle) -> str:
    """What computes each of a model's networks, with versions, for provenance; nothing is imported."""
    look = bundle.content.look
    detector = DETECTORS[look.method]
    first = looking().describe() if look.images else looked_by(openvino=detector.openvino) if detector.learns else ""
    second = "" if bundle.classifier is None else stage2_looking(bundle.classifier).engine
    return "; ".join(dict.fromkeys(f"embedded ({each})" for each in (first, second) if each))


def load(bundle: Bundle) -> Networks:
    """Build a model's networks.

    Raises
    ------
    DataError
        If a file does not hold what it must.
    """
    look = bundle.content.look
    run = _detector(bundle, look.images) if look.images else None
    finder = _finder(bundle, look.method, look.scans) if look.scans else None
    if bundle.classifier is None:
        return Networks(run, finder, None, 0)
    looks = stage2_looking(bundle.classifier)
    return Networks(run, finder, partial(in_batches, looks.classifier()), looks.size)


def _finder(bundle: Bundle, method: str, on_scans: OnScans) -> Finder:
    """A method with a model's settings, and with its network if it learns."""
    detector = DETECTORS[method]
    settings = {name: tuple(value) if isinstance(value, list) else value for name, value in on_scans.settings.items()}
    try:
        finder: Any = registered(detector.finder)(**settings)
    except (TypeError, UsageError) as error:
        raise DataError(
            f"{bundle.folder}: has other settings than {method} takes ({str(error)[:200]}). Get the model again."
        ) from error
    found: Finder = finder.trained(bundle.network) if detector.learns else finder
    return found


def _cfg(bundle: Bundle, images: OnImages) -> Cfg:
    cfg = read_cfg(bundle.cfg)
    if cfg.region.classes != 1 or (cfg.net.width, cfg.net.height) != (images.size, images.size):
        raise DataError(
            f"{bundle.cfg}: takes images of {cfg.net.width} x {cfg.net.height} px and knows {cfg.region.classes} "
            f"classes; the model says {images.size} x {images.size} px and one. Get the model again."
        )
    return cfg


def _detector(bundle: Bundle, images: OnImages) -> Callable[[NDArray[np.uint8], list[str], float], list[Detection]]:
    from ..darknet.embedded_detection import at_once, find_boxes
    from ..darknet.images import in_memory
    from ..darknet.weights import read_weights
    from ..stage1.detections import MOST_BOXES

    cfg, batch = _cfg(bundle, images), at_once()
    run = looking().detector(cfg, read_weights(bundle.weights, cfg), batch)

    def boxes(slices: NDArray[np.uint8], names: list[str], least: float) -> list[Detection]:
        looked_at = in_memory(names, slices)
        return find_boxes(run, cfg, looked_at, threshold=least, nms=images.nms, most=MOST_BOXES, batch=batch)

    return boxes
