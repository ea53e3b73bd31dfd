"""Phase in two groups with nothing between: signed numbers that somebody stored as unsigned ones, or padding.

A wrapped phase fills its cycle, for the noise outside the head does. Where the middle of the range is empty the file's
lowest and highest values are no ends of a cycle, and no unit can be read from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Groups", "two_groups"]

_BINS = 64
_EMPTY = _BINS // 8  # bins in a row that must be empty
_SAMPLE = 200_000
_LIKE = 0.02  # share of the signed span that either end may be off from where unsigned numbers begin and end


@dataclass(frozen=True)
class Groups:
    """Two groups of values.

    Attributes
    ----------
    low, low_end, high_start, high : float
        Where they begin and end.
    turns : float or None
        What to take from the upper group's values to undo that they were stored as unsigned 16-bit numbers; None where
        they were not.
    """

    low: float
    low_end: float
    high_start: float
    high: float
    turns: float | None

    def __str__(self) -> str:
        return f"{self.low:.6g} .. {self.low_end:.6g} and {self.high_start:.6g} .. {self.high:.6g}"

    def signed(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """The values with those of the upper group brought below the lower one."""
        turns = np.float32(self.turns or 0)
        result = np.asarray(values, np.float32)
        return np.where(result >= np.float32(self.high_start), result - turns, result)


def two_groups(values: NDArray[Any]) -> Groups | None:
    """Find two groups of values with an empty eighth of their range, or more, between them; None where it is filled."""
    low, high = float(values.min()), float(values.max())
    if not high > low:
        return None
    for sample in (values.ravel()[:: max(1, values.size // _SAMPLE)], values):  # few voxels tell most files
        edges = np.flatnonzero(np.histogram(np.append(sample, (low, high)), _BINS, (low, high))[0])
        gaps = np.diff(edges)
        widest = int(gaps.argmax())
        if gaps[widest] <= _EMPTY:
            return None
    middle = low + (high - low) * (edges[widest] + edges[widest + 1] + 1) / 2 / _BINS
    below, above = values[values < middle], values[values >= middle]
    low_end, high_start = float(below.max()), float(above.min())
    return Groups(low, low_end, high_start, high, _turns(below, above))


def _turns(below: NDArray[Any], above: NDArray[Any]) -> float | None:
    """65536 steps, where two groups are what unsigned 16 bits make of signed numbers on either side of 0."""
    levels = np.unique(below)
    if len(levels) < 2:
        return None
    step = float(np.median(np.diff(levels.astype(float))))
    for unit in (step, step / 2, step / 4, step / 8):  # of the numbers only every second may occur, or every fourth
        turns = 65536 * unit
        signed = float(below.max()) - (float(above.min()) - turns)
        off = abs(float(above.max()) + step - turns - float(below.min()))
        if 0 < signed < turns and off <= _LIKE * signed:
            return turns
    return None
