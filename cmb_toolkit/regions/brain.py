"""A brain as one scan is laid on another by: its picture on coarse voxels, black outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from nibabel.affines import voxel_sizes
from numpy.typing import NDArray

__all__ = ["AROUND_MM", "VOXEL_MM", "Brain", "coarse"]

VOXEL_MM = 2.0
"""What the sides of the coarse voxels come near to."""

AROUND_MM = 12.0
"""So much of what is around the brain is kept, where the scan shows it: so that the brain's edge counts."""

_DARKEST = 1e-3
"""Of the brightest voxel: what voxels of the brain have at least."""


@dataclass(frozen=True, eq=False)
class Brain:
    """A brain.

    Attributes
    ----------
    image : (i, j, k) float32 array
        Any scale; 0 outside the brain.
    affine : (4, 4) array
        From voxels to world [mm], RAS.
    """

    image: NDArray[np.float32]
    affine: NDArray[np.float64]

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The brain's voxels."""
        return self.image > 0

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size [mm]."""
        i, j, k = (float(side) for side in voxel_sizes(self.affine))
        return i, j, k

    @property
    def height_mm(self) -> float:
        """From the lowest of its slices to the highest."""
        there = np.flatnonzero(self.mask.any(axis=(0, 1)))
        return float(there[-1] - there[0] + 1) * self.spacing[2] if len(there) else 0.0


def coarse(
    image: NDArray[np.float32], mask: NDArray[np.bool_], affine: NDArray[np.float64], voxel_mm: float = VOXEL_MM
) -> Brain:
    """Average a scan over blocks of voxels; cut to the brain and what was seen of the black around it.

    Where the scan ends within the brain there is nothing around: there the brain has no edge.

    Parameters
    ----------
    image : (i, j, k) array
        What shows the anatomy; only what is in the brain counts.
    mask : (i, j, k) bool array
        The brain; at least one voxel.
    affine : (4, 4) array
        [mm]
    voxel_mm : float
        What the sides of the blocks come near to.
    """
    factors = [max(1, round(voxel_mm / side)) for side in voxel_sizes(affine)]
    there = np.argwhere(mask.any(axis=2)), np.flatnonzero(mask.any(axis=(0, 1)))
    around = np.ceil(AROUND_MM / voxel_sizes(affine)).astype(int)
    low = np.maximum(np.array([*there[0].min(axis=0), there[1][0]]) - around, 0)
    high = np.minimum(np.array([*there[0].max(axis=0), there[1][-1]]) + 1 + around, mask.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    inside = _blocks(mask[box].astype(np.float32), factors)
    total = _blocks(np.where(mask[box], np.maximum(image[box], 0), 0).astype(np.float32), factors)
    averaged = total / np.maximum(inside, np.float32(0.5))
    darkest = _DARKEST * float(averaged.max()) or _DARKEST  # veins are in the brain, too
    averaged = np.where(inside >= 0.5, np.maximum(averaged, np.float32(darkest)), np.float32(0))
    to_fine = np.eye(4)
    to_fine[:3, :3] = np.diag(factors)
    to_fine[:3, 3] = low + (np.array(factors) - 1) / 2
    return Brain(np.asarray(averaged, np.float32), affine @ to_fine)


def _blocks(volume: NDArray[np.float32], factors: Sequence[int]) -> NDArray[np.float32]:
    """Means of blocks; what is missing in the last ones is 0."""
    missing = [(0, -n % factor) for n, factor in zip(volume.shape, factors, strict=True)]
    padded = np.pad(volume, missing)
    shape = [size for n, f in zip(padded.shape, factors, strict=True) for size in (n // f, f)]
    return np.asarray(padded.reshape(shape).mean(axis=(1, 3, 5)), np.float32)
