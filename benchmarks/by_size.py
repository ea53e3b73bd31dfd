"""What models find of small and of large microbleeds.

    python benchmarks/by_size.py FOLDER ours.cmbtk [theirs.cmbtk] [--radii 0.7 2.0] [--subjects 12] [--seed 9501]

Slabs are simulated at `--difficulty paper`, once with microbleeds of the usual median radius, 0.7 mm, and once with
large ones, which are rare among the usual: a few in a hundred are above 6 mm. Each model looks at both, at its own
threshold. Printed per class of apparent diameter, centre rule, 3 mm, per lesion: how many there are, how many are
candidates, how many are called; and the false positives a subject.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
from simulated_scans import candidates_of, detected, held_against, scan_at, written

from cmb_toolkit.simulation.acquisition import PROTOCOLS
from cmb_toolkit.simulation.recipe import Simulating
from cmb_toolkit.steps.simulate import simulate

_CLASSES_MM = (0, 1.5, 2, 3, 4, 5, 6, 7, 20)


def scans(folder: Path, radius_mm: float, subjects: int, seed: int) -> tuple[list[dict[str, object]], pd.DataFrame]:
    """Files of simulated slabs as rows of a table, and their microbleeds."""
    own = replace(PROTOCOLS["slab"], microbleed_radius_mm=radius_mm)
    recipe = Simulating(resolution="slab", difficulty="paper", subjects=subjects, seed=seed)
    with patch.dict(PROTOCOLS, {"slab": own}):
        simulate(folder / "simulated", recipe, jobs=1, on_progress=lambda *_: None)
    rows, truths = [], []
    for place in sorted(path for path in (folder / "simulated" / "scans").iterdir() if path.is_dir()):
        scan = scan_at(place)
        files = written(scan.signal, scan.affine, folder / "files" / scan.name)
        known = {"echo_time_ms": scan.echo_time_ms, "phase_sign": scan.sign}  # of a slab it may not be to be seen
        rows.append({"participant_id": scan.name.removeprefix("sub-"), **known, **files})
        truths.append(scan.truth)
    return rows, pd.concat(truths, ignore_index=True)


def found_by(model: Path, rows: list[dict[str, object]], truth: pd.DataFrame, out: Path) -> tuple[pd.DataFrame, float]:
    """The microbleeds, each a candidate or not and called or not; false positives a subject."""
    detected(model.resolve(), rows, out)
    names = [f"sub-{row['participant_id']}" for row in rows]
    candidates = candidates_of(out)
    called = candidates[candidates["kept"]].reset_index(drop=True)
    every, kept = (held_against(some, truth, names) for some in (candidates, called))
    hit = {name: of.matching.truth["candidate"].to_numpy(int) >= 0 for name, of in (("seen", every), ("called", kept))}
    return truth.assign(**hit), kept.false_positives[0]


def main() -> None:
    """Simulate, look, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--radii", type=float, nargs="+", default=[0.7, 2.0], help="median [mm]")
    parser.add_argument("--subjects", type=int, default=12)
    parser.add_argument("--seed", type=int, default=9501)
    asked = parser.parse_args()
    print("| model | median radius | mm | microbleeds | candidates | called | false positives a subject |")
    print("|---|--:|---|--:|--:|--:|--:|")
    for radius in asked.radii:
        folder = asked.folder.resolve() / f"radius-{radius:g}-seed-{asked.seed}"
        rows, truth = scans(folder, radius, asked.subjects, asked.seed)
        for model in asked.models:
            found, false = found_by(model, rows, truth, folder / "detected" / model.stem)
            for low, high in [*pairwise(_CLASSES_MM), (0.0, np.inf)]:
                some = found[(found["diameter_mm"] >= low) & (found["diameter_mm"] < high)]
                if len(some):
                    name = "all" if high == np.inf else f"{low:g} to {high:g}"
                    print(
                        f"| {model.stem} | {radius:g} | {name} | {len(some)} | {some['seen'].sum()} | "
                        f"{some['called'].sum()} | {f'{false:.2f}' if name == 'all' else ''} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
