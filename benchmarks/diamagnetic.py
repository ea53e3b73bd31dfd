"""Whether calcifications are told from microbleeds by the phase around them, on simulated scans.

    python benchmarks/diamagnetic.py STUDY [STUDY ...] [--subjects 40]

Takes preprocessed studies of simulated scans and asks :func:`cmb_toolkit.imaging.dipole.dipole_likeness` at the dark
region of every microbleed and of what the simulator knows to look like one, at most 30 of a kind in a subject (there
are hundreds of veins). Printed: of each kind how many
are called diamagnetic, how many as like a paramagnetic source by more than the same amount, and the rest.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from nibabel.affines import apply_affine

from cmb_toolkit.imaging.dipole import DIAMAGNETIC, dipole_likeness
from cmb_toolkit.imaging.extent import extent
from cmb_toolkit.io.nifti import read_mask, read_volume
from cmb_toolkit.schema import WORLD
from cmb_toolkit.study.cohort import read_participants
from cmb_toolkit.study.layout import Study

_MOST = 30


def likenesses(study: Study, subject: str) -> Iterator[tuple[str, float]]:
    """Kind and likeness of each spot in a subject's brain."""
    truth = json.loads(study.simulated_truth(subject).read_text("utf-8"))
    first = read_volume(study.swi(subject))
    swi, phase, affine, spacing = first.data, read_volume(study.phase(subject)).data, first.affine, first.zooms
    mask = read_mask(study.mask(subject), first)
    main_field = np.array([0.0, 0.0, 1.0]) @ (affine[:3, :3] / np.asarray(spacing))
    spots = pd.Series([*truth["microbleeds"], *truth["mimics"]])
    kinds = spots.groupby([spot["kind"] for spot in spots])
    for spot in spots[kinds.cumcount() % -(-kinds.transform("size") // _MOST) == 0]:
        place = apply_affine(np.linalg.inv(affine), [spot[name] for name in WORLD])
        voxel = tuple(np.rint(place).astype(int))
        if all(0 <= n < size for n, size in zip(voxel, mask.shape, strict=True)) and mask[voxel]:
            region = extent(swi, mask, place, spacing)
            yield spot["kind"], dipole_likeness(phase, mask, region.centre, spacing, main_field)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", type=Path, nargs="+", metavar="STUDY")
    parser.add_argument("--subjects", type=int, default=40)
    arguments = parser.parse_args()
    rows: list[tuple[str, float]] = []
    for folder in arguments.studies:
        study = Study.open(folder)
        for subject in read_participants(study)["participant_id"][: arguments.subjects]:
            rows += likenesses(study, str(subject))
    table = pd.DataFrame(rows, columns=["kind", "dipole"]).dropna()
    print(f"{'':22}{'number':>8}{'diamagnetic':>13}{'neither':>9}{'paramagnetic':>14}")
    for kind, values in table.groupby("kind")["dipole"]:
        below, above = (values <= DIAMAGNETIC).mean(), (values >= -DIAMAGNETIC).mean()
        print(f"{kind:22}{len(values):8}{below:13.1%}{1 - below - above:9.1%}{above:14.1%}")


if __name__ == "__main__":
    main()
