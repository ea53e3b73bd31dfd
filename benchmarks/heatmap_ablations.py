"""What each part of the heatmap network's recipe gives: without one of them, larger, other networks, mirror images.

    cmbtk simulate study --resolution slab --subjects 40 --difficulty paper --seed 9301
    cmbtk preprocess study
    cmbtk split study --folds 5
    python benchmarks/heatmap_ablations.py study --folds 1 2 --seeds 0 1

One training each of `--variants`, folds and seeds, `--jobs` at a time; what is there is not trained again. Per lesion,
3 mm, with the threshold that leaves `--most-false` false positives a validation subject, and beside it what the test
subjects' own curve has there, which is no threshold that anybody could have chosen. "mean" averages what the seeds of
"all" answer at every voxel. Each line stands there again with the mean of what is answered to a scan and to it turned
round, to it and its mirror images, and with both also shrunk.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from cmb_toolkit.heatmap.peaks import LOOKS, NOW, ONCE, Looks, peaks, scores
from cmb_toolkit.heatmap.recipe import HeatmapTraining
from cmb_toolkit.io.nifti import read_mask, read_volume
from cmb_toolkit.lessons.brains import Brain, brain_of
from cmb_toolkit.lessons.loop import SEPARATION_MM
from cmb_toolkit.lessons.skill import MOST
from cmb_toolkit.study.cohort import read_folds, read_microbleeds
from cmb_toolkit.study.layout import Study

_NEVER = 2.0
"""A share of the training that does not come."""

VARIANTS: dict[str, Callable[[HeatmapTraining], list[HeatmapTraining]]] = {
    "all": lambda recipe: [recipe],
    "three": lambda recipe: [replace(recipe, steps=recipe.steps // 3, seed=3 * recipe.seed + n) for n in range(3)],
    "no-phase": lambda recipe: [recipe],
    "no-mining": lambda recipe: [replace(recipe, mined=(_NEVER,))],
    "no-squares": lambda recipe: [recipe],
    "large": lambda recipe: [replace(recipe, network="large")],
}
"""Squares of voxels are the channels of one voxel of the network's grid: without them the grid is the scan's. "three"
networks share the steps of one, and the mean of their answers is taken."""

ROLES = ("validation", "test", "control")
NEAR_MM = 3.0
WAYS: dict[str, Looks] = {
    "": ONCE,
    ", turned": LOOKS["turned"],
    ", mirrored": Looks(((), (0,), (1,), (0, 1))),
    ", turned, shrunk": LOOKS[NOW],
}
"""How a scan is looked at: as it is, also turned round in plane, also mirrored along either side, also shrunk."""
_SQUARES = ("blocks", "peaks", "training")


def brains_of(study: Study, names: Sequence[str], *, phase: bool) -> Iterator[tuple[str, Brain]]:
    """Preprocessed scans, cut to their brains."""
    marks = read_microbleeds(study)
    for name in names:
        swi = read_volume(study.volume(name, "swi"))
        other = np.asarray(read_volume(study.volume(name, "phase")).data) if phase else None
        mine = marks.loc[marks["participant_id"] == name, ["i", "j", "k"]].to_numpy(float)
        yield name, brain_of(np.asarray(swi.data), other, read_mask(study.mask(name), swi), swi.zooms, mine)


def judged(places: NDArray[np.float64], heights: NDArray[np.float32], brain: Brain) -> dict[str, list[float]]:
    """The highest answer at each microbleed (0: none), and those that are at none."""
    away = np.linalg.norm((places[:, None] - brain.marks[None]) * brain.spacing, axis=2)
    hits = [float(heights[near].max()) if near.any() else 0.0 for near in (away <= NEAR_MM).T]
    return {"hits": hits, "false": [float(height) for height in heights[(away > NEAR_MM).all(axis=1)]]}


def one(study: Study, fold: str, variant: str, seed: int, steps: int, out: Path) -> None:
    """Train, look at all who were not learned from, and write what was found."""
    from cmb_toolkit.heatmap.running import answers
    from cmb_toolkit.heatmap.training import train

    with ExitStack() as stack:
        if variant == "no-squares":
            for name in _SQUARES:
                stack.enter_context(patch(f"cmb_toolkit.heatmap.{name}.factor_of", lambda spacing: 1))
        folds = read_folds(study)
        roles = {role: folds.loc[(folds["fold"] == fold) & (folds["role"] == role), "participant_id"] for role in
                 ("train", *ROLES)}  # fmt: skip
        phase = variant != "no-phase"
        learned = [brain for _, brain in brains_of(study, list(roles["train"]), phase=phase)]
        runs = []
        for recipe in VARIANTS[variant](HeatmapTraining(steps=steps, seed=seed)):
            checkpoint = out.with_suffix(f".{recipe.seed}.npz")
            runs.append(answers(train(learned, recipe, checkpoint=checkpoint, key=f"{variant} {fold}")[0]))
        arrays = {}
        found: dict[str, Any] = {way: {role: {} for role in ROLES} for way in WAYS}
        for role in ROLES:
            for name, brain in brains_of(study, list(roles[role]), phase=phase):
                for way, looks in WAYS.items():
                    answer = np.mean([scores(run, brain, looks) for run in runs], axis=0)
                    places, heights = peaks(answer, brain.spacing, separation_mm=SEPARATION_MM, most=MOST)
                    found[way][role][name] = judged(places, heights, brain)
                    arrays[f"{way}|{role}|{name}"] = answer.astype(np.float16)
    if variant == "all":
        np.savez(out.with_suffix(".npz"), allow_pickle=False, **arrays)
    out.write_text(json.dumps(found), "utf-8")


def mean_of(study: Study, files: Sequence[Path]) -> dict[str, Any]:
    """What the mean of several answers finds."""
    opened = [np.load(path.with_suffix(".npz")) for path in files]
    found: dict[str, Any] = {way: {role: {} for role in ROLES} for way in WAYS}
    for key in opened[0].files:
        way, role, name = key.split("|")
        ((_, brain),) = brains_of(study, [name], phase=False)
        answer = np.mean([np.asarray(file[key], np.float32) for file in opened], axis=0)
        places, heights = peaks(answer, brain.spacing, separation_mm=SEPARATION_MM, most=MOST)
        found[way][role][name] = judged(places, heights, brain)
    return found


def threshold(found: dict[str, Any], most_false: float) -> float:
    """The lowest that leaves so many false positives a subject."""
    ranked = sorted((height for one in found.values() for height in one["false"]), reverse=True)
    most = int(most_false * len(found))
    return ranked[most] if len(ranked) > most else 0.0


def counted(found: dict[str, Any], above: float) -> NDArray[np.int64]:
    """Microbleeds found and all, false positives, subjects."""
    hits = [height > above for one in found.values() for height in one["hits"]]
    return np.array([sum(hits), len(hits), sum(h > above for one in found.values() for h in one["false"]), len(found)])


def line(name: str, results: Sequence[dict[str, Any]], most_false: float) -> str:
    """Of one variant, all its folds and seeds together."""
    tested, ideal, controls = np.zeros(4, int), np.zeros(4, int), np.zeros(4, int)
    for found in results:
        above = threshold(found["validation"], most_false)
        tested += counted(found["test"], above)
        controls += counted(found["control"], above)
        ideal += counted(found["test"], threshold(found["test"], most_false))
    healthy = f"{controls[2] / controls[3]:.2f}" if controls[3] else "none"
    return (
        f"| {name} | {len(results)} | {tested[0]} of {tested[1]} ({tested[0] / tested[1]:.0%}) at "
        f"{tested[2] / tested[3]:.2f} | {healthy} | {ideal[0] / ideal[1]:.0%} |"
    )


def main() -> None:
    """Train what is not there, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--folds", nargs="+", default=["1"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--most-false", type=float, default=0.5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, help="where results lie, by default STUDY/scratch/ablations-STEPS")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    study = Study(given.study)
    folder = given.out or given.study / "scratch" / f"ablations-{given.steps}"
    if given.one:
        fold, variant, seed = given.one
        one(study, fold, variant, int(seed), given.steps, folder / f"{fold}-{variant}-{seed}.json")
        return
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [(fold, variant, str(seed)) for seed in given.seeds for fold in given.folds for variant in given.variants]
    lacking = [names for names in wanted if not (folder / f"{'-'.join(names)}.json").is_file()]
    own = (
        {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"} if given.jobs > 1 else {}
    )

    def run(names: tuple[str, str, str]) -> None:
        call = [sys.executable, __file__, str(given.study), "--steps", str(given.steps), "--out", str(folder)]
        subprocess.run([*call, "--one", *names], check=True, env=os.environ | own)
        print(" ".join(names), flush=True)

    with ThreadPoolExecutor(given.jobs) as pool:
        list(pool.map(run, lacking))
    print(f"\n| | trainings | test, {given.most_false:g} a validation subject | controls | test's own curve |")
    print("|---|--:|---|--:|--:|")

    def show(name: str, results: Sequence[dict[str, Any]]) -> None:
        for way in WAYS:
            print(line(name + way, [found[way] for found in results], given.most_false))

    for variant in given.variants:
        files = [folder / f"{fold}-{variant}-{seed}.json" for fold in given.folds for seed in given.seeds]
        show(variant, [json.loads(path.read_text("utf-8")) for path in files])
    if "all" in given.variants and len(given.seeds) > 1:
        means = [mean_of(study, [folder / f"{fold}-all-{seed}.json" for seed in given.seeds]) for fold in given.folds]
        show(f"mean of {len(given.seeds)}", means)


if __name__ == "__main__":
    main()
