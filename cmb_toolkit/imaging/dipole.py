"""Of which sign a source of field is: blood is paramagnetic, calcium diamagnetic, and both are dark on SWI.

A small source makes the field of a dipole around it, ``(3 cos^2 - 1) / r^3`` of the angle to the main field and the
distance; a diamagnetic one the same with the other sign (Schenck, Med Phys 23:815, 1996). Inside it the phase of thick
slices says little, so the surroundings are asked.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["DIAMAGNETIC", "dipole_likeness"]

DIAMAGNETIC = -0.2
"""Likeness from which down a source is called diamagnetic. `benchmarks/diamagnetic.py` shows what that gives."""

_SHELL_MM = (1.5, 6.0)
_LEAST_VOXELS = 30


def dipole_likeness(
    phase: NDArray[np.float32],
    mask: NDArray[np.bool_],
    centre: ArrayLike,
    spacing: Sequence[float],
    main_field: ArrayLike,
) -> float:
    """How like the dipole of a paramagnetic source the phase around a place is.

    Parameters
    ----------
    phase : (i, j, k) array
        High-passed [rad], paramagnetic positive.
    mask : (i, j, k) bool array
        The brain; nothing else is asked.
    centre : three floats
        Middle of the source [voxel].
    spacing : three floats
        Voxel size [mm].
    main_field : three floats
        Its direction along the voxels' axes, of length 1.

    Returns
    -------
    float
        Correlation over the shell from 1.5 to 6 mm: 1 as a paramagnetic source, -1 as a diamagnetic one; NaN where too
        little of the shell is brain, or its phase is the same everywhere.
    """
    middle, side = np.asarray(centre, float), np.asarray(spacing, float)
    low = np.maximum(np.floor(middle - _SHELL_MM[1] / side), 0).astype(int)
    high = np.minimum(np.ceil(middle + _SHELL_MM[1] / side) + 1, phase.shape).astype(int)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    offsets = (np.moveaxis(np.indices(phase[box].shape), 0, -1) + (low - middle)) * side
    away = np.linalg.norm(offsets, axis=-1)
    shell = mask[box] & (away > _SHELL_MM[0]) & (away < _SHELL_MM[1])
    if shell.sum() < _LEAST_VOXELS:
        return float("nan")
    cosine = (offsets @ np.asarray(main_field, float))[shell] / away[shell]
    dipole = (3 * cosine**2 - 1) / away[shell] ** 3
    seen = phase[box][shell].astype(float)
    dipole, seen = dipole - dipole.mean(), seen - seen.mean()
    size = float(np.sqrt((dipole**2).sum() * (seen**2).sum()))
    return float((dipole * seen).sum() / size) if size > 0 else float("nan")
