"""Planes of a volume as they are looked at, and grey values as pictures in a page."""

from __future__ import annotations

import base64
from typing import Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Grey", "grey", "picture_address", "radiological"]

Grey = NDArray[np.uint8]

_Any = TypeVar("_Any", bound=np.generic)

_JPEG_QUALITY = 85


def radiological(plane: NDArray[_Any]) -> NDArray[_Any]:
    """An (i, j) plane on canonical axes as (row, column): anterior on top, the patient's right on the left."""
    return plane[::-1, ::-1].T


def grey(plane: NDArray[np.float32], window: tuple[float, float]) -> Grey:
    """0..255 between the ends of a window; NaN is black."""
    low, high = window
    shown = np.nan_to_num((plane - low) / max(high - low, 1e-30), nan=0.0).clip(0, 1) * 255
    return np.asarray(np.rint(shown), np.uint8)


def picture_address(picture: Grey, kind: Literal["png", "jpeg"] = "png") -> str:
    """An image as an address that holds it: PNG without loss, JPEG a fifth as large."""
    options = [cv2.IMWRITE_PNG_COMPRESSION, 9] if kind == "png" else [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    done, data = cv2.imencode(".png" if kind == "png" else ".jpg", np.ascontiguousarray(picture), options)
    assert done
    return f"data:image/{kind};base64," + base64.b64encode(data.tobytes()).decode("ascii")
