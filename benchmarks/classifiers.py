"""How long OpenVINO and Keras take to classify patches with the networks of stage 2, side by side in one run.

    python benchmarks/classifiers.py --networks small paper --patches 60 1000
    python benchmarks/classifiers.py --networks paper --patches 200 --repeat 3

Each in a process of its own, from its start to the last probability, as a user waits for it; the two take turns, and of
`--repeat` runs the middle one counts. Printed are seconds of all processors together, which other work on the machine
disturbs least, by the clock, the most memory, and the first as a multiple of Keras'. Random patches, untrained
networks.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

PACKAGES = ("keras", "openvino")


class Time(NamedTuple):
    """What a process took: seconds of all processors and by the clock, and its most memory [MB]."""

    cpu: float
    wall: float
    memory: float


def here(package: str, path: Path, count: int) -> None:
    """Classify, as `stage2-classify` does."""
    import numpy as np

    from cmb_toolkit.stage2.batches import in_batches
    from cmb_toolkit.stage2.keras_file import read_network
    from cmb_toolkit.stage2.looking import Looking

    looks = Looking(read_network(path), "keras" if package == "keras" else "openvino")
    patches = np.random.default_rng(0).random((count, looks.size, 2 * looks.size, looks.size), dtype=np.float32)
    in_batches(looks.classifier(), patches)


def timed(package: str, path: Path, count: int) -> Time:
    """Of a process that does it."""
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, __file__, "--one", package, str(path), str(count)])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{package} could not classify")
    return Time(usage.ru_utime + usage.ru_stime, time.monotonic() - started, usage.ru_maxrss / 1024)


def save_networks(folder: Path, names: list[str]) -> None:
    """In a process of its own, so that what it takes is not counted."""
    code = (
        "import sys; from pathlib import Path; from cmb_toolkit.stage2 import networks\n"
        "for name in sys.argv[2:]: networks.save(networks.build(name), Path(sys.argv[1]) / f'{name}.keras')"
    )
    subprocess.run([sys.executable, "-c", code, str(folder), *names], check=True, capture_output=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=["small", "paper"])
    parser.add_argument("--patches", type=int, nargs="+", default=[60, 1000])
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        package, path, count = given.one
        return here(package, Path(path), int(count))
    print("network\tpatches\tpackage\tprocessor s\tof Keras'\ts by the clock\tMB")
    with tempfile.TemporaryDirectory() as folder:
        save_networks(Path(folder), given.networks)
        for name in given.networks:
            for count in given.patches:
                taken: dict[str, list[Time]] = {package: [] for package in PACKAGES}
                for _ in range(given.repeat):
                    for package in PACKAGES:
                        taken[package].append(timed(package, Path(folder) / f"{name}.keras", count))
                middle = {
                    package: [statistics.median(column) for column in zip(*runs, strict=True)]
                    for package, runs in taken.items()
                }
                for package, (cpu, wall, memory) in middle.items():
                    ratio = cpu / middle["keras"][0]
                    print(f"{name}\t{count}\t{package}\t{cpu:.1f}\t{ratio:.2f}\t{wall:.1f}\t{memory:.0f}")
    return None


if __name__ == "__main__":
    main()
