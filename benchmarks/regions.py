"""How often the region that `cmbtk detect --regions` says is the right one, on simulated heads of both anatomies.

    python benchmarks/regions.py [--subjects 10] [--seed 8100] [--table regions.tsv]

Of each anatomy so many whole heads are simulated (1.8 x 1.8 x 3 mm, 144 mm high: scans are laid on the template with
voxels of about 2 mm anyway), with any atrophy. The brain is found by the toolkit's BET, the scan laid on the template
as `cmbtk detect` does it, and 2000 places drawn in brain tissue are held against the truth:

* ``mni``: the template itself, turned, scaled, shifted and warped. The truth is MARS's atlas carried through the exact
  map, so that nothing but the map found is judged. One brain is behind all of these heads, which flatters.
* ``procedural``: heads that are drawn and owe nothing to the template. The truth is three groups by its own bodies:
  cortex is lobar; caudate, putamen, pallidum and thalamus are deep; cerebellum and brainstem infratentorial. What the
  drawn anatomy has no name for (its white matter) does not count.

Printed: per subject and anatomy how often region and group are right, among all places and among those that are not
at a border, how far off a place is, and how alike scan and template are, by which a bad map is told. Below: the same of
parts of the first few brains, to see from what height on a scan can be laid on the template; and how alike scan and
template are where the map of these brains went wrong on purpose.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from nibabel.affines import apply_affine
from numpy.typing import NDArray

from cmb_toolkit.imaging.bet import bet
from cmb_toolkit.imaging.brain import find_brain
from cmb_toolkit.regions.atlas import mars
from cmb_toolkit.regions.brain import Brain, coarse
from cmb_toolkit.regions.placing import placed
from cmb_toolkit.regions.registration import Laid, lay
from cmb_toolkit.regions.template import template
from cmb_toolkit.simulation import scan as simulator
from cmb_toolkit.simulation.acquisition import PROTOCOLS
from cmb_toolkit.simulation.anatomy import WARP_MM, Head, Pose, make_head, warped
from cmb_toolkit.simulation.grid import Grid
from cmb_toolkit.simulation.mni import MNI_WARP_MM, make_mni_head
from cmb_toolkit.simulation.recipe import Variant

_WHOLE = replace(PROTOCOLS["tiny"], name="whole", matrix=(112, 128, 48))
_PLACES = 2000
_IN_PARTS = 2
_HEIGHTS_MM = (27, 54, 81, 111)
_ANATOMIES: dict[str, tuple[Callable[..., Head], float]] = {
    "mni": (make_mni_head, MNI_WARP_MM),
    "procedural": (make_head, WARP_MM),
}


@dataclass(frozen=True)
class Person:
    """A head as it was scanned, and where it comes from.

    Attributes
    ----------
    name : str
    brain : Brain
        As `cmbtk detect` has it.
    head : Head
    on_template : tuple of arrays
        Where each voxel of the head's grid lies in the anatomy's frame [mm], along x, y, z.
    places : (n, 3) array
        In brain tissue [mm].
    """

    name: str
    brain: Brain
    head: Head
    on_template: tuple[NDArray[Any], ...]
    places: NDArray[np.float64]

    def truth(self) -> pd.DataFrame:
        """``region`` (unknown in drawn heads) and ``group`` of the places, and where they lie on the template."""
        grid = self.head.grid
        there = np.stack([grid.lookup(axis, self.places) for axis in self.on_template], axis=1).astype(np.float64)
        if self.name.startswith("mni"):
            known = placed(there, mars())[["region", "group"]]
            known.loc[mars().at(there) == 0] = None
        else:
            known = pd.DataFrame({"region": None, "group": self._drawn_groups()})
        return known.assign(x=there[:, 0], y=there[:, 1], z=there[:, 2])

    def _drawn_groups(self) -> list[str | None]:
        head = self.head
        at = {name: head.grid.lookup(share, self.places) for name, share in head.fractions.items()}
        deep = at["putamen"] + at["caudate"] + at["pallidum"] + at["thalamus"]
        below = np.minimum(*(head.grid.lookup(body, self.places) for body in (head.cerebellum, head.brainstem)))
        rules = ((below < 0, "infratentorial"), (deep > 0.5, "deep"), (at["cortex"] > 0.5, "lobar"))
        groups: list[str | None] = [None] * len(self.places)
        for where, group in reversed(rules):
            for n in np.flatnonzero(where):
                groups[n] = group
        return groups


def person(anatomy: str, seed: int) -> Person:
    """Simulate, and find the brain."""
    make, warp = _ANATOMIES[anatomy]
    kept: dict[str, Any] = {}

    def recorded(rng: np.random.Generator, grid: Grid, *, atrophy: float) -> Head:
        again = copy.deepcopy(rng)  # the head draws its pose and warp first
        pose = Pose.draw(again)
        kept["on_template"] = tuple(warped(again, grid, pose, warp))
        kept["head"] = make(rng, grid, atrophy=atrophy)
        return kept["head"]  # type: ignore[no-any-return]

    usual = simulator.ANATOMIES[anatomy]
    simulator.ANATOMIES[anatomy] = recorded
    try:
        done = simulator.simulate_scan(seed, _WHOLE, microbleeds=3, variant=Variant(anatomy=anatomy))  # type: ignore[arg-type]
    finally:
        simulator.ANATOMIES[anatomy] = usual
    spacing = _WHOLE.voxel_mm
    mask = find_brain(lambda fraction: bet(done.magnitude, spacing, fraction=fraction).mask, spacing, 0.5).mask
    inside = np.argwhere(done.brain)
    chosen = np.random.default_rng(seed).choice(len(inside), _PLACES, replace=False)
    brain = coarse(done.magnitude, mask, done.affine.astype(np.float64))
    return Person(f"{anatomy}-{seed}", brain, places=apply_affine(done.affine, inside[chosen]), **kept)


def judged(one: Person, laid: Laid, truth: pd.DataFrame, there: NDArray[np.bool_]) -> dict[str, float]:
    """How often a map says the right thing of some of the places."""
    found = apply_affine(laid.matrix, one.places)
    said = placed(found[there], mars())
    true = truth[there].reset_index(drop=True)
    clear = ~said["border"].eq(True)
    off = np.linalg.norm(found[there] - true[["x", "y", "z"]].to_numpy(float), axis=1)
    row = {"alike": laid.similarity, "off": float(np.median(off)), "off95": float(np.percentile(off, 95))}
    for what in ("region", "group"):
        known = true[what].notna()
        right = said[what] == true[what]
        row[what] = float(right[known].mean())
        row[f"{what}_clear"] = float(right[known & clear].mean())
    return row | {"clear": float(clear.mean())}


def part(brain: Brain, height_mm: float) -> Brain:
    """The middle of a brain, as a slab would show it."""
    count = round(height_mm / brain.spacing[2])
    first = max(0, (brain.image.shape[2] - count) // 2)
    moved = np.eye(4)
    moved[2, 3] = first
    return Brain(brain.image[:, :, first : first + count], brain.affine @ moved)


def wrong(brain: Brain) -> Iterator[tuple[str, Brain]]:
    """Brains that were found wrongly, or lie as no header says."""
    half = brain.image.copy()
    half[half.shape[0] // 2 :] = 0
    yield "half of the brain", Brain(half, brain.affine)
    yield "upside down", Brain(np.ascontiguousarray(brain.image[:, :, ::-1]), brain.affine)
    yield "front to back", Brain(np.ascontiguousarray(brain.image[:, ::-1]), brain.affine)
    ball = np.linalg.norm((np.indices(brain.image.shape).T - np.array(brain.image.shape) / 2) * brain.spacing, axis=-1)
    noise = np.random.default_rng(1).uniform(0.5, 1, brain.image.shape).astype(np.float32)
    yield "a ball of noise", Brain(np.where(ball.T < 65, noise, 0).astype(np.float32), brain.affine)


def _line(name: str, row: pd.Series[Any] | dict[str, float]) -> str:
    values = [row[column] for column in ("region", "region_clear", "group", "group_clear", "clear")]
    shares = "".join("     n/a" if np.isnan(value) else f"{100 * value:8.1f}" for value in values)
    return f"{name:20}{shares}{row['off']:8.1f}{row['off95']:8.1f}{row['alike']:8.3f}"


def _worst(table: pd.DataFrame) -> dict[str, float]:
    numbers = table.select_dtypes("number")
    return {**numbers.min(), **numbers[["off", "off95"]].max()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, default=10, help="Of each anatomy.")
    parser.add_argument("--seed", type=int, default=8100)
    parser.add_argument("--table", type=Path, help="Where to write the rows.")
    asked = parser.parse_args()
    print(f"{'':20}{'region':>8}{'clear':>8}{'group':>8}{'clear':>8}{'clear %':>8}{'off mm':>8}{'95 %':>8}{'alike':>8}")
    rows, parts, errors = [], [], []
    for seed in range(asked.seed, asked.seed + asked.subjects):
        for anatomy in _ANATOMIES:
            one = person(anatomy, seed)
            truth = one.truth()
            everywhere = np.ones(len(one.places), bool)
            row = judged(one, lay(one.brain, template(), "affine"), truth, everywhere)
            rows.append({"anatomy": anatomy, "seed": seed, "atrophy": one.head.atrophy, **row})
            print(_line(f"{one.name} {one.head.atrophy:.1f}", row), flush=True)
            for height in _HEIGHTS_MM if seed < asked.seed + _IN_PARTS else ():
                slab = part(one.brain, height)
                k = apply_affine(np.linalg.inv(slab.affine), one.places)[:, 2]
                seen = (k >= -0.5) & (k < slab.image.shape[2] - 0.5)
                row = judged(one, lay(slab, template(), "affine"), truth, seen)
                parts.append({"anatomy": anatomy, "seed": seed, "height_mm": height, **row})
            if seed < asked.seed + _IN_PARTS:
                errors += [
                    (f"{one.name}, {what}", lay(bad, template(), "affine").similarity) for what, bad in wrong(one.brain)
                ]
    table, heights = pd.DataFrame(rows), pd.DataFrame(parts)
    for name, mine in table.groupby("anatomy"):
        print(_line(f"{name}, mean", mine.mean(numeric_only=True)))
        print(_line(f"{name}, worst", _worst(mine)))
    print("\nParts of the brain")
    for name, mine in heights.groupby(heights["anatomy"] + heights["height_mm"].map(", {:3d} mm".format)):
        print(_line(str(name), mine.mean(numeric_only=True)))
        print(_line("  worst", _worst(mine)))
    print("\nHow alike where the map is wrong")
    for what, alike in errors:
        print(f"{what:40}{alike:8.3f}")
    if asked.table:
        pd.concat([table, heights]).to_csv(asked.table, sep="\t", index=False)


if __name__ == "__main__":
    main()
