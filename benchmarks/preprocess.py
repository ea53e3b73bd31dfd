"""Where the time of `cmbtk preprocess` goes, step by step, beside plain implementations of the same in the same run.

    python benchmarks/preprocess.py                       # an HR and an LR head: about a minute on 2 cores
    python benchmarks/preprocess.py --resolution HR --repeat 3

Every step runs alone on a simulated head; `all, as a command` is the whole from files to files. Printed are wall
seconds and processor seconds (of all threads), which other work on the machine changes less; of repeats the lowest.

Peers: skimage's unwrapping of the bare volume, without the brain mask; a simpler filter, the mask-weighted Gaussian
mean, written with scipy.ndimage; scipy's plain minimum over slices. Ratios are of processor seconds; above 1 the
toolkit is faster.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.restoration import unwrap_phase

from cmb_toolkit.imaging.bet import bet
from cmb_toolkit.imaging.highpass import SIGMA_MM, gaussian_highpass, homodyne_highpass
from cmb_toolkit.imaging.phase import phase_scale
from cmb_toolkit.imaging.sign import sinus_evidence, vein_evidence
from cmb_toolkit.imaging.swi import minip, phase_mask, swi
from cmb_toolkit.imaging.unwrap import unwrap_laplacian, unwrap_path
from cmb_toolkit.io.nifti import read_volume, write_volume
from cmb_toolkit.simulation.scan import simulate_scan
from cmb_toolkit.steps.preprocess import preprocess_scan
from cmb_toolkit.study.scan import Scan

MINIP_SLICES = 5


def scipy_gaussian(unwrapped: NDArray[Any], mask: NDArray[Any], zooms: tuple[float, float, float]) -> NDArray[Any]:
    """Minus the mask-weighted Gaussian mean, with scipy and nothing else."""
    weight = mask.astype(np.float32)
    sigma = (SIGMA_MM / zooms[0], SIGMA_MM / zooms[1], 0)
    mean = ndimage.gaussian_filter(unwrapped * weight, sigma, truncate=3) / np.maximum(
        ndimage.gaussian_filter(weight, sigma, truncate=3), 1e-3
    )
    return np.asarray((unwrapped - mean) * weight)


def best(work: Callable[[], object], repeat: int) -> tuple[float, float]:
    """The lowest wall time and processor time of some runs [s]."""
    wall, processor = [], []
    for _ in range(repeat):
        started, spent = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - started)
        processor.append(time.process_time() - spent)
    return min(wall), min(processor)


def measure(resolution: str, seed: int, repeat: int, folder: Path) -> None:
    """Simulate a head, time every step, print a table."""
    head = simulate_scan(seed, resolution)
    files = {}
    for name, data in (("magnitude", head.magnitude), ("phase", head.phase)):
        files[name] = folder / f"{resolution}_{name}.nii.gz"
        nib.save(nib.Nifti1Image(data, head.affine), files[name])
    magnitude, phase = read_volume(files["magnitude"]), read_volume(files["phase"])
    zooms = magnitude.zooms
    mask = bet(magnitude.data, zooms).mask
    unwrapped = unwrap_path(phase.data, mask)
    filtered = gaussian_highpass(unwrapped, mask, zooms, magnitude=magnitude.data)
    weighted = swi(magnitude.data, phase_mask(filtered))

    def whole() -> None:
        with tempfile.TemporaryDirectory(dir=folder) as out:
            scan = Scan("head", files["phase"], files["magnitude"])
            preprocess_scan(scan, Path(out) / "out", on_progress=lambda done, total, what: None)

    def read() -> None:
        for path in files.values():
            read_volume(path)

    def write() -> None:
        for n in range(4):
            write_volume(folder / f"out{n}.nii.gz", filtered, magnitude)

    rows: list[tuple[str, Callable[[], object], str, Callable[[], object] | None]] = [
        ("read magnitude and phase", read, "", None),
        ("unit of the phase", lambda: phase_scale(phase.data), "", None),
        ("brain mask (own BET)", lambda: bet(magnitude.data, zooms), "", None),
        ("unwrap, path", lambda: unwrap_path(phase.data, mask), "skimage, no mask", lambda: unwrap_phase(phase.data)),
        ("unwrap, laplacian", lambda: unwrap_laplacian(phase.data, mask, zooms), "", None),
        (
            "high-pass, gaussian",
            lambda: gaussian_highpass(unwrapped, mask, zooms, magnitude=magnitude.data),
            "scipy.ndimage",
            lambda: scipy_gaussian(unwrapped, mask, zooms),
        ),
        ("high-pass, homodyne", lambda: homodyne_highpass(magnitude.data, phase.data, mask, zooms), "", None),
        ("sign from the veins", lambda: vein_evidence(filtered, magnitude.data, mask, zooms), "", None),
        ("sign from the sinuses", lambda: sinus_evidence(unwrapped, magnitude.data, mask, zooms), "", None),
        ("phase mask and SWI", lambda: swi(magnitude.data, phase_mask(filtered)), "", None),
        (
            "minIP",
            lambda: minip(weighted, MINIP_SLICES, mask),
            "scipy, no mask",
            lambda: ndimage.minimum_filter(weighted, (1, 1, MINIP_SLICES)),
        ),
        ("write four volumes", write, "", None),
        ("all, as a command", whole, "", None),
    ]
    print(f"{resolution}, {' x '.join(map(str, magnitude.shape))} voxels, seed {seed}")
    print(f"  {'':26}   wall  processor")
    for name, work, peer, other in rows:
        wall, processor = best(work, repeat)
        beside = ""
        if other is not None:
            theirs = best(other, repeat)
            beside = f"   {peer}: {theirs[0]:.2f} {theirs[1]:.2f}, ratio {theirs[1] / processor:.2f}"
        print(f"  {name:26} {wall:6.2f} {processor:6.2f}{beside}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", choices=["HR", "LR", "slab"], action="append", help="default: HR and LR")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeat", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for resolution in chosen.resolution or ["HR", "LR"]:
            measure(resolution, chosen.seed, chosen.repeat, Path(folder))


if __name__ == "__main__":
    main()
