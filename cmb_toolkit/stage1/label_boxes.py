"""The square that stands for a microbleed on the network image (paper, section 2.2.2), and which slices carry it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..imaging.frame import to_image
from ..model import BOX_SIZE, Frame

__all__ = ["choose_negatives", "clip_boxes", "label_slices", "microbleed_boxes"]


def microbleed_boxes(frame: Frame, ij: ArrayLike) -> NDArray[np.float64]:
    """Squares of :data:`cmb_toolkit.model.BOX_SIZE` pixels centred on the marked voxels' centres.

    Parameters
    ----------
    frame : Frame
    ij : (n, 2) array-like
        Marked voxels on canonical axes, 0-based.

    Returns
    -------
    (n, 4) float64 array
        Left, top, right, bottom [px], 0-based, half open; not clipped, so they may reach beyond the image.
    """
    centre = to_image(frame, np.asarray(ij, float).reshape(-1, 2))
    return np.concatenate([centre - BOX_SIZE / 2, centre + BOX_SIZE / 2], axis=1)


def clip_boxes(boxes: ArrayLike, size: int) -> NDArray[np.float64]:
    """Cut boxes at the border of an image of `size` pixels; (n, 4) in, (n, 4) out."""
    clipped: NDArray[np.float64] = np.clip(np.asarray(boxes, float).reshape(-1, 4), 0, size)
    return clipped


def label_slices(k: int, slices: int, reach: int) -> range:
    """Slices that carry the box of a microbleed marked on slice `k`: itself (the paper) and `reach` on either side."""
    return range(max(k - reach, 0), min(k + reach + 1, slices))


def choose_negatives(
    marked: ArrayLike,
    brain_voxels: ArrayLike,
    count: int,
    rng: np.random.Generator,
    *,
    distance: int = 2,
    brain_share: float = 0.1,
) -> NDArray[np.intp]:
    """Choose slices without a microbleed to train on.

    Parameters
    ----------
    marked : (n,) integer array-like
        Slices that carry a box.
    brain_voxels : (slices,) array-like
        Voxels of the brain mask on each slice.
    count : int
        How many are wanted; fewer come back where the subject has fewer.
    rng : numpy.random.Generator
    distance : int
        Least distance from every marked slice [slices].
    brain_share : float
        Least brain area, as a share of the subject's largest slice.

    Returns
    -------
    (m,) integer array
        Slice numbers, ascending, without repetition.
    """
    brain = np.asarray(brain_voxels, float)
    numbers = np.arange(brain.size)
    far = np.abs(numbers[:, None] - np.asarray(marked, int).reshape(1, -1)).min(axis=1, initial=brain.size) >= distance
    fit = numbers[far & (brain > 0) & (brain >= brain_share * brain.max(initial=0))]
    return np.sort(rng.choice(fit, min(count, fit.size), replace=False))
