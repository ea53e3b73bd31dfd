"""Which frames of which series an image was made of: those that lie on its voxels and hold its values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ...io.dicom_frames import Frame, Series, pixels
from ...io.nifti import Grid, Volume
from .placing import MOST_OFF, Placed, placed

__all__ = ["Source", "fits", "source_of"]

_SAME = 0.999
"""Least correlation of values that are the same: whole numbers were rounded, and no more."""

_NEAR = 1.0
"""Within how many voxels a series that does not fit is spoken of."""


@dataclass(frozen=True)
class Source:
    """What an image was made of.

    Attributes
    ----------
    series : Series
    frames : tuple of Frame
        One for each slice of the image, in its order.
    """

    series: Series
    frames: tuple[Frame, ...]


def fits(series: Series, grid: Grid) -> bool:
    """Whether frames of a series lie on a file's voxels; what they hold is not looked at.

    Parameters
    ----------
    series : Series
    grid : Grid
    """
    lying = (placed(frame.affine, frame.shape, grid.affine, grid.shape) for frame in series.frames)
    return any(each.slice >= 0 and each.off <= MOST_OFF for each in lying)


def source_of(images: Sequence[Volume], every: Sequence[Series]) -> Source:
    """The frames that an image was made of.

    Parameters
    ----------
    images : sequence of Volume
        Any of which will do, the first before others; all on one grid.
    every : sequence of Series
        What there is.

    Raises
    ------
    DataError
        If no series lies on the image's voxels, within 0.01 of one; if none of those that do holds its values; or if
        several of different examinations do.
    """
    first = images[0]
    near = np.inf
    fitting: list[tuple[Series, list[list[tuple[Frame, Placed]]]]] = []
    for series in every:
        planes, off = _planes(series, first)
        if planes:
            fitting.append((series, planes))
        near = min(near, off)
    if not fitting:
        apart = f"; the nearest is {near:.2g} voxels off, and 0.01 is allowed" if near < _NEAR else ""
        raise DataError(
            f"{first.path}: none of {len(every)} DICOM series lies on its voxels{apart}. Give the folder with "
            "the series that it was made from with --dicom-from."
        )
    for image in images:
        found = [_chosen(series, planes, image) for series, planes in fitting]
        same = [each for each in found if each[0] >= _SAME]
        if len({source.series.examination for _, source in same}) > 1:
            places = " and ".join(str(source.frames[0].path.parent) for _, source in same)
            raise DataError(
                f"{first.path}: DICOM series of several examinations hold its values, in {places}; is one a copy for "
                "others' eyes? Give the folder with the one that is meant with --dicom-from."
            )
        if same:
            return max(same, key=lambda each: each[0])[1]
    numbers = ", ".join(str(series.number) for series, _ in fitting)
    raise DataError(
        f"{first.path}: DICOM series {numbers} lies on its voxels but holds other values: of another image, or of "
        "another person. Give the folder with the series that it was made from with --dicom-from."
    )


def _planes(series: Series, image: Volume) -> tuple[list[list[tuple[Frame, Placed]]], float]:
    """The frames at each slice, none of all where one has none; and how far off the nearest are that do not fit."""
    planes: list[list[tuple[Frame, Placed]]] = [[] for _ in range(image.shape[2])]
    off = np.inf
    for frame in series.frames:
        lying = placed(frame.affine, frame.shape, image.affine, image.shape)
        if lying.axis != 2:
            continue
        if lying.off <= MOST_OFF:
            planes[lying.slice].append((frame, lying))
        off = min(off, lying.off)
    return (planes, 0.0) if all(planes) else ([], off)


def _chosen(series: Series, planes: Sequence[Sequence[tuple[Frame, Placed]]], image: Volume) -> tuple[float, Source]:
    """Of each slice the frame most like it, and how like the image all of them together are."""
    frames, values, expected = [], [], []
    for there in planes:
        candidates = [(pixels(frame), lying.of(image.data), frame) for frame, lying in there]
        shown, wanted, frame = max(candidates, key=lambda each: _alike(each[0], each[1]))
        frames.append(frame)
        values.append(shown.ravel())
        expected.append(wanted.ravel())
    return _alike(np.concatenate(values), np.concatenate(expected)), Source(series, tuple(frames))


def _alike(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Correlation; 1 of two that are constant, 0 where one is."""
    a, b = (each - each.mean(dtype=float) for each in (one, other))
    square = float((a * a).sum(dtype=float)) * float((b * b).sum(dtype=float))
    if square == 0:
        return float(not a.any() and not b.any())
    return float((a * b).sum(dtype=float)) / float(np.sqrt(square))
