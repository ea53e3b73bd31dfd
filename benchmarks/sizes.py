"""How large `cmbtk detect` says that a microbleed is, and where, against the simulator's truth.

    python benchmarks/sizes.py MODEL FOLDER [--resolution slab] [--difficulty easy] [--subjects 12] [--seed 1501]

Takes the scans that `benchmarks/other_voxels.py MODEL FOLDER --seed 1501` simulated, or simulates them, looks at them
on their own voxels, and holds every candidate within 3 mm of a microbleed's exact centre against it (kept or not, since
size has nothing to do with the threshold). The true diameter is the apparent one: of a circle as large as the area on
the microbleed's slice where it takes away more than 30 % of the magnitude, noise-free. Printed per class of true
diameter: how many, how many without a diameter, the mean and the standard deviation of the difference (said less true),
the median of their ratio, and the distance between the places; below, the rank correlation and the share whose class
(below 5 mm, 5 to 10, above) is said right. `--table` writes the rows.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from simulated_scans import candidates_of, detected, held_against, scan_at, simulated, written

from cmb_toolkit.schema import WORLD

_CLASSES_MM = (0, 2, 3, 4, 5, 7, 20)
_SAID_MM = (5.0, 10.0)


def held(candidates: pd.DataFrame, truth: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """A row each microbleed that has a candidate: ``true`` and ``said`` diameter, and how far ``away`` [mm]."""
    hit = held_against(candidates, truth, names).matching.truth["candidate"].to_numpy(int)
    mine, theirs = truth[hit >= 0], candidates.iloc[hit[hit >= 0]]
    away = np.linalg.norm(mine[[*WORLD]].to_numpy(float) - theirs[[*WORLD]].to_numpy(float), axis=1)
    return pd.DataFrame(
        {"true": mine["diameter_mm"].to_numpy(float), "said": theirs["diameter_mm"].to_numpy(float), "away": away}
    )


def line(name: str, rows: pd.DataFrame) -> str:
    """What is printed of some microbleeds."""
    known = rows.dropna(subset="said")
    off = known["said"] - known["true"]
    ratio = (known["said"] / known["true"]).median()
    return (
        f"{name:12}{len(rows):6d}{len(rows) - len(known):9d}{off.mean():8.2f}{off.std():7.2f}{ratio:8.2f}"
        f"{rows['away'].mean():9.2f}{rows['away'].quantile(0.95):7.2f}"
    )


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--resolution", default="slab", choices=["slab", "HR"])
    parser.add_argument("--difficulty", default="easy", choices=["easy", "paper", "hard"])
    parser.add_argument("--subjects", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1501)
    parser.add_argument("--table", type=Path)
    asked = parser.parse_args()
    plain = (asked.resolution, asked.difficulty) == ("slab", "easy")
    folder = asked.folder.resolve() / f"seed-{asked.seed}{'' if plain else f'-{asked.resolution}-{asked.difficulty}'}"
    words = {"resolution": asked.resolution, "difficulty": asked.difficulty}
    rows, truths = [], []
    for place in simulated(folder / "simulated", asked.seed, asked.subjects, **words):
        scan = scan_at(place)
        files = written(scan.signal, scan.affine, folder / "files" / "own" / scan.name)
        rows.append({"participant_id": scan.name.removeprefix("sub-"), "echo_time_ms": scan.echo_time_ms, **files})
        truths.append(scan.truth)
    out = folder / "detected" / "own-balanced"
    detected(asked.model.resolve(), rows, out)
    names = [f"sub-{row['participant_id']}" for row in rows]
    every = held(candidates_of(out), pd.concat(truths, ignore_index=True), names)
    report(every)
    if asked.table:
        every.to_csv(asked.table, sep="\t", index=False)


def report(every: pd.DataFrame) -> None:
    """Print what was measured."""
    print("true mm     number  without    off     sd   ratio  away mm    p95")
    for low, high in pairwise(_CLASSES_MM):
        some = every[(every["true"] >= low) & (every["true"] < high)]
        if len(some):
            print(line(f"{low} to {high}", some))
    print(line("all", every))
    known = every.dropna(subset="said")
    same = np.digitize(known["said"], _SAID_MM) == np.digitize(known["true"], _SAID_MM)
    rank = spearmanr(known["true"], known["said"]).statistic
    print(f"Rank correlation {rank:.2f}; class said right for {same.mean():.0%} of {len(known)}.")


if __name__ == "__main__":
    main()
