"""What is wrong with the scans of a study taken together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from ..imaging.likeness import same_scans
from ..study.phase_sign import disagreeing
from .files import ScanFacts
from .problem import Problem, error, some, times, warning

__all__ = ["check_together"]

_VOXELS_ALIKE = 0.05


def check_together(participants: pd.DataFrame, scans: Sequence[ScanFacts]) -> Iterator[Problem]:
    """Scans that stand for several subjects, voxel sizes within a resolution, signs of the phase within a scanner."""
    persons = participants.get("person_id", participants["participant_id"])
    signed = [scan for scan in scans if scan.signature]
    for names in same_scans([scan.signature for scan in signed]):
        group = [signed[n].name for n in names]
        known = {str(persons[name]) for name in group}
        if len(known) == 1 and not persons[group].isna().any():
            yield warning(
                f"{some(group)} are the same scan of {known.pop()}. A scan that stands twice counts twice; keep one.",
                some(group),
            )
            continue
        yield error(
            f"{some(group)} are the same scan, noise and all, of one person. He would be trained and tested on in one "
            "fold; keep one of them.",
            some(group),
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
    if "phase_sign" in participants:
        signs = pd.to_numeric(participants["phase_sign"], errors="coerce").fillna(0)
        said = zip(participants["scanner"], map(str, participants.index), signs.astype(int), strict=True)
        yield from (warning(f"{sentence}.") for sentence, _ in disagreeing(said))
