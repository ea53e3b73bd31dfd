"""What is wrong with the scans of a study taken together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from .check_files import ScanFacts
from .check_problem import Problem, error, some, times, warning

__all__ = ["check_together"]

_VOXELS_ALIKE = 0.05


def check_together(participants: pd.DataFrame, scans: Sequence[ScanFacts]) -> Iterator[Problem]:
    """Voxel sizes within a resolution, and scans that stand for several subjects."""
    facts = pd.DataFrame([(s.name, s.digest) for s in scans if s.digest], columns=["name", "digest"])
    for _, rows in facts.groupby("digest"):
        if len(rows) > 1:
            yield error(
                f"{some(list(rows['name']))} are the same scan, voxel by voxel. One person in two folds would be "
                "trained and tested on; keep one.",
                some(list(rows["name"])),
            )
    voxels: dict[str, list[tuple[str, tuple[float, ...]]]] = {}
    for scan in scans:
        if scan.voxel_mm:
            voxels.setdefault(str(participants.loc[scan.name, "resolution"]), []).append((scan.name, scan.voxel_mm))
    for resolution, found in voxels.items():
        usual = np.median([size for _, size in found], axis=0)
        odd = [name for name, size in found if not np.allclose(size, usual, rtol=_VOXELS_ALIKE, atol=0)]
        if odd:
            yield warning(
                f"resolution {resolution}: {some(odd)} have other voxels than the usual "
                f"{times(usual)} mm. Subjects of one resolution share a detector: give these a "
                "resolution of their own."
            )
