"""README's lines ("On your own scans") as a newcomer types them, from scans and an Excel sheet to a new patient's page.

    python benchmarks/new_patient.py FOLDER [--patients 12] [--seed 41] [--train "--preset small --quick"]

Simulates slab scans of patients, two of them scanned twice, and leaves of them what a group would have: NIfTI files, a
table of them, and marks in an Excel sheet with headings. Then the block of commands runs in a shell as it stands, with
--train added to `cmbtk train` alone (small, for scans of a few slices), and at the end stands what the model finds in a
patient of another seed, whose truth is known, and where its report lies. No command needs a number of another one.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[1]
NEAR_MM = 3.0


def lines(training: str) -> str:
    """The block of commands under README's heading."""
    text = (ROOT / "README.md").read_text("utf-8")
    block = re.search(r"## On your own scans\n.*?```\n(.*?)```", text, re.DOTALL)
    assert block is not None
    return block[1].replace("-o ours.cmbtk ", f"-o ours.cmbtk {training} ", 1)


def cmbtk(*words: object) -> None:
    """Run a command of this installation."""
    subprocess.run([sys.executable, "-m", "cmb_toolkit", *map(str, words)], check=True)


def what_a_group_has(folder: Path, patients: int, seed: int, resolution: str = "slab") -> None:
    """``scans.tsv`` and ``marks.xlsx``; the last two scans are second ones of the first two patients."""
    cmbtk("simulate", folder / "simulated", "--resolution", resolution, "--subjects", patients + 2, "--healthy", 0,
          "--difficulty", "easy", "--seed", seed)  # fmt: skip
    study = folder / "simulated"
    people = pd.read_csv(study / "participants.tsv", sep="\t")
    names = [f"{n:02d}" for n in range(1, patients + 1)] + ["01", "02"]
    sessions = ["1" if name in ("01", "02") else "n/a" for name in names[:patients]] + ["2", "2"]
    table = people[["scanner", "magnitude", "phase", "echo_time_ms", "phase_sign"]].copy()
    table.insert(0, "participant_id", names)
    table.insert(1, "session_id", sessions)
    for column in ("magnitude", "phase"):
        table[column] = [f"simulated/{path}" for path in table[column]]
    table.to_csv(folder / "scans.tsv", sep="\t", index=False, na_rep="n/a")
    marks = pd.read_csv(study / "microbleeds.tsv", sep="\t")
    row = dict(zip(people["participant_id"], zip(names, sessions, strict=True), strict=True))
    who = [row[subject] for subject in marks["participant_id"]]
    sheet = pd.DataFrame(who, columns=["participant_id", "session_id"])
    pd.concat([sheet, marks[["x_mm", "y_mm", "z_mm"]]], axis=1).to_excel(folder / "marks.xlsx", index=False)


def new_patient(folder: Path, seed: int, resolution: str = "slab") -> pd.DataFrame:
    """``mag.nii.gz`` and ``phase.nii.gz`` of somebody whom no model knows; where the microbleeds are."""
    cmbtk("simulate", folder / "new", "--resolution", resolution, "--subjects", 1, "--healthy", 0, "--difficulty",
          "easy", "--seed", seed)  # fmt: skip
    scans = folder / "new" / "scans" / "sub-001"
    for name, part in (("mag", "mag"), ("phase", "phase")):
        (folder / f"{name}.nii.gz").write_bytes((scans / f"sub-001_part-{part}_T2starw.nii.gz").read_bytes())
    return pd.read_csv(folder / "new" / "microbleeds.tsv", sep="\t")


def main() -> int:
    """Run it; the exit code is 1 if the new patient's report finds less than half of the microbleeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--patients", type=int, default=12)
    parser.add_argument("--seed", type=int, default=41)
    parser.add_argument("--train", default="--preset small --quick")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    what_a_group_has(folder, arguments.patients, arguments.seed)
    truth = new_patient(folder, arguments.seed + 1000)
    started = time.monotonic()
    own = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    script = lines(arguments.train)
    subprocess.run(["bash", "-c", f"set -euo pipefail\n{script}"], cwd=folder, env=own, check=True)
    found = pd.read_csv(folder / "result" / "lesions.tsv", sep="\t", na_values="n/a")
    places = [table[["x_mm", "y_mm", "z_mm"]].to_numpy(float) for table in (truth, found)]
    away = np.linalg.norm(places[0][:, None] - places[1][None], axis=2)
    hits = int((away.min(axis=1, initial=np.inf) <= NEAR_MM).sum())
    false = int((away.min(axis=0, initial=np.inf) > NEAR_MM).sum())
    commands = sum(line.startswith("cmbtk ") for line in script.splitlines())
    print(
        f"\n{commands} commands, {(time.monotonic() - started) / 60:.0f} minutes. In the new patient "
        f"{hits} of {len(truth)} microbleeds and {false} false positives: {folder / 'result' / 'report.html'}"
    )
    return 0 if 2 * hits >= len(truth) else 1


if __name__ == "__main__":
    raise SystemExit(main())
