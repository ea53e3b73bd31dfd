"""What few patients give with and without simulated subjects to learn from besides (the paper's future work).

    python benchmarks/pretraining.py FOLDER                        # full-size HR, hours
    python benchmarks/pretraining.py FOLDER --resolution slab --patients 5 10 --max-batches 1500

For lack of patients, these are simulated as well: `--difficulty paper`, two scanners, one seed. What is added is
simulated otherwise: `--added-difficulty` (easy), one scanner, another seed. So the two differ as another simulator
would from people, only less; what is measured is an upper bound of what simulated subjects can do for real ones.

All cells of one study: the same validation and test subjects, so many patients to learn from, without (`n5`) and with
(`n5plus`) the simulated ones, and these alone (`n0plus`). A table at the end, per lesion, both stages, on the test
subjects. Runs again where it was killed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

INPUT = "swi+cphase-averaged"


def main() -> None:
    """Make the study and its cells, train and evaluate each, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--resolution", default="HR")
    parser.add_argument("--patients", type=int, nargs="+", default=[5, 10, 20], help="to learn from")
    parser.add_argument("--validation", type=int, default=6)
    parser.add_argument("--tested", type=int, default=14)
    parser.add_argument("--added", type=int, default=40, help="simulated subjects")
    parser.add_argument("--difficulty", default="paper")
    parser.add_argument("--added-difficulty", default="easy")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cfg", default="small")
    parser.add_argument("--max-batches", type=int, default=3000)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--copies", type=int, nargs=2, default=(6, 1))
    parser.add_argument("--size", type=int, default=448, help="of the network image [px]")
    given = parser.parse_args()
    study, more = given.folder / "study", given.folder / "more"
    held_out = given.validation + given.tested
    patients = max(given.patients) + held_out
    for folder, subjects, difficulty, scanners, seed in (
        (study, patients, given.difficulty, 2, given.seed),
        (more, given.added, given.added_difficulty, 1, given.seed + 1000),
    ):
        if not (folder / "participants.tsv").is_file():
            asked = ["--subjects", subjects, "--difficulty", difficulty, "--scanners", scanners, "--seed", seed]
            cmbtk("simulate", folder, "--resolution", given.resolution, *asked)
    cmbtk("add-simulated", study, more)
    cmbtk("preprocess", study)
    sizes = sorted({0, *given.patients})
    write_folds(study, sizes, given.validation, given.tested)
    folds = [f"n{size}{plus}" for size in sizes for plus in ("", "plus") if size or plus]
    for fold in folds:
        cell = study / "cells" / f"{given.resolution}_{INPUT}_fold-{fold}"
        network = ["--cfg", given.cfg, "--max-batches", given.max_batches, "--size", given.size]
        learning = ["--network", "small", "--augment", "in-plane", "--copies", *given.copies, "--epochs", given.epochs]
        steps: list[list[object]] = [
            ["prepare-yolo", study, "--fold", fold, "--resolution", given.resolution, *network, "--label-reach", 1],
            ["stage1-train", cell, "--seed", given.seed],
            ["stage1-detect", cell],
            ["stage2-crop", cell],
            ["stage2-train", cell, *learning, "--seed", given.seed],
            ["stage2-classify", cell, "--most-false", 2],
            ["evaluate", cell, "--false-pictures", 0],
        ]
        if not all(succeeds(*step) for step in steps):
            print(f"{cell.name}: stops here; that a few patients are too few to learn from is a result", flush=True)
    print(table(study, given.resolution, folds))


def succeeds(*words: object) -> bool:
    """Run a command."""
    return subprocess.run([sys.executable, "-m", "cmb_toolkit", *map(str, words)], check=False).returncode == 0


def cmbtk(*words: object) -> None:
    """Run a command that all others need."""
    if not succeeds(*words):
        sys.exit(1)


def write_folds(study: Path, sizes: Sequence[int], validation: int, tested: int) -> None:
    """Folds by hand: of the patients the last ones are tested, those before them validate, the first ones train."""
    people = pd.read_csv(study / "participants.tsv", sep="\t", keep_default_na=False)
    added = people["participant_id"][people["simulated"] == "yes"].tolist()
    own = people["participant_id"][people["simulated"] != "yes"].tolist()
    rest = own[: len(own) - validation - tested]
    rows = []
    for size in sizes:
        for plus in (False, True):
            roles = dict.fromkeys(own[len(own) - tested :], "test")
            roles |= dict.fromkeys(own[len(rest) : len(own) - tested], "validation")
            roles |= {name: "train" if n < size else "excluded" for n, name in enumerate(rest)}
            roles |= dict.fromkeys(added, "train" if plus else "excluded")
            rows += [(f"n{size}{'plus' if plus else ''}", name, role) for name, role in roles.items()]
    text = pd.DataFrame(rows, columns=["fold", "participant_id", "role"]).to_csv(sep="\t", index=False)
    if not (study / "folds.tsv").is_file() or (study / "folds.tsv").read_text("utf-8") != text:
        (study / "folds.tsv").write_text(text, "utf-8")


def table(study: Path, resolution: str, folds: Sequence[str]) -> str:
    """Markdown: patients and simulated subjects, what both stages find, false positives a subject."""
    lines = [
        "| patients | simulated | stage 1 % | FPavg | both stages % | 95 % | FPavg |",
        "|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for fold in folds:
        cell = study / "cells" / f"{resolution}_{INPUT}_fold-{fold}"
        project = json.loads((cell / "darknet.json").read_text("utf-8"))
        added = len(project["simulated"])
        patients = len(project["parameters"]["roles"]["train"]) - added
        if not (cell / "evaluation" / "metrics.json").is_file():
            lines.append(f"| {patients} | {added} | - | - | - | - | - |")
            continue
        stages = json.loads((cell / "evaluation" / "metrics.json").read_text("utf-8"))["stages"]
        shown = []
        for stage in ("stage1", "overall"):
            (one,) = [s for s in stages if (s["rule"], s["role"], s["stage"]) == ("centre", "test", stage)]
            counts = one["counts"]
            shown.append(f"{100 * counts['tp'] / (counts['tp'] + counts['fn']):.1f}")
            if stage == "overall":
                low, high = one["intervals"]["sensitivity"]
                shown.append(f"{100 * low:.0f}-{100 * high:.0f}")
            shown.append(f"{counts['fp'] / counts['subjects']:.2f}")
        lines.append(f"| {patients} | {added} | {' | '.join(shown)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
