"""Pictures of single findings: SWI and phase on three slices, and a montage of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Rectangle
from numpy.typing import NDArray

from ..evaluation.rules.base import Rule
from .planes import radiological
from .style import COLOURS, KINDS, canvas, headline, save

__all__ = ["Lesion", "View", "choose_lesions", "crop", "draw_lesion", "draw_montage"]

FIELD_MM = 32.0
"""Side of a picture [mm]: a microbleed has 10 mm at most, so that its surroundings show whether it is a vessel."""

_MARK_MM = 3.0
"""Radius of the circle around a mark where the rule has no distance of its own [mm]."""

_LEGEND = "rectangle: candidate's box, dashed circle: mark of the microbleed"

Planes = NDArray[np.float32]
Row = Mapping[Any, Any]


@dataclass(frozen=True)
class Lesion:
    """Something worth a picture.

    Attributes
    ----------
    kind : str
        One of KINDS.
    name : str
        File stem, unique in a cell.
    subject : str
    place : (float, float, int)
        Voxel i, j (fractional) and slice k on which the picture is centred.
    box : (float, float) or None
        Width and height of the candidate's box [voxel]; None where there is no candidate.
    truth : (float, float) or None
        Offset of the microbleed's mark from `place` along i and j [voxel]; None where there is no microbleed.
    caption : str
    """

    kind: str
    name: str
    subject: str
    place: tuple[float, float, int]
    box: tuple[float, float] | None
    truth: tuple[float, float] | None
    caption: str


@dataclass(frozen=True)
class View:
    """A lesion with its surroundings as they are looked at: radiological, anterior on top.

    Attributes
    ----------
    lesion : Lesion
    swi, phase : (3, row, column) float32 arrays
        Slices k-1, k, k+1; NaN beyond the volume.
    spacing : (float, float)
        Voxel size along i and j [mm].
    windows : ((low, high), (low, high))
        Values that are shown black and white: SWI and phase [rad].
    """

    lesion: Lesion
    swi: Planes
    phase: Planes
    spacing: tuple[float, float]
    windows: tuple[tuple[float, float], tuple[float, float]]


def crop(volume: Planes, place: tuple[float, float, int], spacing: tuple[float, float]) -> Planes:
    """Cut :data:`FIELD_MM` around a place on three slices.

    Parameters
    ----------
    volume : (i, j, k) float32 array
    place : (float, float, int)
        Voxel i, j and slice k; the middle pixel is the nearest whole voxel.
    spacing : (float, float)
        Voxel size along i and j [mm].

    Returns
    -------
    (3, row, column) float32 array
        Odd numbers of rows and columns; NaN beyond the volume.
    """
    half = [max(4, round(FIELD_MM / 2 / mm)) for mm in spacing]
    low = [round(place[axis]) - half[axis] for axis in (0, 1)]
    cut = np.full((2 * half[0] + 1, 2 * half[1] + 1, 3), np.nan, np.float32)
    start = (*low, place[2] - 1)
    inside = [np.arange(first, first + n) for first, n in zip(start, cut.shape, strict=True)]
    there = [(axis >= 0) & (axis < n) for axis, n in zip(inside, volume.shape, strict=True)]
    cut[np.ix_(*there)] = volume[np.ix_(*(axis[ok] for axis, ok in zip(inside, there, strict=True)))]
    return np.stack([radiological(plane) for plane in np.moveaxis(cut, 2, 0)])


def choose_lesions(
    candidates: pd.DataFrame, microbleeds: pd.DataFrame, rule: str, *, most_false: int
) -> tuple[list[Lesion], int]:
    """Choose what to draw: every microbleed, found or missed, and the most convincing false positives.

    Parameters
    ----------
    candidates, microbleeds : DataFrame
        From :class:`cmb_toolkit.evaluation.results.Evaluation`; candidates also have ``width`` and ``height`` of
        their boxes in voxels.
    rule : str
    most_false : int
        At most so many false positives, those with the highest score.

    Returns
    -------
    lesions : list of Lesion
        Found, missed, false; the false ones by falling score.
    false : int
        How many false positives there are in all.
    """
    last = "overall" if f"{rule}_overall" in microbleeds else "stage1"
    named = {str(line["candidate_id"]): line for line in candidates.to_dict("records")}
    number = microbleeds.groupby("participant_id").cumcount() + 1
    marks: list[Lesion] = []
    for mark, n in zip(microbleeds.to_dict("records"), number, strict=True):
        hit, first = (mark[f"{rule}_{stage}"] for stage in (last, "stage1"))
        kind = "found" if isinstance(hit, str) else "missed"
        seen = hit if isinstance(hit, str) else first
        name = f"{kind}_{mark['participant_id']}_microbleed-{n:02d}"
        marks.append(_lesion(kind, name, named[seen] if isinstance(seen, str) else None, mark))
    wrong = candidates[candidates[f"{rule}_{last}"] == "fp"]
    order = ["probability", "confidence"] if last == "overall" else ["confidence"]
    strongest = wrong.sort_values([*order, "candidate_id"], ascending=[*[False] * len(order), True]).head(most_false)
    false = [_lesion("false", f"false_{line['candidate_id']}", line, None) for line in strongest.to_dict("records")]
    return sorted(marks, key=lambda lesion: lesion.kind) + false, len(wrong)


def _lesion(kind: str, name: str, candidate: Row | None, mark: Row | None) -> Lesion:
    """A picture's subject: centred on the candidate where there is one, else on the mark."""
    at = candidate if candidate is not None else mark
    assert at is not None
    place = (float(at["i"]), float(at["j"]), int(at["k"]))
    return Lesion(
        kind,
        name,
        str(at["participant_id"]),
        place,
        None if candidate is None else (float(candidate["width"]), float(candidate["height"])),
        None if mark is None else (float(mark["i"]) - place[0], float(mark["j"]) - place[1]),
        _caption(candidate),
    )


def _caption(candidate: Row | None) -> str:
    if candidate is None:
        return "no candidate hits it"
    text = f"confidence {candidate['confidence']:.2f}"
    return text + (f", probability {candidate['probability']:.2f}" if "probability" in candidate else "")


def draw_lesion(view: View, rule: Rule, out: Path) -> Path:
    """Draw one finding: SWI above, phase below, slices k-1, k, k+1; the marks are on the middle slice.

    Parameters
    ----------
    view : View
    rule : Rule
        Named on the picture; the distance that it goes by is the radius of the circle around the mark.
    out : Path
    """
    lesion = view.lesion
    with canvas(6.6, 5.1, arrange=False) as figure:
        place = {"left": 0.05, "right": 0.99, "bottom": 0.065, "top": 0.885, "wspace": 0.04, "hspace": 0.05}
        axes = figure.subplots(2, 3, gridspec_kw=place)
        for row, (name, planes) in enumerate((("SWI", view.swi), ("phase (paramagnetic bright)", view.phase))):
            for n in range(3):
                _show(axes[row, n], planes[n], view.spacing, view.windows[row])
            axes[row, 0].set_ylabel(name)
            _mark(axes[row, 1], view, rule)
        for n in range(3):
            axes[0, n].set_title(f"slice {lesion.place[2] + n - 1}", fontsize=10, loc="center")
        _scale_bar(axes[1, 0])
        lost = "lost by stage 2" if lesion.box is not None else "missed by stage 1"
        kind = {"found": "Microbleed found", "missed": f"Microbleed {lost}", "false": "False positive"}[lesion.kind]
        figure.suptitle(f"{kind}: {lesion.subject}, {lesion.caption}", y=0.985, fontsize=12, fontweight="bold")
        figure.supxlabel(f"{rule.label}; {_LEGEND}", y=0.01, fontsize=8)
        return save(figure, out)


def draw_montage(
    views: Sequence[View], rule: Rule, totals: Mapping[str, int], title: str, out: Path, *, most: int = 24
) -> Path:
    """Draw many findings on one page: the SWI of each on its slice, in blocks of found, missed and false.

    Parameters
    ----------
    views : sequence of View
    rule : Rule
    totals : mapping
        Kind -> how many there are in all; where not all are shown the heading says so.
    title : str
        What the findings are of; the rule is added.
    out : Path
    most : int
        At most so many of one kind.
    """
    shown = {kind: [view for view in views if view.lesion.kind == kind][:most] for kind in KINDS}
    columns = min(8, max(5, *map(len, shown.values())))
    heights = [1.75 * max(1, -(-len(part) // columns)) * bool(part) + 0.45 for part in shown.values()]
    with canvas(1.55 * columns, sum(heights) + 0.9) as figure:
        headline(figure, f"{title}\n{rule.label}")
        figure.supxlabel(_LEGEND, x=0.005, ha="left", fontsize=9)
        blocks = figure.subfigures(len(KINDS), 1, height_ratios=heights, squeeze=False)[:, 0]
        for block, (kind, part) in zip(blocks, shown.items(), strict=True):
            block.suptitle(_heading(kind, len(part), totals[kind]), x=0.005, ha="left", fontsize=12)
            if not part:
                continue
            axes = block.subplots(-(-len(part) // columns), columns, squeeze=False).ravel()
            for axis in axes[len(part) :]:
                axis.set_axis_off()
            for axis, view in zip(axes, part, strict=False):
                _show(axis, view.swi[1], view.spacing, view.windows[0])
                for spine in axis.spines.values():
                    spine.set(visible=True, color=COLOURS[kind], linewidth=2.5)
                _mark(axis, view, rule, linewidth=1.2)
                caption = view.lesion.caption.replace("confidence", "conf").replace("probability", "prob")
                axis.set_title(
                    f"{view.lesion.subject}  k {view.lesion.place[2]}\n{caption}", fontsize=7.5, loc="center"
                )
        return save(figure, out)


def _heading(kind: str, shown: int, total: int) -> str:
    what = {"found": "microbleeds found", "missed": "microbleeds missed", "false": "false positives"}[kind]
    if not total:
        return f"No {what}"
    few = f": the {shown} with the highest score" if kind == "false" else f": the first {shown}"
    return f"{total} {what}" + (few if shown < total else "")


def _show(axis: Axes, plane: NDArray[np.float32], spacing: tuple[float, float], window: tuple[float, float]) -> None:
    width, height = plane.shape[1] * spacing[0] / 2, plane.shape[0] * spacing[1] / 2
    axis.imshow(
        np.ma.masked_invalid(plane),
        cmap="gray",
        vmin=window[0],
        vmax=window[1],
        extent=(-width, width, -height, height),
        interpolation="nearest",
    )
    axis.set_facecolor("#3B3B5C")  # beyond the volume
    axis.set(xticks=[], yticks=[])
    axis.grid(visible=False)


def _mark(axis: Axes, view: View, rule: Rule, linewidth: float = 1.6) -> None:
    """Square for the candidate, dashed circle for the mark; i grows to the left of the picture, j upwards."""
    lesion, (mm_i, mm_j) = view.lesion, view.spacing
    # the middle of the picture is a whole voxel, the place may be between two
    x, y = (round(lesion.place[0]) - lesion.place[0]) * mm_i, (lesion.place[1] - round(lesion.place[1])) * mm_j
    if lesion.box is not None:
        width, height = lesion.box[0] * mm_i, lesion.box[1] * mm_j
        corner = (x - width / 2, y - height / 2)
        axis.add_patch(Rectangle(corner, width, height, fill=False, ec=COLOURS[lesion.kind], lw=linewidth))
    if lesion.truth is not None:
        radius = _MARK_MM if rule.reach_mm is None else rule.reach_mm
        centre = (x - lesion.truth[0] * mm_i, y + lesion.truth[1] * mm_j)
        axis.add_patch(Circle(centre, radius, fill=False, ec="#F0E442", lw=linewidth, ls=(0, (3, 2))))


def _scale_bar(axis: Axes) -> None:
    x, y = axis.get_xlim()[0] + 2, axis.get_ylim()[0] + 2
    axis.plot([x, x + 10], [y, y], color="white", linewidth=2.5, solid_capstyle="butt")
    axis.text(x + 5, y + 0.8, "10 mm", color="white", fontsize=8, ha="center", va="bottom")
