"""What the 3D fast radial symmetry transform finds on simulated scans, at how many false positives, and how fast.

    python benchmarks/frst.py --resolution HR --subjects 4            # 3 to 5 minutes on 2 cores
    python benchmarks/frst.py --resolution LR --difficulty hard --seed 7 --study /tmp/lr-hard --plot curve.png
    python benchmarks/frst.py --study /tmp/lr-hard                    # the same study again, or one of your own

Prints false positives per subject against sensitivity (a candidate within 3 mm), and processor seconds per volume
beside a peer, scikit-image's difference of Gaussians over the same radii on the same volume. The paper's 3D-FRST had
497 false positives a subject at 97.3 % in HR, 946 at 80.1 % in LR (Table 9).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from skimage.feature import blob_dog

from cmb_toolkit.evaluation.metrics import froc
from cmb_toolkit.evaluation.rules.centre import Centre
from cmb_toolkit.io.nifti import read_mask, read_volume
from cmb_toolkit.parallel import for_each
from cmb_toolkit.simulation.acquisition import DIFFICULTIES
from cmb_toolkit.simulation.recipe import Simulating
from cmb_toolkit.stage1.radial_symmetry import local_maxima, radial_symmetry
from cmb_toolkit.stage1.recipe import RadialSymmetry
from cmb_toolkit.steps.preprocess import preprocess
from cmb_toolkit.steps.simulate import simulate
from cmb_toolkit.study.cohort import read_microbleeds, read_participants
from cmb_toolkit.study.layout import Study

SENSITIVITIES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.99)
PAPER = {"HR": (0.9734, 497.4), "LR": (0.8006, 946.1)}
SEPARATION_MM = 3.0
MOST = 3000
REPEATS = 3


def candidates(subject: str, study: Study, recipe: RadialSymmetry) -> tuple[pd.DataFrame, float]:
    """Candidates of a subject with their world coordinates, and processor seconds from arrays to candidates."""
    swi = read_volume(study.swi(subject))
    mask = read_mask(study.mask(subject), swi)
    started = time.process_time()
    scores = radial_symmetry(swi.data, mask, swi.zooms, recipe)
    voxels, confidence = local_maxima(scores, swi.zooms, separation_mm=SEPARATION_MM, most=MOST)
    seconds = time.process_time() - started
    world = voxels @ swi.affine[:3, :3].T + swi.affine[:3, 3]
    table = pd.DataFrame(world, columns=["x_mm", "y_mm", "z_mm"]).assign(participant_id=subject, confidence=confidence)
    return table, seconds


def peer_seconds(subject: str, study: Study, recipe: RadialSymmetry) -> float:
    """Processor seconds of the peer on the box around the brain; a ball of radius r answers at r / sqrt 3."""
    swi = read_volume(study.swi(subject))
    mask = read_mask(study.mask(subject), swi)
    box = tuple(slice(side.min(), side.max() + 1) for side in np.nonzero(mask))
    bright = 1 - swi.data[box] / np.percentile(swi.data[mask], 99)
    low, high = (
        [radius / np.sqrt(3) / zoom for zoom in swi.zooms] for radius in (min(recipe.radii_mm), max(recipe.radii_mm))
    )
    started = time.process_time()
    blob_dog(bright, min_sigma=low, max_sigma=high, threshold=0.2)
    return time.process_time() - started


def plot(curve: pd.DataFrame, title: str, resolution: str, path: Path) -> None:
    """The curve, and the paper's point of that resolution."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.step(curve["fp_per_subject"] + 1, 100 * curve["sensitivity"], where="post")
    if resolution in PAPER:
        sensitivity, false = PAPER[resolution]
        axes.plot(false + 1, 100 * sensitivity, "o", label=f"Al-masni et al. 2020, {resolution}")
        axes.legend(loc="lower right")
    axes.set(xscale="log", ylim=(0, 102), xlabel="false positives per subject + 1", ylabel="sensitivity (%)")
    axes.set_title(title)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Simulate where needed, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", choices=["HR", "LR", "slab", "slab-lr"], default="HR")
    parser.add_argument("--difficulty", choices=list(DIFFICULTIES), default="paper")
    parser.add_argument("--subjects", type=int, default=4)
    parser.add_argument("--microbleeds", type=float, default=4.0, help="mean per subject")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--study", type=Path, help="take this study, or make it here; default: one for the moment")
    parser.add_argument("--radii", type=float, nargs="+", default=RadialSymmetry().radii_mm, help="mm")
    parser.add_argument("--margin", type=float, default=RadialSymmetry().margin_mm, help="rim of the brain left out")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--no-peer", action="store_true", help="leave out the peer, which is slow")
    parser.add_argument("--plot", type=Path, metavar="FILE")
    chosen = parser.parse_args()
    recipe = RadialSymmetry(radii_mm=tuple(chosen.radii), margin_mm=chosen.margin)
    with tempfile.TemporaryDirectory() as temporary:
        root: Path = chosen.study or Path(temporary) / "study"
        if not Study(root).participants.is_file():
            simulate(
                root,
                Simulating(
                    resolution=chosen.resolution,
                    subjects=chosen.subjects,
                    seed=chosen.seed,
                    microbleeds=chosen.microbleeds,
                    difficulty=chosen.difficulty,
                ),
                jobs=chosen.jobs,
                on_progress=quiet,
            )
        preprocess(root, jobs=chosen.jobs, on_progress=quiet)
        measure(Study.open(root), recipe, chosen)


def measure(study: Study, recipe: RadialSymmetry, chosen: argparse.Namespace) -> None:
    """Print the curve and the seconds of a preprocessed study."""
    people = read_participants(study)
    subjects = people.index.tolist()
    work = partial(candidates, study=study, recipe=recipe)
    found = for_each(work, subjects, jobs=chosen.jobs, on_progress=quiet)
    truth = read_microbleeds(study)
    curve = froc(pd.concat([table for table, _ in found], ignore_index=True), truth, Centre(), subjects)
    resolution = "+".join(sorted(set(people["resolution"])))
    print(f"{resolution}: {len(subjects)} subjects, {len(truth)} microbleeds")
    print("sensitivity %  false positives per subject")
    for least in SENSITIVITIES:
        enough = curve[curve["sensitivity"] >= least]
        value = f"{enough['fp_per_subject'].iloc[0]:.1f}" if len(enough) else "never reached"
        print(f"{100 * least:13.0f}  {value}")
    last = curve.iloc[-1]
    print(f"all candidates: {100 * last['sensitivity']:.1f} % at {last['fp_per_subject']:.1f}")
    if resolution in PAPER:
        sensitivity, false = PAPER[resolution]
        print(f"the paper's 3D-FRST: {100 * sensitivity:.1f} % at {false:.1f}")
    seconds = min(candidates(subjects[0], study, recipe)[1] for _ in range(REPEATS))
    line = f"processor seconds per volume: {seconds:.2f}"
    if not chosen.no_peer:
        peer = min(peer_seconds(subjects[0], study, recipe) for _ in range(REPEATS))
        line += f"; difference of Gaussians (scikit-image) {peer:.2f}, {peer / seconds:.2f} times as much"
    print(line)
    if chosen.plot:
        plot(curve, f"3D-FRST on {len(subjects)} scans, {len(truth)} microbleeds", resolution, chosen.plot)


def quiet(done: int, total: int, what: str) -> None:
    """Report nothing."""


if __name__ == "__main__":
    main()
