"""What first stages find at equal false positives: the cells of one fold side by side, by their candidates alone.

    cmbtk heatmap study --fold 1 --threshold 0.0002
    python benchmarks/detectors.py study/cells/HR_heatmap_fold-1 study/cells/HR_swi+cphase-averaged_fold-1

Centre rule, 3 mm. A line each for subjects that were learned from, that the threshold is chosen on, and that were never
looked at: microbleeds found at so many false positives a subject, and the false positives of healthy controls at the
threshold that leaves as many on the validation subjects. A place on a test set's curve is no threshold: what a user
gets stands in `cmbtk tables`. A cell's candidates end at its own threshold; beyond that its numbers stand still.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from cmb_toolkit.evaluation.metrics import froc
from cmb_toolkit.evaluation.rules.centre import Centre
from cmb_toolkit.io.tables import read_tsv
from cmb_toolkit.study.cell import read_setup
from cmb_toolkit.study.cohort import read_microbleeds
from cmb_toolkit.study.layout import Study

BUDGETS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 50.0)


def curve_of(cell: Path, role: str) -> tuple[pd.DataFrame, int]:
    """Curve of one role's subjects, and their microbleeds."""
    study, files = Study.of_cell(cell)
    names = read_setup(files).roles[role]
    marks = read_microbleeds(study)
    marks = marks[marks["participant_id"].isin(list(names))].reset_index(drop=True)
    candidates = read_tsv(files.candidates)
    mine = candidates[candidates["role"] == role].reset_index(drop=True)
    return froc(mine, marks, Centre(3.0), list(names)), len(marks)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", type=Path, nargs="+")
    print(f"{'false positives a subject':42}{''.join(f'{budget:>6g}' for budget in BUDGETS)}")
    for cell in parser.parse_args().cells:
        print(cell.name)
        thresholds = {}
        for role in ("train", "validation", "test"):
            curve, count = curve_of(cell, role)
            within = [curve[curve["fp_per_subject"] <= budget] for budget in BUDGETS]
            found = "".join(f"{int(rows['tp'].max()):6d}" for rows in within)
            print(f"  {f'{role}, of {count} microbleeds':40}{found}")
            if role == "validation":
                thresholds = {budget: rows["threshold"].min() for budget, rows in zip(BUDGETS, within, strict=True)}
        controls, _ = curve_of(cell, "control")
        at = [controls.loc[controls["threshold"] >= least, "fp_per_subject"].max() for least in thresholds.values()]
        print(f"  {'controls, false positives a scan':40}{''.join(f'{value:6.1f}' for value in at)}")


if __name__ == "__main__":
    main()
