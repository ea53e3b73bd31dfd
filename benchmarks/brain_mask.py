"""How well the brain mask meets the true inside of the skull, on simulated heads.

    python benchmarks/brain_mask.py                              # 10 heads of HR and of LR: about 4 minutes on 2 cores
    python benchmarks/brain_mask.py --heads 3 --resolution LR --picture worst.png

Per head: the Dice overlap with the intracranial mask, the share of brain tissue that the mask misses (and of the lowest
third of the slices), the share of the mask that lies outside the skull's inside, and seconds. The picture shows the
worst head: truth in green, the mask in red, where they agree in yellow.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from cmb_toolkit.imaging.bet import bet
from cmb_toolkit.simulation.scan import simulate_scan


class Head(NamedTuple):
    """One head's result."""

    resolution: str
    seed: int
    dice: float
    missed: float
    missed_below: float
    outside: float
    seconds: float
    uncertain: bool
    picture: NDArray[np.uint8]


def measure(job: tuple[str, int], fraction: float) -> Head:
    """Simulate a head and find its brain."""
    resolution, seed = job
    scan = simulate_scan(seed, resolution, scanner=("scanner-a", "scanner-b")[seed % 2])
    zooms = np.sqrt((scan.affine[:3, :3] ** 2).sum(axis=0))
    started = time.monotonic()
    found = bet(scan.magnitude, zooms.tolist(), fraction=fraction)
    seconds = time.monotonic() - started
    mask, truth, tissue = found.mask, scan.intracranial, scan.brain
    below = np.arange(mask.shape[2]) < mask.shape[2] // 3
    return Head(
        resolution,
        seed,
        2 * (mask & truth).sum() / (mask.sum() + truth.sum()),
        (tissue & ~mask).sum() / tissue.sum(),
        (tissue & ~mask)[..., below].sum() / max(tissue[..., below].sum(), 1),
        (mask & ~truth).sum() / mask.sum(),
        seconds,
        found.uncertain,
        draw(scan.magnitude, mask, truth, zooms),
    )


def draw(
    magnitude: NDArray[np.float32], mask: NDArray[np.bool_], truth: NDArray[np.bool_], zooms: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Six slices from base to top and a sagittal cut, with the borders of both masks."""
    slices = np.linspace(0.1, 0.85, 6) * magnitude.shape[2]
    cuts = [(magnitude[..., int(k)], mask[..., int(k)], truth[..., int(k)]) for k in slices]
    tiles = [tile(*cut, zooms[0], zooms[1]) for cut in cuts]
    i = magnitude.shape[0] // 2
    tiles.append(tile(magnitude[i], mask[i], truth[i], zooms[1], zooms[2]))
    return np.hstack(tiles)


def tile(
    image: NDArray[np.float32], mask: NDArray[np.bool_], truth: NDArray[np.bool_], width: float, height: float
) -> NDArray[np.uint8]:
    """One cut, 240 px high, BGR."""
    shape = round(240 * image.shape[0] * width / (image.shape[1] * height)), 240
    grey, found, true = (
        cv2.resize(np.flipud(a.T.astype(np.float32)), shape, interpolation=cv2.INTER_LINEAR)
        for a in (image, mask, truth)
    )
    coloured = np.repeat(np.clip(grey * 150, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    for border, channel in ((true, 1), (found, 2)):
        inside = (border > 0.5).astype(np.uint8)
        edge = cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
        coloured[edge, channel] = 255
    return coloured


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--heads", type=int, default=10, help="of each resolution")
    parser.add_argument("--resolution", choices=["HR", "LR", "slab"], action="append", help="default: HR and LR")
    parser.add_argument("--seed", type=int, default=0, help="of the first head")
    parser.add_argument("--fraction", type=float, default=0.5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--picture", type=Path)
    chosen = parser.parse_args()
    jobs = [
        (name, seed)
        for name in chosen.resolution or ["HR", "LR"]
        for seed in range(chosen.seed, chosen.seed + chosen.heads)
    ]
    heads = []
    print("resolution  seed   Dice   missed %  (below %)  outside %  seconds")
    with ProcessPoolExecutor(chosen.jobs) as pool:
        for head in pool.map(partial(measure, fraction=chosen.fraction), jobs):
            heads.append(head)
            shares = f"{100 * head.missed:8.2f}  {100 * head.missed_below:9.2f}  {100 * head.outside:9.2f}"
            note = "  folds left" if head.uncertain else ""
            print(
                f"{head.resolution:10}  {head.seed:4}  {head.dice:.3f}  {shares}  {head.seconds:7.1f}{note}", flush=True
            )
    for name in dict.fromkeys(head.resolution for head in heads):
        dice = np.array([head.dice for head in heads if head.resolution == name])
        print(
            f"{name}: Dice {dice.mean():.3f} (lowest {dice.min():.3f}), {(dice >= 0.97).sum()} of {dice.size} at 0.97"
        )
    if chosen.picture:
        worst = min(heads, key=lambda head: head.dice)
        cv2.imwrite(str(chosen.picture), worst.picture)
        print(f"{chosen.picture}: {worst.resolution}, seed {worst.seed}")


if __name__ == "__main__":
    main()
