"""What a heatmap network finds when it looks at scans as they are, also turned round, mirrored, shrunk to half.

    python benchmarks/heatmap_looks.py other study/cells/slab_heatmap_fold-1/network.npz [...]

Everybody in the study `other` is looked at, which must not be the one that the networks have learned from. Printed are
microbleeds found, 3 mm, per lesion, at so many false positives a subject on these subjects' own curve, the mean of all
networks, and the seconds that the looks take.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from heatmap_ablations import WAYS, brains_of, counted, judged, threshold

from cmb_toolkit.heatmap.openvino_network import answers
from cmb_toolkit.heatmap.peaks import peaks, scores
from cmb_toolkit.lessons.loop import SEPARATION_MM
from cmb_toolkit.lessons.network_file import read_network
from cmb_toolkit.lessons.skill import MOST
from cmb_toolkit.openvino_layers import Numbers
from cmb_toolkit.study.cohort import read_participants
from cmb_toolkit.study.layout import Study

ALLOWED = (0.125, 0.25, 0.5, 1, 2, 4, 8, 16)


def main() -> None:
    """Look, count, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("networks", type=Path, nargs="+")
    given = parser.parse_args()
    study = Study(given.study)
    files = [read_network(path, ["heatmap-small", "heatmap-large"], "heatmap") for path in given.networks]
    runs = [answers(file.network, file.channels, Numbers.in_turn(file.arrays)) for file in files]
    found: dict[str, list[dict[str, dict[str, list[float]]]]] = {way: [{} for _ in runs] for way in WAYS}
    seconds = dict.fromkeys(WAYS, 0.0)
    names = list(read_participants(study)["participant_id"])
    for name, brain in brains_of(study, names, phase=True):
        for way, looks in WAYS.items():
            for run, result in zip(runs, found[way], strict=True):
                started = time.monotonic()
                answer = scores(run, brain, looks)
                seconds[way] += time.monotonic() - started
                places, heights = peaks(answer, brain.spacing, separation_mm=SEPARATION_MM, most=MOST)
                result[name] = judged(places, heights, brain)
    marks = counted(found[""][0], 0)[1]
    print(f"| of {marks}, at | {' | '.join(f'{most:g}' for most in ALLOWED)} | seconds a subject |")
    print("|---" * (len(ALLOWED) + 2) + "|")
    for way, results in found.items():
        mean = np.mean([[counted(one, threshold(one, most))[0] for most in ALLOWED] for one in results], axis=0)
        took = seconds[way] / len(names) / len(runs)
        print(f"| as it is{way} | {' | '.join(f'{each:.1f}' for each in mean)} | {took:.2f} |")


if __name__ == "__main__":
    main()
