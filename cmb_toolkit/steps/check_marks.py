"""What is wrong with the marks, held against the volumes that they are in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from ..io.layout import Study
from ..io.marks import inside
from .check_files import ScanFacts
from .check_problem import Problem, error, times, warning

__all__ = ["check_positions"]

_DARK_SHARE = 0.7
"""Fewer marks than this on dark spots are suspicious; simulated truth reaches 0.95 to 1, wrong axes 0.1 to 0.5."""

_FEW_MARKS = 8
_NEAR_VOXEL = 0.75
"""How far [voxel] a mark's world position may be from its voxel's centre."""


def check_positions(study: Study, marks: pd.DataFrame, scans: Sequence[ScanFacts]) -> Iterator[Problem]:
    """Marks outside their volumes, world positions that are not the voxels', marks that are not dark."""
    for facts in scans:
        mine = marks[marks["participant_id"] == facts.name]
        if not facts.shape or mine.empty:
            continue
        back = np.linalg.inv(np.array(facts.affine))
        voxels = mine[["i", "j", "k"]].to_numpy(float)
        world = mine[["x_mm", "y_mm", "z_mm"]].apply(pd.to_numeric, errors="coerce").to_numpy(float)
        away = world @ back[:3, :3].T + back[:3, 3] - voxels
        for line, voxel, fits, distance in zip(
            mine.index, voxels, inside(voxels, facts.shape), np.abs(away).max(axis=1), strict=True
        ):
            at = f"({', '.join(f'{x:g}' for x in voxel)})"
            if not fits:
                yield error(
                    f"{study.microbleeds}: line {line + 2}: mark {at} is outside the volume of {facts.name}, "
                    f"{times(facts.shape)} (i, j, k from 0, canonical axes). Correct it, or import with another "
                    "--label-base or --label-axes.",
                    facts.name,
                )
            elif distance > _NEAR_VOXEL:
                yield error(
                    f"{study.microbleeds}: line {line + 2}: voxel {at} and its world position are {distance:.1f} "
                    f"voxels apart on the grid of {facts.file}. Was the scan reoriented or resampled since? "
                    "Import again.",
                    facts.name,
                )
    yield from _check_darkness(study, scans)


def _check_darkness(study: Study, scans: Sequence[ScanFacts]) -> Iterator[Problem]:
    """Too few marks on dark spots, of all subjects or of those whose files store their axes alike.

    A wrong idea of how labels count can be right for one order of axes and wrong for another.
    """
    alike = {axes: [scan for scan in scans if scan.axes == axes] for axes in sorted({scan.axes for scan in scans})}
    for who, group in [
        ("", list(scans)),
        *((f" of the files with axes {axes}", group) for axes, group in alike.items()),
    ]:
        total, dark = sum(scan.marks for scan in group), sum(scan.dark_marks for scan in group)
        if total >= _FEW_MARKS and dark < _DARK_SHARE * total:
            yield warning(
                f"{study.microbleeds}: only {dark} of {total} marks{who} lie on spots darker than their surroundings. "
                "The labels may count otherwise than was said: look at some, and try other --label-axes and "
                "--label-base in `cmbtk import`."
            )
            if not who:
                return
