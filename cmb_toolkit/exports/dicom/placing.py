"""A volume on the frames of a series: by world coordinates alone, whatever the order of axes on either side."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_OFF", "Placed", "placed"]

MOST_OFF = 0.01
"""How far off the volume's voxels a frame's pixels may lie [voxel]."""

Affine = NDArray[np.float64]


class Placed:
    """A frame on a volume's voxels.

    Attributes
    ----------
    off : float
        The farthest that a pixel's centre lies from a voxel's [voxel]; infinite where the axes differ.
    axis, slice : int
        Across which axis of the volume it lies, and which of the planes there it is; -1 where it is none of them, or
        not all of one.
    """

    def __init__(self, to_voxel: Affine, frame: tuple[int, int], volume: tuple[int, ...]) -> None:
        """
        Parameters
        ----------
        to_voxel : (4, 4) array
            From (column, row, 0, 1) to the volume's voxel.
        frame : two ints
            Columns and rows.
        volume : three ints
            The volume's shape.
        """
        self._whole = np.rint(to_voxel[:3]).astype(int)
        self._frame, self._volume = frame, volume
        columns, rows = (length - 1 for length in frame)
        corners = np.array([[0, 0, 0, 1], [columns, 0, 0, 1], [0, rows, 0, 1], [columns, rows, 0, 1]]).T
        self.off, self.axis, self.slice = np.inf, -1, -1
        steps = np.abs(self._whole[:, :2])
        if not ((steps.sum(axis=0) == 1).all() and (steps.sum(axis=1) <= 1).all()):
            return
        self.off = float(np.abs(to_voxel[:3] @ corners - self._whole @ corners).max())
        reached = self._whole @ corners
        normal = int(steps.sum(axis=1).argmin())
        within = [axis for axis in range(3) if axis != normal]
        whole = all(reached[axis].min() == 0 and reached[axis].max() == volume[axis] - 1 for axis in within)
        if whole and 0 <= reached[normal, 0] < volume[normal]:
            self.axis, self.slice = normal, int(reached[normal, 0])

    def of(self, volume: NDArray[Any]) -> NDArray[Any]:
        """The volume's values at the frame's pixels, (column, row); of a frame that is one of its planes."""
        column, row = np.indices(self._frame)
        voxel = self._whole[:, 0, None, None] * column + self._whole[:, 1, None, None] * row
        plane: NDArray[Any] = volume[tuple(voxel + self._whole[:, 3, None, None])]
        return plane


def placed(frame_affine: Affine, frame: tuple[int, int], affine: Affine, volume: tuple[int, ...]) -> Placed:
    """Where a frame lies on a volume's voxels.

    Parameters
    ----------
    frame_affine : (4, 4) array
        From (column, row, 0, 1) to world coordinates [mm].
    frame : two ints
        Columns and rows.
    affine : (4, 4) array
        From the volume's voxels to the same world.
    volume : three ints
        Its shape.
    """
    return Placed(np.linalg.inv(affine) @ frame_affine, frame, volume)
