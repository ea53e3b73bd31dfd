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
from matplotlib.patheffects import Normal, Stroke
from numpy.typing import NDArray

from ..evaluation.results import Threshold
from ..evaluation.rules.base import Rule
from ..wording import plural
from .planes import radiological
from .style import COLOURS, KINDS, canvas, fit, headline, save

__all__ = ["Lesion", "View", "choose_lesions", "crop", "draw_lesion", "draw_montage"]

FIELD_MM = 32.0
"""Side of a picture [mm]: a microbleed has 10 mm at most, so that its surroundings show whether it is a vessel."""

_MARK_MM = 3.0
"""Radius of the circle around a mark where the rule has no distance of its own [mm]."""

_LEGEND = (
    "rectangle: candidate's box, dashed circle: mark of the microbleed; R, L: the patient's sides; slices count from 0"
)

_SCORES = ("confidence", "probability")

_TILE, _CLEAR = 1.55, 1.45
"""Width of a tile of the montage, and what a caption may have of it [inch]."""

_HALO = [Stroke(linewidth=2, foreground="#333333"), Normal()]
"""Around what is white on a picture that may be as bright."""

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
    confidence, probability : float or None
        Of the candidate, by stage 1 and after stage 2; None where there is none, or stage 2 was not run.
    """

    kind: str
    name: str
    subject: str
    place: tuple[float, float, int]
    box: tuple[float, float] | None
    truth: tuple[float, float] | None
    confidence: float | None = None
    probability: float | None = None

    @property
    def scores(self) -> list[str]:
        """Of the candidate, in words."""
        named = (("confidence", self.confidence), ("probability", self.probability))
        return [f"{name} {value:.2f}" for name, value in named if value is not None]

    @property
    def lost(self) -> str:
        """Which stage a microbleed that was missed was lost by, and why; empty of anything else."""
        if self.kind != "missed":
            return ""
        if self.box is None:
            return "lost by stage 1: no candidate"
        return f"lost by stage 2: {', '.join(self.scores[1:]) or 'not kept'}"


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
        *(None if candidate is None or name not in candidate else float(candidate[name]) for name in _SCORES),
    )


def draw_lesion(view: View, rule: Rule, thresholds: Mapping[str, Threshold], out: Path) -> Path:
    """Draw one finding: SWI above, phase below, slices k-1, k, k+1; the marks are on the middle slice.

    Parameters
    ----------
    view : View
    rule : Rule
        Named on the picture; the distance that it goes by is the radius of the circle around the mark.
    thresholds : mapping
        Those in force, of ``stage1`` and ``stage2``.
    out : Path
    """
    lesion = view.lesion
    with canvas(6.6, 5.2, arrange=False) as figure:
        place = {"left": 0.05, "right": 0.99, "bottom": 0.09, "top": 0.885, "wspace": 0.04, "hspace": 0.05}
        axes = figure.subplots(2, 3, gridspec_kw=place)
        for row, (name, planes) in enumerate((("SWI", view.swi), ("phase (paramagnetic bright)", view.phase))):
            for n in range(3):
                _show(axes[row, n], planes[n], view.spacing, view.windows[row])
                _sides(axes[row, n])
            axes[row, 0].set_ylabel(name, fontsize=10)
            _mark(axes[row, 1], view, rule)
        for n in range(3):
            axes[0, n].set_title(f"slice {lesion.place[2] + n - 1}", fontsize=10, loc="center")
        _scale_bar(axes[1, 0])
        kind = {"found": "Microbleed found", "missed": "Microbleed missed", "false": "False positive"}[lesion.kind]
        said = [lesion.subject, lesion.lost] if lesion.lost else [lesion.subject, *lesion.scores]
        title = figure.suptitle(f"{kind}: {', '.join(said)}", y=0.985, fontsize=12, fontweight="bold")
        fit(title, 0.98 * figure.bbox.width)
        foot = figure.supxlabel(f"{rule.label}; {in_force(thresholds)}\n{_LEGEND}", y=0.008, fontsize=8)
        fit(foot, 0.98 * figure.bbox.width)
        return save(figure, out)


def draw_montage(
    views: Sequence[View],
    rule: Rule,
    thresholds: Mapping[str, Threshold],
    totals: Mapping[str, int],
    title: str,
    out: Path,
    *,
    most: int = 24,
) -> Path:
    """Draw many findings on one page: the SWI of each on its slice, in blocks of found, missed and false.

    Parameters
    ----------
    views : sequence of View
    rule : Rule
    thresholds : mapping
        Those in force, of ``stage1`` and ``stage2``.
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
    heights = [1.85 * max(1, -(-len(part) // columns)) * bool(part) + 0.45 for part in shown.values()]
    with canvas(_TILE * columns, sum(heights) + 0.9) as figure:
        headline(figure, f"{title}\n{rule.label}; {in_force(thresholds)}")
        fit(figure.supxlabel(_LEGEND, x=0.005, ha="left", fontsize=9), 0.98 * figure.bbox.width)
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
                _sides(axis)
                # the tiles of a block are as wide as it is, with little between them
                fit(axis.set_title(_caption(view.lesion), fontsize=7.5, loc="center"), _CLEAR * figure.dpi, least=5)
            _scale_bar(axes[0])
        return save(figure, out)


def in_force(thresholds: Mapping[str, Threshold]) -> str:
    """The thresholds in words.

    >>> in_force({"stage1": Threshold(0.05, "given"), "stage2": Threshold(0.5, "by default")})
    'thresholds: confidence 0.05 in stage 1 (given), probability 0.5 in stage 2 (by default)'
    """
    words = {"stage1": "confidence {} in stage 1", "stage2": "probability {} in stage 2"}
    said = [f"{words[stage].format(f'{each.value:.3g}')} ({each.origin})" for stage, each in thresholds.items()]
    return f"thresholds: {', '.join(said)}" if said else "thresholds not known"


def _caption(lesion: Lesion) -> str:
    """Under a tile: whose it is, where, and how it came out."""
    first, *rest = [*lesion.scores[:1], lesion.lost or ", ".join(lesion.scores[1:])]
    place = f"slice {lesion.place[2]}"
    lines = [lesion.subject, f"{place}, {first}" if lesion.scores else place, *(rest or [first])]
    return "\n".join(filter(None, lines))


def _heading(kind: str, shown: int, total: int) -> str:
    noun = plural(total, "false positive" if kind == "false" else "microbleed")
    what = noun if kind == "false" else f"{noun} {kind}"
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
    axis.autoscale(enable=False)  # what is drawn on it makes it no larger
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


def _sides(axis: Axes) -> None:
    """The patient's right and left."""
    for x, letter, side in ((0.04, "R", "left"), (0.96, "L", "right")):
        said = axis.text(x, 0.96, letter, transform=axis.transAxes, color="white", fontsize=8, ha=side, va="top")
        said.set_path_effects(_HALO)


def _scale_bar(axis: Axes) -> None:
    x, y = axis.get_xlim()[0] + 2, axis.get_ylim()[0] + 2
    bar = axis.plot([x, x + 10], [y, y], color="white", linewidth=2.5, solid_capstyle="butt")[0]
    bar.set_path_effects([Stroke(linewidth=4, foreground="#333333"), Normal()])
    said = axis.text(x + 5, y + 0.8, "10 mm", color="white", fontsize=8, ha="center", va="bottom")
    said.set_path_effects(_HALO)
