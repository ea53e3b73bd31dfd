"""How well `cmbtk detect --prior` lays a scan on an earlier one, on simulated heads that have moved in between.

    python benchmarks/moved.py [--subjects 6] [--seed 8200] [--table moved.tsv]

A head is scanned twice (1.8 x 1.8 x 3 mm, 144 mm high), by two scanners with noise of their own, and before the second
scan it is turned (3 degrees about each axis, standard deviation) and shifted (5 mm). Both scans are cut to slabs of
several heights around the middle, which then show other parts of the brain, and laid on each other as the product does
it. Printed per height: how far off places in the brain are that both show (mean, worst place of the worst pair), how
many of the pairs put all of them within the 3 mm by which findings are the same, how many pairs are refused, and how
alike the least alike pair is. Below: the same scans laid on the first scan of the next person, where all are to be
refused, and how alike the most alike are.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from nibabel.affines import apply_affine
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from cmb_toolkit.detect.since import LEAST_SIMILARITY, SAME_MM
from cmb_toolkit.imaging.bet import bet
from cmb_toolkit.imaging.brain import find_brain
from cmb_toolkit.regions.brain import coarse
from cmb_toolkit.regions.registration import lay
from cmb_toolkit.simulation.acquisition import PROTOCOLS
from cmb_toolkit.simulation.scan import Scan, simulate_scan

_WHOLE = replace(PROTOCOLS["tiny"], name="whole", matrix=(112, 128, 48))
_HEIGHTS_MM = (27, 42, 72, 144)
_TURN_DEG, _SHIFT_MM = 3.0, 5.0


def movement(rng: np.random.Generator) -> NDArray[np.float64]:
    """From the world of the later scan to that of the earlier [mm]."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", rng.normal(0, _TURN_DEG, 3), degrees=True).as_matrix()
    matrix[:3, 3] = rng.normal(0, _SHIFT_MM, 3)
    return matrix


def seen_after(scan: Scan, matrix: NDArray[np.float64], volume: NDArray[np.float32]) -> NDArray[np.float32]:
    """A volume of a scan of the moved head."""
    to_old = np.linalg.inv(scan.affine) @ matrix @ scan.affine
    turned: NDArray[np.float32] = ndimage.affine_transform(volume, to_old[:3, :3], to_old[:3, 3])
    return turned


def brain_of(magnitude: NDArray[np.float32]) -> NDArray[np.bool_]:
    """What the toolkit's BET finds in the whole head."""
    side = _WHOLE.voxel_mm
    return find_brain(lambda fraction: bet(magnitude, side, fraction=fraction).mask, side, 0.5).mask


def slab(shape: tuple[int, ...], height_mm: float) -> slice:
    """The slices in the middle."""
    count = round(height_mm / _WHOLE.voxel_mm[2])
    first = (shape[2] - count) // 2
    return slice(first, first + count)


def first_scan(seed: int) -> Scan:
    """The earlier scan of a person."""
    return simulate_scan(seed, _WHOLE, microbleeds=3, scanner="scanner-a")


def pair(seed: int, first: Scan, stranger: Scan) -> list[dict[str, float]]:
    """Lay the second scan of a person on the first, and on that of somebody else, at each height."""
    rng = np.random.default_rng(seed)
    second = simulate_scan(seed, _WHOLE, microbleeds=3, scanner="scanner-b")
    noise = rng.normal(0, 1 / _WHOLE.snr, second.magnitude.shape).astype(np.float32)  # both were drawn from one seed
    there = movement(rng)
    later = np.maximum(seen_after(second, there, np.abs(second.magnitude + noise)), 0)
    found = [brain_of(magnitude) for magnitude in (first.magnitude, later, stranger.magnitude)]
    affine = first.affine.astype(np.float64)
    rows = []
    for height in _HEIGHTS_MM:
        cut = slab(later.shape, height)
        moved = affine.copy()
        moved[:3, 3] = apply_affine(affine, (0, 0, cut.start))
        new = coarse(later[:, :, cut], found[1][:, :, cut], moved)
        old = coarse(first.magnitude[:, :, cut], found[0][:, :, cut], moved)
        other = coarse(stranger.magnitude[:, :, cut], found[2][:, :, cut], moved)
        laid = lay(new, old, "rigid")
        places = apply_affine(new.affine, np.argwhere(new.mask))
        true = apply_affine(there, places)
        index = np.rint(apply_affine(np.linalg.inv(old.affine), true)).astype(int)
        both = ((index >= 0) & (index < old.image.shape)).all(axis=1)
        off = np.linalg.norm(apply_affine(laid.matrix, places) - true, axis=1)[both]
        rows.append(
            {
                "seed": seed,
                "height_mm": height,
                "off": off.mean(),
                "worst": off.max(),
                "shared": laid.shared,
                "alike": laid.similarity,
                "stranger": lay(new, other, "rigid").similarity,
            }
        )
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, default=6)
    parser.add_argument("--seed", type=int, default=8200)
    parser.add_argument("--table", type=Path, help="Where to write the rows.")
    asked = parser.parse_args()
    rows = []
    first = first_scan(asked.seed)
    for seed in range(asked.seed, asked.seed + asked.subjects):
        stranger = first_scan(seed + 1)
        rows += pair(seed, first, stranger)
        first = stranger
        print(pd.DataFrame(rows[-len(_HEIGHTS_MM) :]).round(3).to_string(index=False, header=len(rows) < 9), flush=True)
    table = pd.DataFrame(rows)
    print(f"\n{'height mm':>10}{'pairs':>7}{'off mm':>8}{'worst':>8}{'all < 3':>9}{'refused':>9}{'alike':>8}")
    for height, mine in table.groupby("height_mm"):
        refused = int((mine["alike"] < LEAST_SIMILARITY).sum())
        print(
            f"{height!s:>10}{len(mine):7d}{mine['off'].mean():8.2f}{mine['worst'].max():8.2f}"
            f"{int((mine['worst'] < SAME_MM).sum()):9d}{refused:9d}{mine['alike'].min():8.2f}"
        )
    print(f"\nSomebody else\n{'height mm':>10}{'pairs':>7}{'refused':>9}{'alike':>8}")
    for height, mine in table.groupby("height_mm"):
        refused = int((mine["stranger"] < LEAST_SIMILARITY).sum())
        print(f"{height!s:>10}{len(mine):7d}{refused:9d}{mine['stranger'].max():8.2f}")
    if asked.table:
        table.to_csv(asked.table, sep="\t", index=False)


if __name__ == "__main__":
    main()
