"""Wang's and Hong's networks on balanced sets of windows: what their printed numbers count, beside what they find.

    cmbtk wang study --fold 1
    python benchmarks/windows.py study/cells/HR_wang_fold-1

As many windows around the marks of the cell's test subjects as elsewhere in their brains, and what share of either is
told rightly at a probability of 0.5. The cell's own findings, place by place, are what `cmbtk evaluate` counts.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from cmb_toolkit.io.nifti import read_mask, read_volume
from cmb_toolkit.io.publish import record_of
from cmb_toolkit.lessons.brains import brain_of
from cmb_toolkit.methods.sliding import Hong, Wang
from cmb_toolkit.study.cell import read_setup
from cmb_toolkit.study.cohort import read_microbleeds
from cmb_toolkit.study.layout import Study
from cmb_toolkit.windows.draw import draw
from cmb_toolkit.windows.sliding import channels_of, load, sides_of

_BATCH = 256


def main() -> None:
    """Print a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cell", type=Path)
    parser.add_argument("--windows", type=int, default=2048)
    asked = parser.parse_args()
    study, cell = Study.of_cell(asked.cell)
    setup = read_setup(cell)
    kind = {"wang": Wang, "hong": Hong}[setup.method]
    learner = kind(**{name: _value(value) for name, value in record_of(cell.network)["parameters"]["recipe"].items()})
    marks = read_microbleeds(study)
    brains = []
    for subject in setup.roles["test"]:
        swi = read_volume(study.swi(subject))
        mine = marks.loc[marks["participant_id"] == subject, ["i", "j", "k"]].to_numpy(float)
        brains.append(brain_of(np.asarray(swi.data), None, read_mask(study.mask(subject), swi), swi.zooms, mine))
    run, rng = load(cell.network, learner.command), np.random.default_rng(0)
    answers, labels = [], []
    for _ in range(-(-asked.windows // _BATCH)):
        images, truth = draw(brains, [], _BATCH, sides_of(learner.side, learner), rng)
        answers.append(run(channels_of(images[..., 0])) >= 0.5)
        labels.append(truth == 1)
    said, true = np.concatenate(answers), np.concatenate(labels)
    right = {
        name: 100 * float(np.mean(said[true == kind] == kind))
        for name, kind in (("microbleed", True), ("other", False))
    }
    precision = 100 * float(true[said].mean()) if said.any() else float("nan")
    print(
        f"{cell.name}: {true.sum()} windows of microbleeds, {right['microbleed']:.2f} % told; {(~true).sum()} others, "
        f"{right['other']:.2f} % told; precision {precision:.2f} %, accuracy {100 * float((said == true).mean()):.2f} %"
    )


def _value(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


if __name__ == "__main__":
    main()
