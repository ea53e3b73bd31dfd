"""Do the networks of stage 2 learn, whatever the seed? Training and validation patches of one cell, several seeds each.

    python benchmarks/stage2_seeds.py demo/cells/slab_swi+cphase-averaged_fold-1 --networks paper channel --epochs 15

What is not given is that of --schedule short. For every network, rate, decay and seed: the area under the ROC curve on
the validation patches after each epoch (a training that learns nothing is stopped after the third), and how many units
of the two hidden dense layers (32 and 8) answer to any of these patches. Test subjects are not looked at.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path
from typing import get_args

import numpy as np

from cmb_toolkit.keras_settings import keras_engine
from cmb_toolkit.stage2 import networks
from cmb_toolkit.stage2.augment import AUGMENTATIONS
from cmb_toolkit.stage2.recipe import ClassifierTraining, Decay
from cmb_toolkit.stage2.schedule import scheduled
from cmb_toolkit.stage2.training import NoSkillError, train
from cmb_toolkit.study.layout import Study
from cmb_toolkit.study.patches import read_patches

AUC_WANTED, WITHIN = 0.95, 6


def main() -> None:
    """Train, and print a row for each network and seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cell", type=Path)
    parser.add_argument("--networks", nargs="+", default=["paper", "channel", "small"], choices=networks.NETWORKS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--copies", type=int, nargs=2)
    parser.add_argument("--learning-rate", type=float, nargs="+", default=[None])
    parser.add_argument("--decay", nargs="+", default=[None], choices=get_args(Decay))
    parser.add_argument("--augment", choices=AUGMENTATIONS)
    parser.add_argument("--warm-up", type=int, help="steps; by default the network's")
    given = parser.parse_args()
    _, files = Study.of_cell(given.cell)
    table, patches = read_patches(files.patches)
    sets = []
    for role in ("train", "validation"):
        rows = np.flatnonzero((table["role"] == role) & table["label"].notna())
        sets.append((np.array(patches[rows]), table["label"].to_numpy()[rows].astype(int)))
    training, validation = sets
    count = ", ".join(
        f"{role} {len(y)} ({y.sum()} of microbleeds)"
        for role, (_, y) in zip(("train", "validation"), sets, strict=True)
    )
    print(f"{keras_engine()}; patches: {count}\n")
    print(
        f"| network | rate | decay | seed | validation AUC by epoch | live of 32, 8 | s "
        f"| {AUC_WANTED:g} in {WITHIN} epochs |"
    )
    print("|---|---|---|---|---|---|---|---|")
    seeds = range(1, given.seeds + 1)
    for name, rate, decay, seed in itertools.product(given.networks, given.learning_rate, given.decay, seeds):
        asked = ClassifierTraining(
            schedule="short",
            network=name,
            epochs=given.epochs,
            learning_rate=rate,
            augmentation=given.augment,
            copies=given.copies and tuple(given.copies),
            seed=seed,
            warm_up=given.warm_up,
            decay=decay,
        )
        recipe = scheduled(asked, lambda: False)
        model = networks.build(name, seed)
        began = time.perf_counter()
        try:
            history = train(model, training, validation, recipe)
        except NoSkillError as error:
            history = error.history
        seconds = time.perf_counter() - began
        areas = history["val_auc"].to_numpy()
        listed = " ".join(f"{area:.3f}" for area in areas)
        print(
            f"| {name} | {recipe.learning_rate:g} | {recipe.decay} | {seed} | {listed} "
            f"| {', '.join(map(str, networks.live_units(model, validation[0])))} | {seconds:.0f} "
            f"| {'yes' if areas[:WITHIN].max() >= AUC_WANTED else 'NO'} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
