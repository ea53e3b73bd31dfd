"""The paper's figures 2, 3, 5 and 6: brain masks, input channels, examples, and healthy subjects, as images.

Every picture is a whole slice, or a window on one, seen as radiologists do: the patient's right on the left of the
picture, anterior on top.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from ..report.style import canvas, fit, save

__all__ = ["BOX_COLOURS", "Box", "Profile", "Scene", "draw_channels", "draw_healthy", "draw_masks", "draw_outcomes"]

BOX_COLOURS: dict[str, str] = {"truth": "#00E676", "stage1": "#FFD600", "kept": "#FF6D00"}
"""Colours of boxes: around a mark; found by stage 1; kept by stage 2 where no microbleed is."""

_CHANNELS = {"SWI": "#D55E00", "phase": "#0072B2", "magnitude": "#009E73", "1 - phase": "#0072B2"}

_MARGIN_MM = 6.0
"""Left around what a whole slice shows [mm]."""

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Box:
    """A rectangle on a slice: centre and size [voxel], and what it stands for, a key of BOX_COLOURS."""

    i: float
    j: float
    width: float
    height: float
    kind: str


@dataclass(frozen=True)
class Scene:
    """A slice with boxes.

    Attributes
    ----------
    plane : (i, j) array
    spacing : (float, float)
        Voxel size along i and j [mm].
    window : (float, float)
        Values shown black and white.
    boxes : tuple of Box
    title : str
    mask : (i, j) bool array or None
        Its contour is drawn.
    centre : (float, float) or None
        Voxel around which `field_mm` is shown; None: the whole slice.
    field_mm : float
        Side of the window [mm].
    """

    plane: Plane
    spacing: tuple[float, float]
    window: tuple[float, float]
    boxes: tuple[Box, ...] = ()
    title: str = ""
    mask: NDArray[np.bool_] | None = None
    centre: tuple[float, float] | None = None
    field_mm: float = 40.0


@dataclass(frozen=True)
class Profile:
    """Normalised values of the channels along a horizontal line through a microbleed.

    Attributes
    ----------
    mm : (n,) array
        Distance from the mark, from left to right of the picture [mm].
    values : mapping
        Channel -> (n,) array, 0..1.
    title : str
    """

    mm: NDArray[np.float64]
    values: Mapping[str, NDArray[np.float64]]
    title: str


def draw_masks(rows: Mapping[str, Sequence[Scene]], out: Path) -> Path:
    """Draw brain masks as white contours, microbleeds as green boxes; one row per resolution (figure 2)."""
    columns = max(map(len, rows.values()))
    with canvas(2.6 * columns + 0.6, 3.05 * len(rows)) as figure:
        _fill(figure.subfigures(1, 1, squeeze=False)[0, 0], rows)
        return save(figure, out)


def draw_channels(scenes: Sequence[Scene], profiles: Sequence[Profile], out: Path) -> Path:
    """Draw magnitude, phase and SWI of one slice, and lines through the microbleed in their boxes (figure 3)."""
    with canvas(11.5, 7.6) as figure:
        above, below = figure.subfigures(2, 1, height_ratios=(1.25, 1), squeeze=False)[:, 0]
        for axis, scene, letter in zip(above.subplots(1, len(scenes)), scenes, "abc", strict=False):
            _draw_scene(axis, scene)
            axis.set_title(f"({letter}) {scene.title}", loc="left")
        for axis, profile, letter in zip(below.subplots(1, len(profiles)), profiles, "def", strict=False):
            for name, values in profile.values.items():
                dashes = "--" if name == "magnitude" else "-"
                axis.plot(profile.mm, values, color=_CHANNELS[name], linestyle=dashes, label=name)
            axis.axvline(0, color="#888888", linewidth=1, linestyle=":")
            axis.set(xlabel="distance from the mark (mm)", ylabel="normalised value", ylim=(-0.03, 1.03))
            axis.set_title(f"({letter}) {profile.title}")
            axis.legend(loc="lower right", fontsize=9)
        return save(figure, out)


def draw_outcomes(parts: Mapping[str, Mapping[str, Sequence[Scene]]], out: Path) -> Path:
    """Draw examples of stage 1: boxes found in yellow, microbleeds in green (figure 5).

    Parameters
    ----------
    parts : mapping
        Resolution -> what the examples are of -> the examples, in a row.
    out : Path
    """
    return _blocks(parts, out, width=1.9, height=2.15)


def draw_healthy(parts: Mapping[str, tuple[Sequence[Scene], Sequence[Scene]]], out: Path) -> Path:
    """Draw candidates on healthy subjects before and after stage 2 (figure 6).

    Parameters
    ----------
    parts : mapping
        Resolution -> slices with all candidates, and the same slices with those that stage 2 kept.
    out : Path
    """
    rows = {name: {"stage 1": before, "after stage 2": after} for name, (before, after) in parts.items()}
    return _blocks(rows, out, width=2.2, height=2.8)


def _blocks(parts: Mapping[str, Mapping[str, Sequence[Scene]]], out: Path, *, width: float, height: float) -> Path:
    """Blocks of rows side by side, (a), (b), ...; `width` and `height` of one slice [inch]."""
    columns = [max(1, *map(len, rows.values())) for rows in parts.values()]
    with canvas(
        max(6.0, width * sum(columns) + 0.4 * len(parts)), height * max(map(len, parts.values())) + 0.4
    ) as figure:
        blocks = figure.subfigures(1, len(parts), width_ratios=columns, squeeze=False)[0]
        for block, (name, rows), letter in zip(blocks, parts.items(), "abcdef", strict=False):
            block.suptitle(f"({letter}) {name}", x=0.02, ha="left", fontsize=12)
            _fill(block, rows)
        return save(figure, out)


def _fill(block: SubFigure, rows: Mapping[str, Sequence[Scene]]) -> None:
    columns = max(1, *map(len, rows.values()))
    axes = block.subplots(max(1, len(rows)), columns, squeeze=False)
    for line, (name, scenes) in zip(axes, rows.items(), strict=False):
        for axis in line:
            axis.set(xticks=[], yticks=[])
            axis.grid(visible=False)
            for spine in axis.spines.values():
                spine.set_visible(False)
        line[0].set_ylabel(name, fontsize=10)
        for axis, scene in zip(line, scenes, strict=False):
            _draw_scene(axis, scene)
            title = axis.set_title(scene.title, loc="center", fontsize=8)
            fit(title, block.bbox.width / columns, least=5)
        if not scenes:
            line[0].text(0.5, 0.5, "none", ha="center", va="center", transform=line[0].transAxes, color="#777777")


def _draw_scene(axis: Axes, scene: Scene) -> None:
    (n_i, n_j), (mm_i, mm_j) = scene.plane.shape, scene.spacing
    extent = (0, n_i * mm_i, n_j * mm_j, 0)
    # i grows to the patient's right, which is the picture's left; j to anterior, the picture's top
    axis.imshow(
        scene.plane.T[::-1, ::-1],
        cmap="gray",
        vmin=scene.window[0],
        vmax=scene.window[1],
        extent=extent,
        interpolation="nearest",
    )
    if scene.mask is not None and scene.mask.any() and not scene.mask.all():
        x, y = (np.arange(n_i) + 0.5) * mm_i, (np.arange(n_j) + 0.5) * mm_j
        axis.contour(x, y, scene.mask.T[::-1, ::-1].astype(float), levels=[0.5], colors="white", linewidths=1.0)
    for box in scene.boxes:
        x, y = (n_i - 0.5 - box.i) * mm_i, (n_j - 0.5 - box.j) * mm_j
        width, height = box.width * mm_i, box.height * mm_j
        dashes = "--" if box.kind == "truth" and any(other.kind != "truth" for other in scene.boxes) else "-"
        corner = (x - width / 2, y - height / 2)
        axis.add_patch(Rectangle(corner, width, height, fill=False, ec=BOX_COLOURS[box.kind], lw=1.3, ls=dashes))
    if scene.centre is not None:
        x, y = (n_i - 0.5 - scene.centre[0]) * mm_i, (n_j - 0.5 - scene.centre[1]) * mm_j
        half = scene.field_mm / 2
        axis.set(xlim=(x - half, x + half), ylim=(y + half, y - half), facecolor="black")
    else:
        left, right, top, bottom = _shown(scene)
        axis.set(xlim=(left * mm_i, right * mm_i), ylim=(bottom * mm_j, top * mm_j))
    axis.set(xticks=[], yticks=[])
    axis.grid(visible=False)
    axis.set_aspect("equal")


def _shown(scene: Scene) -> tuple[int, int, int, int]:
    """First and last column, first and last row of the picture that hold something, with a margin [voxel]."""
    filled = scene.plane != 0
    across, down = (np.flatnonzero(np.any(filled, axis=axis)[::-1]) for axis in (1, 0))
    if not across.size:
        return 0, scene.plane.shape[0], 0, scene.plane.shape[1]
    margins = [round(_MARGIN_MM / mm) for mm in scene.spacing]
    (left, right), (top, bottom) = (
        (max(int(found[0]) - margin, 0), min(int(found[-1]) + 1 + margin, n))
        for found, margin, n in zip((across, down), margins, scene.plane.shape, strict=True)
    )
    return left, right, top, bottom
