"""Where a voxel of a volume lies on the square network image, and back.

The one place that says which in-plane axis is the column and which the row. Images are radiological: the patient's
right is on the image's left and anterior is on top. With voxel (i, j) on canonical axes of an (ni, nj) plane, the
distance from the patient's right edge is ``u = ni - (i + 0.5)`` and from the anterior edge ``v = nj - (j + 0.5)``
[voxel]; then ``column = scale_column * u + offset_column`` and ``row = scale_row * v + offset_row`` in edge
coordinates [px]: pixel ``c`` covers ``[c, c + 1)``.

The paper (section 2.3) crops its HR volumes (448 x 512 voxels lose 32 rows at the top and 32 at the bottom) and
scales its LR volumes (252 x 288) to 448 x 448 by bilinear interpolation, each axis with its own factor.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UsageError
from ..model import IMAGE_SIZE, Frame

__all__ = ["apply", "make_frame", "to_image", "to_voxel"]

_CROP_LIMIT = 8  # auto crops or pads only where each axis changes by at most 1/8: 512 -> 448 is exactly that


def make_frame(
    shape_ij: tuple[int, int], size: int = IMAGE_SIZE, mode: Literal["auto", "crop", "resize"] = "auto"
) -> Frame:
    """Decide how a plane becomes a square image.

    Parameters
    ----------
    shape_ij : (int, int)
        Voxels along i and j of the volume on canonical axes.
    size : int
        Side of the image [px].
    mode : {"auto", "crop", "resize"}
        ``crop`` keeps the voxels as they are and cuts or zero-pads around the centre: half on each side, and where
        the difference is odd the extra voxel goes to the right or the bottom. ``resize`` stretches the whole plane,
        each axis with its own factor. ``auto`` crops where that changes each axis by at most 1/8, else resizes.

    Returns
    -------
    Frame

    Raises
    ------
    UsageError
        If the mode is none of these or a length is not positive.
    """
    ni, nj = (int(n) for n in shape_ij)
    if mode not in ("auto", "crop", "resize"):
        raise UsageError(f"mode {mode!r}: expected auto, crop or resize.")
    if min(ni, nj, size) < 1:
        raise UsageError(
            f"a plane of {ni} x {nj} voxels cannot become an image of {size} px: lengths must be positive."
        )
    if mode == "auto":
        mode = "crop" if all(_CROP_LIMIT * abs(size - n) <= n for n in (ni, nj)) else "resize"
    if mode == "resize":
        return Frame((ni, nj), size, mode, size / ni, 0.0, size / nj, 0.0)
    return Frame((ni, nj), size, mode, 1.0, float(_before(ni, size)), 1.0, float(_before(nj, size)))


def _before(n: int, size: int) -> int:
    """Pixels added (negative: dropped) before the first of `n` voxels to centre them in `size` pixels."""
    return (size - n) // 2 if size >= n else -((n - size) // 2)


def apply(frame: Frame, data: NDArray[np.generic]) -> NDArray[np.float32]:
    """Put a plane, or every slice of a volume, on the network image.

    Parameters
    ----------
    frame : Frame
    data : (i, j) or (i, j, k) array
        On the canonical axes and of the shape the frame was made for.

    Returns
    -------
    (row, column) or (k, row, column) float32 array
        Values as they were; 0 where the image reaches beyond the volume. Resizing is bilinear in the half-pixel
        convention where an axis grows, and an area mean where it shrinks (bilinear samples would skip voxels).

    Raises
    ------
    UsageError
        If the shape is not the frame's.
    """
    if data.shape[:2] != frame.shape or data.ndim not in (2, 3):
        raise UsageError(f"data of shape {data.shape} do not fit a frame made for planes of {frame.shape} voxels.")
    if data.ndim == 2:
        return _plane(frame, data.T[::-1, ::-1])
    planes = np.ascontiguousarray(data.T)  # k first: slices lie together
    images = np.empty((data.shape[2], frame.size, frame.size), np.float32)
    for k, plane in enumerate(planes):
        images[k] = _plane(frame, plane[::-1, ::-1])
    return images


def _plane(frame: Frame, image: NDArray[np.generic]) -> NDArray[np.float32]:
    """Fit a plane that is turned already, (nj, ni) row by column, to the image."""
    ni, nj = frame.shape
    size = frame.size
    if frame.mode == "resize":
        resized = np.ascontiguousarray(image, np.float32)
        # axis by axis: OpenCV's area mean needs both factors to shrink
        for width, height, n in ((size, nj, ni), (size, size, nj)):
            method = cv2.INTER_AREA if size < n else cv2.INTER_LINEAR
            resized = np.asarray(cv2.resize(resized, (width, height), interpolation=method), np.float32)
        return resized
    left, top = int(frame.offset_column), int(frame.offset_row)
    canvas = np.zeros((size, size), np.float32)
    canvas[max(top, 0) : max(top + nj, 0), max(left, 0) : max(left + ni, 0)] = image[
        max(-top, 0) : max(-top, 0) + size, max(-left, 0) : max(-left, 0) + size
    ]
    return canvas


def to_image(frame: Frame, ij: ArrayLike) -> NDArray[np.float64]:
    """Where voxels lie on the image.

    Parameters
    ----------
    frame : Frame
    ij : (..., 2) array-like
        Voxel indices i, j on canonical axes, 0-based, may be fractional; whole numbers are voxel centres.

    Returns
    -------
    (..., 2) float64 array
        Column, row in edge coordinates [px]. May lie outside the image where the frame crops.
    """
    points = np.asarray(ij, float)
    ni, nj = frame.shape
    column = frame.scale_column * (ni - (points[..., 0] + 0.5)) + frame.offset_column
    row = frame.scale_row * (nj - (points[..., 1] + 0.5)) + frame.offset_row
    return np.stack([column, row], axis=-1)


def to_voxel(frame: Frame, column_row: ArrayLike) -> NDArray[np.float64]:
    """Where points of the image lie in the volume: the inverse of :func:`to_image`.

    Parameters
    ----------
    frame : Frame
    column_row : (..., 2) array-like
        Column, row in edge coordinates [px].

    Returns
    -------
    (..., 2) float64 array
        Fractional voxel indices i, j on canonical axes.
    """
    points = np.asarray(column_row, float)
    ni, nj = frame.shape
    i = ni - (points[..., 0] - frame.offset_column) / frame.scale_column - 0.5
    j = nj - (points[..., 1] - frame.offset_row) / frame.scale_row - 0.5
    return np.stack([i, j], axis=-1)
