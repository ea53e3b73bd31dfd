"""A model's networks in memory, ready to look at scans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bundle.files import Bundle
from ..darknet.cfg import Cfg, read_cfg
from ..errors import DataError
from ..model import Detection

__all__ = ["Networks", "load"]


@dataclass(frozen=True)
class Networks:
    """Both stages.

    Attributes
    ----------
    boxes : callable
        (k, row, column, RGB) uint8 images and their names -> boxes of at least the model's confidence.
    probability : callable or None
        (n, size, 2 size, size) patches -> (n,) probabilities.
    patch : int
        Side of a patch [voxel].
    """

    boxes: Callable[[NDArray[np.uint8], list[str], float], list[Detection]]
    probability: Callable[[NDArray[np.float32]], NDArray[np.float64]] | None
    patch: int


def load(bundle: Bundle) -> Networks:
    """Build a model's networks.

    Raises
    ------
    DataError
        If a file does not hold what it must.
    """
    cfg = read_cfg(bundle.cfg)
    look = bundle.content.look
    if cfg.region.classes != 1 or (cfg.net.width, cfg.net.height) != (look.size, look.size):
        raise DataError(
            f"{bundle.cfg}: takes images of {cfg.net.width} x {cfg.net.height} px and knows {cfg.region.classes} "
            f"classes; the model says {look.size} x {look.size} px and one. Get the model again."
        )
    run = _detector(bundle, cfg)
    if bundle.classifier is None:
        return Networks(run, None, 0)
    from ..stage2 import networks
    from ..stage2.training import predict

    classifier: Any = networks.load(bundle.classifier)
    return Networks(run, lambda patches: predict(classifier, patches), int(classifier.input_shape[1]))


def _detector(bundle: Bundle, cfg: Cfg) -> Callable[[NDArray[np.uint8], list[str], float], list[Detection]]:
    from ..darknet.embedded_detection import at_once, find_boxes_on
    from ..darknet.looking import looking
    from ..darknet.weights import read_weights
    from ..stage1.detections import MOST_BOXES

    batch = at_once()
    run = looking().detector(cfg, read_weights(bundle.weights, cfg), batch)

    def boxes(images: NDArray[np.uint8], names: list[str], least: float) -> list[Detection]:
        return find_boxes_on(
            run, cfg, images, names, threshold=least, nms=bundle.content.look.nms, most=MOST_BOXES, batch=batch
        )

    return boxes
