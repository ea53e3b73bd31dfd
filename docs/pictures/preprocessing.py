"""The pictures of docs/preprocessing.md, made anew from simulated heads.

python docs/pictures/preprocessing.py                 # under 2 minutes on 2 cores
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from plates import save, show

from cmb_toolkit.imaging.bet import bet
from cmb_toolkit.imaging.highpass import gaussian_highpass, homodyne_highpass
from cmb_toolkit.imaging.swi import minip, phase_mask, swi
from cmb_toolkit.imaging.unwrap import unwrap_path
from cmb_toolkit.report.style import canvas
from cmb_toolkit.simulation.scan import simulate_scan

HERE = Path(__file__).parent
HEAD_SEED, WORST_SEED = 3, 1
"""Of the HR head in the first two pictures, and of the LR head whose mask benchmarks/brain_mask.py finds worst."""

OUTLINE = "#E69F00"
TRUTH = "#009E73"


def panel(
    axes: Axes,
    plane: NDArray[Any],
    zooms: Sequence[float],
    title: str,
    low: float,
    high: float,
    *,
    outlines: Sequence[tuple[NDArray[np.bool_], str]] = (),
) -> None:
    """One grey image with its title; outlines are pairs of mask and colour."""
    show(axes, plane, zooms, low, high, outlines=outlines)
    axes.set_title(title, fontsize=9)
    axes.set_axis_off()


def steps_and_sign(folder: Path) -> None:
    """What every step makes of one HR slice, and what the wrong sign does to it."""
    head = simulate_scan(HEAD_SEED, "HR")
    zooms: list[float] = np.sqrt((head.affine[:3, :3] ** 2).sum(axis=0)).tolist()
    mask = bet(head.magnitude, zooms).mask
    k = round(float(np.median([lesion.voxel[2] for lesion in head.microbleeds])))
    near = slice(k - 2, k + 3)
    unwrapped = unwrap_path(head.phase, mask)
    gaussian = gaussian_highpass(unwrapped, mask, zooms, magnitude=head.magnitude)
    homodyne = homodyne_highpass(head.magnitude[:, :, near], head.phase[:, :, near], mask[:, :, near], zooms)
    weighted = np.where(mask, swi(head.magnitude, phase_mask(gaussian)), 0)
    wrong = np.where(mask, swi(head.magnitude, phase_mask(-gaussian)), 0)
    lowest, lowest_wrong = (minip(image[:, :, near], 5, mask[:, :, near]) for image in (weighted, wrong))
    inside = mask[:, :, k]
    bright = float(np.percentile(head.magnitude[:, :, k][inside], 99.5))
    middle = float(np.median(unwrapped[:, :, k][inside]))
    around = np.argwhere(inside)
    box = tuple(slice(max(0, a - 12), b + 12) for a, b in zip(around.min(axis=0), around.max(axis=0), strict=True))

    with canvas(10, 5.8) as figure:
        grid = figure.subplots(2, 4)
        phase = inside * (unwrapped[:, :, k] - middle)
        for axes, (plane, title, low, high, outlines) in zip(
            grid.flat,
            [
                (head.magnitude[:, :, k], "magnitude and brain mask", 0, bright, [(inside[box], OUTLINE)]),
                (head.phase[:, :, k], "phase, wrapped: ±pi", -np.pi, np.pi, ()),
                (phase, "unwrapped: ±8 rad", -8, 8, ()),
                (gaussian[:, :, k], "Gaussian high-pass: ±1 rad", -1, 1, ()),
                (homodyne[:, :, 2], "homodyne high-pass: ±1 rad", -1, 1, ()),
                (phase_mask(gaussian[:, :, k]) ** 4 * inside, "phase mask^4: 0 to 1", 0, 1, ()),
                (weighted[:, :, k], "SWI", 0, bright, ()),
                (lowest[:, :, 2], "minIP of 5 slices", 0, bright, [(inside[box], OUTLINE)]),
            ],
            strict=True,
        ):
            panel(axes, plane[box], zooms, title, low, high, outlines=outlines)
        save(figure, folder / "preprocessing-steps.jpg")
    with canvas(10, 3.4) as figure:
        for axes, (plane, title) in zip(
            figure.subplots(1, 4),
            [
                (weighted[:, :, k], "SWI, right sign"),
                (wrong[:, :, k], "SWI, wrong sign"),
                (lowest[:, :, 2], "minIP, right sign"),
                (lowest_wrong[:, :, 2], "minIP, wrong sign"),
            ],
            strict=True,
        ):
            panel(axes, plane[box], zooms, title, 0, bright)
        save(figure, folder / "preprocessing-sign.jpg")


def masks(folder: Path) -> None:
    """Where the brain mask goes wrong: the worst head of the benchmark, and a slab through the skull base."""
    head = simulate_scan(WORST_SEED, "LR", scanner=("scanner-a", "scanner-b")[WORST_SEED % 2])
    zooms: list[float] = np.sqrt((head.affine[:3, :3] ** 2).sum(axis=0)).tolist()
    whole = bet(head.magnitude, zooms).mask
    area = np.flatnonzero(head.intracranial.sum(axis=(0, 1)) > 1000)
    base = slice(int(area[0]), int(area[0]) + 14)
    slab = np.zeros_like(whole)
    slab[:, :, base] = bet(np.ascontiguousarray(head.magnitude[:, :, base]), zooms).mask
    bright = float(np.percentile(head.magnitude[head.intracranial], 99))
    truth, every = head.intracranial, slice(None)
    rows = [
        (whole, every, [int(area[n]) for n in np.linspace(1, len(area) * 0.75, 5).astype(int)], "whole head"),
        (slab, base, [base.start + n for n in (1, 4, 7, 10, 12)], "14 slices of the base"),
    ]
    with canvas(10, 5.2) as figure:
        for line, (mask, here, slices, name) in zip(figure.subplots(2, 5), rows, strict=True):
            overlap = dice(mask[:, :, here], truth[:, :, here])
            for n, (axes, k) in enumerate(zip(line, slices, strict=True)):
                title = f"slice {k}: Dice {dice(mask[:, :, k], truth[:, :, k]):.2f}"
                title = f"{name}, Dice {overlap:.3f}\n{title}" if n == 0 else f"\n{title}"
                outlines = [(truth[:, :, k], TRUTH), (mask[:, :, k], OUTLINE)]
                panel(axes, head.magnitude[:, :, k], zooms, title, 0, bright, outlines=outlines)
        save(figure, folder / "preprocessing-masks.jpg")


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Overlap of two masks, 0..1."""
    return float(2 * (one & other).sum() / max(int(one.sum() + other.sum()), 1))


def main(arguments: Sequence[str] | None = None) -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE)
    folder = parser.parse_args(arguments).out
    steps_and_sign(folder)
    masks(folder)


if __name__ == "__main__":
    main()
