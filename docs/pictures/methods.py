"""The pictures of docs/methods.md, made anew: where each method looks, what its network sees there, what decides.

python docs/pictures/methods.py                   # half a minute
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Rectangle
from numpy.typing import NDArray
from plates import save, upright

from cmb_toolkit.heatmap.blocks import heat
from cmb_toolkit.imaging.highpass import gaussian_highpass
from cmb_toolkit.imaging.swi import phase_mask, swi
from cmb_toolkit.imaging.unwrap import unwrap_path
from cmb_toolkit.simulation.scan import simulate_scan
from cmb_toolkit.stage1.radial_symmetry import local_maxima, radial_symmetry

HERE = Path(__file__).parent
SEED = 11
CROP = 120
"""Side of the part of a slice that is shown [voxel]; voxels are 0.5 x 0.5 x 2 mm."""

MARKED = "#ffb000"
PHASE_WINDOW = 1.2
"""Grey values of the high-passed phase, black to white [rad]."""


@dataclass(frozen=True)
class Idea:
    """How a method goes about it.

    Attributes
    ----------
    name : str
    finds : str
        What it finds candidates by: "symmetry", "symmetry in slices", "windows" or "heat".
    sees : (i, j, k)
        What its last network sees of a place [voxel]; of k = 1 a single slice.
    phase : bool
        Whether that is phase as well.
    window : (i, j, k)
        What the network that finds sees at once [voxel], where one does.
    steps : tuple of str
        What is done to it.
    """

    name: str
    finds: str
    sees: tuple[int, int, int] | None
    phase: bool
    window: tuple[int, int, int] | None
    steps: tuple[str, ...]


RESIDUAL = ("3 x 8\nresidual", "6 x 16\nresidual", "3 x 32\nresidual", "mean\ndense")
IDEAS = (
    Idea(
        "dou", "windows", (20, 20, 16), False, (16, 16, 10), ("conv 32\n7 x 7 x 5", "conv 64\n5 x 5 x 3", "500", "100")
    ),
    Idea("kuijf", "symmetry", None, False, None, ("its score\nis the answer",)),
    Idea("liu", "symmetry", (16, 16, 16), True, None, RESIDUAL),
    Idea("chen", "symmetry in slices", (16, 16, 8), False, None, RESIDUAL),
    Idea("wang", "windows", (61, 61, 1), False, (61, 61, 1), ("DenseNet\nof 201 layers",)),
    Idea("hong", "windows", (41, 41, 1), False, (41, 41, 1), ("ResNet\nof 50 layers",)),
    Idea(
        "heatmap",
        "heat",
        (64, 64, 14),
        True,
        None,
        ("2 x 2\nvoxels", "16, 16", "pooled\n32, 32", "back up\n16", "peaks"),
    ),
)


class Example:
    """A slab with a microbleed in the middle of what is shown."""

    def __init__(self) -> None:
        scan = simulate_scan(SEED, "slab", microbleeds=6, difficulty="easy")
        self.zooms = tuple(np.linalg.norm(scan.affine[:3, :3], axis=0).tolist())
        self.mask = scan.intracranial
        phase = gaussian_highpass(unwrap_path(scan.phase, self.mask), self.mask, self.zooms, magnitude=scan.magnitude)
        self.swi, self.phase = swi(scan.magnitude, phase_mask(phase)) * self.mask, phase * self.mask
        self.brightest = float(np.percentile(self.swi[self.mask], 99.8))
        self.marks = np.array([placed.voxel for placed in scan.microbleeds])
        middle = np.array(self.swi.shape) / 2
        self.i, self.j, self.k = (int(n) for n in self.marks[np.abs(self.marks - middle).sum(axis=1).argmin()])
        self.window = self.around(CROP, CROP)

    def around(self, width: int, height: int) -> tuple[slice, slice]:
        """The voxels of a slice around the microbleed."""
        first = (max(0, self.i - width // 2), max(0, self.j - height // 2))
        return slice(first[0], first[0] + width), slice(first[1], first[1] + height)

    def at(self, voxel: NDArray[np.intp]) -> tuple[float, float]:
        """Where a voxel lies in the part that is shown, right and down from its corner."""
        right, up = (int(n) - part.start for n, part in zip(voxel[:2], self.window, strict=True))
        return CROP - 1 - right, CROP - 1 - up


def finding(axes: Axes, idea: Idea, example: Example) -> None:
    """Where it looks, and what it marks."""
    axes.imshow(
        upright(example.swi[(*example.window, example.k)], example.zooms), cmap="gray", vmin=0, vmax=example.brightest
    )
    if idea.finds.startswith("symmetry"):
        scores = radial_symmetry(example.swi, example.mask, example.zooms, planar=idea.finds != "symmetry")
        places, _ = local_maxima(scores, example.zooms, separation_mm=3.0, most=300)
        for voxel in places[places[:, 2] == example.k]:
            axes.add_patch(Circle(example.at(voxel), 5, fill=False, color=MARKED, linewidth=1.2))
        axes.set_title("maxima of the " + idea.finds, fontsize=9)
    elif idea.finds == "heat":
        field = heat(example.marks.astype(np.float64), example.swi.shape, example.zooms, 2)
        shown = np.kron(field[:, :, example.k], np.ones((2, 2)))[example.window]
        axes.imshow(upright(shown, example.zooms), cmap="inferno", alpha=0.55, vmin=0, vmax=1)
        axes.set_title("what it is taught to answer", fontsize=9)
    else:
        assert idea.window is not None
        x, y = example.at(np.array([example.i, example.j]))
        for shift in (24, 12, 0):
            corner = x - idea.window[0] / 2 - shift, y - idea.window[1] / 2
            axes.add_patch(
                Rectangle(corner, *idea.window[:2], fill=False, color=MARKED, alpha=1 - shift / 32, linewidth=1.2)
            )
        axes.set_title(f"{' x '.join(map(str, idea.window))} voxels, everywhere", fontsize=9)


def seen(axes: Axes, idea: Idea, example: Example) -> None:
    """The patch at the microbleed, slices side by side, the phase below."""
    if idea.sees is None:
        axes.axis("off")
        return
    width, height, depth = idea.sees
    part = example.around(width, height)
    slices = [k for k in range(-2, 3) if 0 <= example.k + k < example.swi.shape[2]] if depth > 1 else [0]
    rows = [
        np.hstack([upright(example.swi[(*part, example.k + k)], example.zooms) / example.brightest for k in slices])
    ]
    if idea.phase:
        phase = [upright(example.phase[(*part, example.k + k)], example.zooms) for k in slices]
        rows.append((np.hstack(phase) + PHASE_WINDOW) / (2 * PHASE_WINDOW))
    axes.imshow(np.vstack(rows), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    what = "SWI and phase" if idea.phase else "SWI"
    some = f", {len(slices)} of {depth} slices" if depth > 1 else ""
    axes.set_title(f"sees {width} x {height} x {depth} voxels of {what}{some}", fontsize=9)


def deciding(axes: Axes, idea: Idea) -> None:
    """A chain of what is done to it."""
    axes.set_xlim(0, max(3, len(idea.steps)))
    axes.set_ylim(0, 1)
    axes.axis("off")
    for n, text in enumerate(idea.steps):
        axes.add_patch(
            FancyBboxPatch((n + 0.08, 0.3), 0.74, 0.4, "round,pad=0.02", facecolor="#e8edf2", edgecolor="#5a6b7b")
        )
        axes.text(n + 0.45, 0.5, text, ha="center", va="center", fontsize=8)
        if n + 1 < len(idea.steps):
            axes.annotate("", (n + 1.06, 0.5), (n + 0.84, 0.5), arrowprops={"arrowstyle": "->", "color": "#5a6b7b"})


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE, help="folder")
    folder, example = parser.parse_args().out, Example()
    for idea in IDEAS:
        figure = Figure(figsize=(11, 2.6), layout="constrained")
        left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1.6, 1.8))
        finding(left, idea, example)
        seen(middle, idea, example)
        deciding(right, idea)
        for axes in (left, middle):
            axes.set_xticks([])
            axes.set_yticks([])
        save(figure, folder / f"method-{idea.name}.jpg")


if __name__ == "__main__":
    main()
