"""README's own lines ("Step by step"), word by word, on simulated scans that know nothing of the simulator.

    python benchmarks/own_scans.py FOLDER [--subjects 12] [--seed 5] [--difficulty easy] [--cfg small]

Simulates slab subjects, leaves of them what a group would have (files, a table of scans, a table of marks), and runs
the block of commands in a shell with nothing but their defaults, of the network --cfg. At the end the figures of both
stages on the test subjects stand beside the bar (80 % found at no more than 4 false positives a subject); below it the
exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd

ROOT = Path(__file__).parents[1]
BAR_SENSITIVITY, BAR_FALSE = 0.8, 4.0


def lines() -> str:
    """The block of commands under README's heading."""
    text = (ROOT / "README.md").read_text("utf-8")
    block = re.search(r"## Step by step\n.*?```\n(.*?)```", text, re.DOTALL)
    assert block is not None
    return block[1]


def scans(folder: Path, subjects: int, seed: int, difficulty: str) -> None:
    """``scans.tsv`` and ``marks.tsv`` with files beside them; masks, roles and true sizes stay behind."""
    cmbtk("simulate", folder / "simulated", "--resolution", "slab", "--subjects", subjects, "--healthy", 0,
          "--difficulty", difficulty, "--seed", seed)  # fmt: skip
    study = folder / "simulated"
    people = pd.read_csv(study / "participants.tsv", sep="\t")
    table = people[["participant_id", "scanner", "magnitude", "phase", "echo_time_ms", "phase_sign"]].copy()
    table["participant_id"] = table["participant_id"].str.removeprefix("sub-")
    for column in ("magnitude", "phase"):
        table[column] = [f"simulated/{path}" for path in table[column]]
    table.to_csv(folder / "scans.tsv", sep="\t", index=False)
    # in world coordinates: a study counts voxels along canonical axes, and not as its files do
    marks = pd.read_csv(study / "microbleeds.tsv", sep="\t")[["participant_id", "x_mm", "y_mm", "z_mm"]]
    marks["participant_id"] = marks["participant_id"].str.removeprefix("sub-")
    marks.to_csv(folder / "marks.tsv", sep="\t", index=False)


def cmbtk(*words: object) -> None:
    """Run a command of this installation."""
    subprocess.run([sys.executable, "-m", "cmb_toolkit", *map(str, words)], check=True)


def main() -> int:
    """Run it; the exit code tells whether the bar was reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--subjects", type=int, default=12)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--difficulty", default="easy", choices=["easy", "paper"])
    parser.add_argument("--cfg", default="small", help="in place of README's medium, for full-size scans")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    scans(folder, arguments.subjects, arguments.seed, arguments.difficulty)
    started = time.monotonic()
    shutil.rmtree(folder / "study", ignore_errors=True)
    own = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    script = "set -euo pipefail\n" + lines().replace("--cfg medium", f"--cfg {arguments.cfg}", 1)
    subprocess.run(["bash", "-c", script], cwd=folder, env=own, check=True)
    minutes = (time.monotonic() - started) / 60
    (path,) = (folder / "study" / "cells").glob("*/evaluation/metrics.json")
    found, false = figures(json.loads(path.read_text("utf-8")))
    good = found >= BAR_SENSITIVITY and false <= BAR_FALSE
    print(
        f"\nBoth stages, test subjects: {100 * found:.1f} % found at {false:.2f} false positives a subject, "
        f"{minutes:.0f} minutes. Expected: at least {100 * BAR_SENSITIVITY:.0f} % at no more than {BAR_FALSE:g}: "
        f"{'reached' if good else 'MISSED'}."
    )
    return 0 if good else 1


def figures(metrics: dict[str, Any]) -> tuple[float, float]:
    """Sensitivity and false positives a subject of both stages on the test subjects, centre rule."""
    (counts,) = (
        stage["counts"]
        for stage in metrics["stages"]
        if (stage["stage"], stage["role"], stage["rule"]) == ("overall", "test", "centre")
    )
    return counts["tp"] / (counts["tp"] + counts["fn"]), counts["fp"] / counts["subjects"]


if __name__ == "__main__":
    raise SystemExit(main())
