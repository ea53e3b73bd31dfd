"""Whether two volumes are the same scan: exported again, rounded, scaled, as integers or with a slope."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["same_scans", "signature"]

_PLACES = 2000
_SAME = 0.9
_STEP = 2  # between the voxels whose values are compared


def signature(volume: NDArray[np.floating]) -> tuple[float, ...]:
    """What tells a scan: how its values change over two voxels, noise and all, at places that depend on its shape.

    Parameters
    ----------
    volume : (i, j, k) array

    Returns
    -------
    tuple of float
        Of mean 0 and length 1; empty for a volume that is too small or flat.
    """
    if min(volume.shape[:2]) <= 2 * _STEP:
        return ()
    rng = np.random.default_rng(list(volume.shape))
    i, j, k = (rng.integers(0, n - _STEP if axis < 1 else n, _PLACES) for axis, n in enumerate(volume.shape))
    changes = volume[i + _STEP, j, k].astype(float) - volume[i, j, k]
    # ranks rather than values: a few edges would outweigh the noise, which is what no other scan shares
    low, high = (np.searchsorted(np.sort(changes), changes, side) for side in ("left", "right"))
    ordered = (low + high - len(changes)) / 2
    length = float(np.linalg.norm(ordered))
    if np.ptp(changes) == 0 or length == 0:
        return ()
    return tuple((ordered / length).round(7).tolist())


def same_scans(signatures: Sequence[Sequence[float]]) -> list[list[int]]:
    """Which of several scans are the same: groups of their numbers, each of two or more."""
    groups: list[list[int]] = []
    for lengths in {len(one) for one in signatures if len(one)}:
        mine = [n for n, one in enumerate(signatures) if len(one) == lengths]
        table = np.array([signatures[n] for n in mine])
        left = list(range(len(mine)))
        while left:
            first = left.pop(0)
            same = [n for n in left if float(table[first] @ table[n]) > _SAME]
            left = [n for n in left if n not in same]
            if same:
                groups.append([mine[n] for n in (first, *same)])
    return sorted(groups)
