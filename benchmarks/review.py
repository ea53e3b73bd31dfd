"""One round of review with a simulated reader: what the next model does on fresh subjects, beside its parent.

    python benchmarks/review.py FOLDER [--patients 24] [--reviewed 16] [--held-out 12] [--error 0.05] [--seed 3101]

Simulates slab subjects of the difficulty paper: a study to train a model in (one fold, the network small), scans that a
reader looks at, and scans that nobody looks at until the end. The reader knows the truth and errs: each verdict is the
wrong one, and each missed microbleed stays missed, with the probability --error. Then `cmbtk train --reviewed` makes
the next model, and both look at the last scans. Every step is a command; the same call goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cmb_toolkit.evaluation.comparison import compare
from cmb_toolkit.evaluation.matching import match
from cmb_toolkit.evaluation.metrics import froc, per_subject
from cmb_toolkit.evaluation.rules import rule_named

WORLD = ["x_mm", "y_mm", "z_mm"]
NEAR_MM = 3.0
RULE = rule_named("centre", distance_mm=NEAR_MM)
MIMICS = {
    "vein": "vein",
    "flow void": "vein",
    "edge": "sulcus",
    "calcification": "calcification",
    "mineralised vessel": "mineral",
}
"""What the simulator calls a mimic -> what the reader says."""

_WIDE = f"{'next':>6} {'difference':>22}"
HEADING = f"{'':22} {'found: parent':>14} {_WIDE} {'false: parent':>14} {_WIDE}"


def cmbtk(*words: object) -> None:
    """Run a command of this installation."""
    subprocess.run([sys.executable, "-m", "cmb_toolkit", *map(str, words)], check=True)


def read(path: Path) -> pd.DataFrame:
    """A table."""
    return pd.read_csv(path, sep="\t", na_values="n/a", keep_default_na=False)


def simulated(study: Path, subjects: int, seed: int) -> None:
    """Slab patients."""
    cmbtk("simulate", study, "--resolution", "slab", "--subjects", subjects, "--healthy", 0, "--difficulty", "paper",
          "--seed", seed, "--jobs", 1)  # fmt: skip


def near(places: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances [mm], (n, m)."""
    away: NDArray[np.float64] = np.linalg.norm(places.reshape(-1, 1, 3) - others.reshape(1, -1, 3), axis=2)
    return away


def verdicts(asked: pd.DataFrame, scans: Path, error: float, seed: int) -> pd.DataFrame:
    """The table as the reader gives it back."""
    rng, truth, rows = np.random.default_rng(seed), read(scans / "microbleeds.tsv"), []
    for name in dict.fromkeys(asked["participant_id"]):
        mine = asked[(asked["participant_id"] == name) & asked["id"].notna()]
        marks = truth.loc[truth["participant_id"] == name, WORLD].to_numpy(float)
        away = near(mine[WORLD].to_numpy(float), marks)
        is_one = (away <= NEAR_MM).any(axis=1) ^ (rng.random(len(mine)) < error)
        places = mine[WORLD].to_numpy(float)
        said = [None if one else mimic(scans, name, place) for one, place in zip(is_one, places, strict=True)]
        rows.append(mine.assign(verdict=np.where(is_one, "yes", "no"), mimic=said, reader="simulated"))
        missed = marks[~(away <= NEAR_MM).any(axis=0)]
        missed = missed[rng.random(len(missed)) >= error]
        rows.append(pd.DataFrame(missed, columns=WORLD).assign(participant_id=name, verdict="yes", reader="simulated"))
        if not len(mine) and not len(missed):
            rows.append(pd.DataFrame([{"participant_id": name, "verdict": "no", "reader": "simulated"}]))
    table: pd.DataFrame = pd.concat(rows, ignore_index=True)
    return table


def mimic(scans: Path, name: str, place: NDArray[np.float64]) -> str | None:
    """What lies at a place that is no microbleed, where the simulator has put something there."""
    content = json.loads((scans / "scans" / name / f"{name}_truth.json").read_text("utf-8"))
    for each in content["mimics"]:
        if np.linalg.norm(np.array([each[axis] for axis in WORLD]) - place) <= NEAR_MM:
            return MIMICS.get(str(each.get("kind")), "other")
    return None


def counts(candidates: pd.DataFrame, truth: pd.DataFrame, names: list[str], threshold: float) -> pd.DataFrame:
    """Hits and false positives of each subject from a score on."""
    kept = candidates[candidates["score"] >= threshold].reset_index(drop=True)
    table: pd.DataFrame = per_subject(match(kept, truth, RULE), names)
    return table


def line(name: str, one: pd.DataFrame, other: pd.DataFrame) -> str:
    """Both models in a row of the table."""
    rates = compare(one, other).set_index("rate")
    cells = []
    for rate, scale, digits in (("sensitivity", 100, 0), ("fp_per_subject", 1, 2)):
        a, b, d, low, high = scale * rates.loc[rate].to_numpy(float)
        difference = f"{d:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"
        cells.append(f"{a:14.{digits}f} {b:6.{digits}f} {difference:>22}")
    return f"{name:22} {' '.join(cells)}"


def at_equal_sensitivity(candidates: pd.DataFrame, truth: pd.DataFrame, names: list[str], found: int) -> float:
    """The highest score from on which as many microbleeds are found; the lowest of all where there are fewer."""
    curve = froc(candidates, truth, RULE, names, "score").iloc[1:]
    enough = curve.loc[curve["tp"] >= found, "threshold"]
    return float(enough.max() if len(enough) else curve["threshold"].min())


def main() -> int:
    """Do it all, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--patients", type=int, default=24)
    parser.add_argument("--reviewed", type=int, default=16)
    parser.add_argument("--held-out", type=int, default=12)
    parser.add_argument("--error", type=float, default=0.05)
    parser.add_argument("--max-batches", type=int, default=800)
    parser.add_argument("--epochs", type=int, help="of the next model's stage 2; by default as many as the parent's")
    parser.add_argument("--seed", type=int, default=3101)
    asked = parser.parse_args()
    folder, started = asked.folder.resolve(), time.monotonic()
    study, new, held = (folder / name for name in ("study", "new", "held"))
    for place, number, seed in ((study, asked.patients, 0), (new, asked.reviewed, 1), (held, asked.held_out, 2)):
        simulated(place, number, asked.seed + seed)
    cmbtk("preprocess", study, "--jobs", 1)
    old, child, review = folder / "old.cmbtk", folder / "next.cmbtk", folder / "review"
    cmbtk("train", study, "-o", old, "--preset", "small", "--quick", "--max-batches", asked.max_batches, "--jobs", 1)
    cmbtk("detect", old, new, "-o", folder / "results", "--operating", "sensitive", "--jobs", 1)
    cmbtk("review", "write", folder / "results", "-o", review)
    back = verdicts(read(review / "handed-out" / "findings.tsv"), new, asked.error, asked.seed)
    back.to_csv(folder / "back.tsv", sep="\t", index=False, na_rep="n/a")
    cmbtk("review", "read", review, folder / "back.tsv")
    epochs = () if asked.epochs is None else ("--epochs", asked.epochs)
    cmbtk("train", study, "-o", child, "--reviewed", review, "--parent", old, "--scans", new, "--other-persons",
          *epochs, "--jobs", 1)  # fmt: skip
    truth = read(held / "microbleeds.tsv")
    names = read(held / "participants.tsv")["participant_id"].tolist()
    found = []
    for model, out in ((old, folder / "by-old"), (child, folder / "by-next")):
        cmbtk("detect", model, held, "-o", out, "--jobs", 1)
        points = json.loads((model / "model.json").read_text("utf-8"))["points"]
        found.append((read(out / "findings.tsv"), {name: point["threshold"] for name, point in points.items()}))
    print(f"\n{len(names)} fresh subjects, {len(truth)} microbleeds; found in %, false positives a subject\n{HEADING}")
    (first, before), (second, after) = found
    for name in ("sensitive", "balanced", "specific"):
        one = counts(first, truth, names, before[name])
        print(line(name, one, counts(second, truth, names, after[name])))
        same = at_equal_sensitivity(second, truth, names, int(one["tp"].sum()))
        print(line("  as many found", one, counts(second, truth, names, same)))
    print(f"{(time.monotonic() - started) / 60:.0f} minutes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
