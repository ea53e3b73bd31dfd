"""What is wrong with the marks, held against the volumes that they are in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from ..evaluation.mark_evidence import better_way, shifted, too_few_dark, touching
from ..io.marks import NEAR_VOXEL
from ..io.orient import inside
from ..io.recount import Counting
from ..study.layout import Study
from ..wording import counted
from .files import ScanFacts
from .problem import Problem, error, some, times, warning

__all__ = ["check_counting", "check_positions", "check_spots"]

_DOZEN = 12

Groups = list[tuple[str, list[ScanFacts]]]


def check_positions(study: Study, marks: pd.DataFrame, scans: Sequence[ScanFacts]) -> Iterator[Problem]:
    """Marks outside their volumes, and world positions that are not the voxels'."""
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
                    f"{times(facts.shape)} (i, j, k from 0, canonical axes). Correct it, or look at how the marks "
                    "count and import again.",
                    facts.name,
                )
            elif distance > NEAR_VOXEL:
                yield error(
                    f"{study.microbleeds}: line {line + 2}: voxel {at} and its world position are {distance:.1f} "
                    f"voxels apart on the grid of {facts.file}. Was the scan reoriented or resampled since? "
                    "Import again.",
                    facts.name,
                )


def check_spots(study: Study, scans: Sequence[ScanFacts]) -> Iterator[Problem]:
    """Marks where no microbleed can be, and marks that are the voxels of a label mask."""
    for facts in scans:
        found = facts.marks
        if found.aloft:
            places = [f"({', '.join(map(str, voxel))})" for voxel in found.aloft]
            yield warning(
                f"{study.microbleeds}: {len(places)} of {len(found.voxels)} marks of {facts.name} lie outside the "
                f"brain, in air, bone or at the edge of the head, and are no dark spots: {some(places)}.",
                facts.name,
            )
        touch, groups = touching(found.voxels)
        if touch >= _DOZEN:
            yield warning(
                f"{study.microbleeds}: {touch} of {len(found.voxels)} marks of {facts.name} touch each other, in "
                f"{counted(groups, 'group')}, as the voxels of a label mask do that was turned to points. "
                "A microbleed is one mark: keep the middle of each group.",
                facts.name,
            )


def check_counting(study: Study, scans: Sequence[ScanFacts], counting: Counting) -> Iterator[Problem]:
    """Marks that may count otherwise than was said: of all subjects, of those with equal axes, of single ones.

    A wrong idea of how marks count can be right for one order of the files' axes and wrong for another.
    """
    marked = [scan for scan in scans if scan.marks.ranks]
    axes = sorted({scan.axes for scan in marked})
    levels: list[Groups] = [[("", marked)]]
    if len(axes) > 1:
        levels.append([(f" of the files with axes {a}", [s for s in marked if s.axes == a]) for a in axes])
    if len(marked) > 1:
        levels.append([(f" of {scan.name}", [scan]) for scan in marked])
    settled: set[str] = set()
    for explain in (_counted_otherwise, _not_dark):
        for groups in levels:
            for who, group in groups:
                if {scan.name for scan in group} <= settled:
                    continue
                said = explain(who, group, counting, len(groups))
                if said:
                    settled |= {scan.name for scan in group}
                    yield warning(f"{study.microbleeds}: {said}", group[0].name if len(group) == 1 else "")


def _counted_otherwise(who: str, group: Sequence[ScanFacts], counting: Counting, groups: int) -> str:
    """Another way of counting that explains the marks clearly better, or that they are all a voxel off."""
    if not group:
        return ""
    ways = {way.name: way for scan in group for way, _ in scan.marks.others}
    lists = [{way.name: ranks for way, ranks in scan.marks.others} for scan in group]
    others = {name: np.concatenate([mine[name] for mine in lists]) for name in ways}
    ranks = np.concatenate([scan.marks.ranks for scan in group])
    better = better_way(ranks, others, groups=groups)
    dark = sum(scan.marks.dark for scan in group)
    if better is not None:
        return (
            f"{dark} of {len(ranks)} marks{who} lie on dark spots, but counted {better.way} {better.dark} would; "
            f"random spots of the brain would do that {_rarely(better.chance)}. If that is how they count, "
            f"{ways[better.way].remedy}."
        )
    offsets = np.concatenate([scan.marks.offsets for scan in group])
    shift = shifted(offsets, np.concatenate([scan.marks.middle_ranks for scan in group]), groups=groups)
    if shift is None:
        return ""
    if shift.step == (1, 1, 1) and counting.layout:
        remedy = f"import again with `cmbtk import {counting.layout} --label-base {1 - counting.base}`"
    else:
        remedy = "correct the marks"
        if counting.layout:
            remedy += " and import again"
    along = ", ".join(axis for axis, step in zip("ijk", shift.step, strict=True) if step)
    return (
        f"{shift.marks} of {len(ranks)} marks{who} lie one voxel beside the middle of their dark spot, all in the same "
        f"direction along {along}; marks that are right would do that {_rarely(shift.chance)}. If so, {remedy}."
    )


def _not_dark(who: str, group: Sequence[ScanFacts], counting: Counting, groups: int) -> str:
    """Fewer marks on dark spots than right ones would be, whatever the reason."""
    del counting
    if not group:
        return ""
    ranks = np.concatenate([scan.marks.ranks for scan in group])
    chance = too_few_dark(ranks, groups=groups)
    if chance is None:
        return ""
    return (
        f"only {sum(scan.marks.dark for scan in group)} of {len(ranks)} marks{who} lie on dark spots, darker than nine "
        f"of ten in the brain; of marks that are right so few would be {_rarely(chance)}. No other way of counting "
        "explains them clearly: look at them (--pictures)."
    )


def _rarely(chance: float) -> str:
    if chance < 1e-6:
        return "by chance less than once in a million times"
    rounded = float(f"{1 / chance:.1g}")
    return f"by chance about once in {rounded:,.0f} times"
