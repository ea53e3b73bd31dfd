"""How the pictures of these pages show volumes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray


def upright(plane: NDArray[Any], zooms: Sequence[float]) -> NDArray[Any]:
    """As a radiologist sees it, anterior up and the patient's right on the left, with square pixels."""
    image = np.ascontiguousarray(plane.T[::-1, ::-1], np.float32)
    finest = min(zooms[:2])
    size = round(image.shape[1] * zooms[0] / finest), round(image.shape[0] * zooms[1] / finest)
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)


def show(
    axes: Axes,
    plane: NDArray[Any],
    zooms: Sequence[float],
    low: float,
    high: float,
    *,
    outlines: Sequence[tuple[NDArray[np.bool_], str]] = (),
) -> None:
    """One grey image between two values; outlines are pairs of mask and colour."""
    axes.imshow(upright(plane, zooms), cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    for mask, colour in outlines:
        if mask.any():
            axes.contour(upright(mask.astype(np.float32), zooms), [0.5], colors=[colour], linewidths=0.9)
    axes.set_xticks([])
    axes.set_yticks([])


def save(figure: Figure, path: Path) -> None:
    """As JPEG, since noise makes PNGs of grey images five times as large; says how large it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="jpeg", dpi=110, pil_kwargs={"quality": 80, "optimize": True})
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")
