"""Whether a scan is like those that a model learned from, and on which voxels it is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .content import Content, Grid

__all__ = ["Fit", "fit"]

Light = Literal["green", "amber", "red"]

_SAME = 0.05
"""Share by which voxel sides may differ from those learned from and still be the same: a scan is not resampled."""

_COARSER, _MUCH_COARSER = 1.2, 2.0
"""Factors by which voxels may be larger before there is a doubt, and before the scan is refused: what larger voxels do
not show, no resampling brings back."""

_FINER = 0.5
_COVERED = 0.5
_ECHO = 0.35


@dataclass(frozen=True)
class Fit:
    """How a scan fits a model.

    Attributes
    ----------
    grid : Grid
        The one of the model that it is nearest to.
    voxel_mm : three floats
        On which voxels it is looked at: its own, where they are the grid's, else those.
    light : {"green", "amber", "red"}
        Like what was learned from; not quite; so far from it that it should not be looked at.
    reasons : tuple of str
        Why it is not green.
    """

    grid: Grid
    voxel_mm: tuple[float, float, float]
    light: Light
    reasons: tuple[str, ...]

    def doubted(self, reason: str) -> Fit:
        """The same with a further reason not to be green."""
        return replace(self, light="red" if self.light == "red" else "amber", reasons=(*self.reasons, reason))


def fit(content: Content, spacing: Sequence[float], shape: Sequence[int], echo_time_ms: float | None) -> Fit:
    """Hold a scan against what a model learned from.

    Parameters
    ----------
    content : Content
    spacing : three floats
        Its voxel size [mm].
    shape : three ints
    echo_time_ms : float or None
    """
    own = np.asarray(spacing, float)
    sides = [np.asarray(grid.voxel_mm) for grid in content.grids]
    nearest = int(np.argmin([np.linalg.norm(np.log(own / side)) for side in sides]))
    grid, ratio = content.grids[nearest], own / sides[nearest]
    same = bool((np.abs(ratio - 1) <= _SAME).all())
    voxel = tuple(float(side) for side in (own if same else sides[nearest]))
    amber, red = [], []
    learned = " x ".join(f"{side:.3g}" for side in grid.voxel_mm)
    mine = " x ".join(f"{side:.3g}" for side in own)
    said = f"voxels of {mine} mm, where the model learned from {learned} mm"
    if ratio.max() > _MUCH_COARSER:
        red.append(f"{said}: so much larger that small microbleeds do not show")
    elif ratio.max() > _COARSER:
        amber.append(f"{said}: larger, so that small microbleeds show less; the scan was resampled")
    elif ratio.min() < _FINER:
        amber.append(f"{said}: much smaller; the scan was averaged")
    field, learned_field = own * shape, np.multiply(grid.voxel_mm[:2], grid.matrix)
    if (field[:2] < _COVERED * learned_field).any():
        amber.append(
            f"a field of view of {_field(field)} mm, where the model learned from {_field(learned_field)} mm: a crop, "
            "whose grey values are scaled by less than a brain"
        )
    few = content.learned.slices[0] * _COVERED * grid.voxel_mm[2]
    if shape[2] * own[2] < few:
        amber.append(f"covers {shape[2] * own[2]:.0f} mm, less than half of what the model learned from")
    times = content.learned.echo_times_ms
    if times is not None and echo_time_ms is not None:
        low, high = times[0] * (1 - _ECHO), times[1] * (1 + _ECHO)
        if not low <= echo_time_ms <= high:
            amber.append(
                f"an echo time of {echo_time_ms:g} ms, where the model learned from {_span(times)} ms: microbleeds "
                f"look {'smaller' if echo_time_ms < low else 'larger'}"
            )
    return Fit(grid, voxel, "red" if red else "amber" if amber else "green", (*red, *amber))  # type: ignore[arg-type]


def _field(sides: NDArray[np.float64]) -> str:
    return f"{sides[0]:.0f} x {sides[1]:.0f}"


def _span(times: tuple[float, float]) -> str:
    low, high = (f"{time:g}" for time in times)
    return low if low == high else f"{low} to {high}"
