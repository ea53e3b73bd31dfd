"""The pictures of docs/simulator.md, made anew.

python docs/pictures/simulator.py                 # about 4 minutes on 2 cores
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from plates import save, show

from cmb_toolkit.imaging.highpass import gaussian_highpass
from cmb_toolkit.imaging.swi import minip, phase_mask, swi
from cmb_toolkit.imaging.unwrap import unwrap_path
from cmb_toolkit.simulation.scan import Scan, Variant, simulate_scan

HERE = Path(__file__).parent
SEED = 11
CROP_MM = 26.0
PHASE_WINDOW = 1.2
"""Grey values of the high-passed phase, black to white [rad]."""


@dataclass(frozen=True)
class Images:
    """A scan as a reader sees it."""

    scan: Scan
    zooms: tuple[float, float, float]
    swi: NDArray[np.float32]
    phase: NDArray[np.float32]
    minip: NDArray[np.float32]

    @classmethod
    def of(cls, scan: Scan) -> Images:
        """With the true inside of the skull as mask, by the functions and settings of `cmbtk preprocess`."""
        zooms = tuple(np.linalg.norm(scan.affine[:3, :3], axis=0).tolist())
        mask = scan.intracranial
        phase = gaussian_highpass(unwrap_path(scan.phase, mask), mask, zooms, magnitude=scan.magnitude)
        weighted = swi(scan.magnitude, phase_mask(phase)) * mask
        return cls(scan, zooms, weighted, phase * mask, minip(weighted, 5, mask))


def head(images: Images, name: str, folder: Path) -> None:
    """Six slices from base to vertex: magnitude, phase as the scanner gives it, high-passed, SWI, minIP."""
    scan = images.scan
    slices = [round(share * scan.magnitude.shape[2]) for share in (0.16, 0.27, 0.38, 0.48, 0.6, 0.78)]
    brightest = float(np.percentile(scan.magnitude[scan.intracranial], 99.8))
    i, j = (np.flatnonzero(scan.intracranial.any(axes)) for axes in ((1, 2), (0, 2)))
    box = slice(max(0, i[0] - 20), i[-1] + 20), slice(max(0, j[0] - 20), j[-1] + 20)
    rows = (
        ("magnitude", scan.magnitude, 0.0, brightest),
        ("phase", scan.phase, -np.pi, np.pi),
        ("high-passed", images.phase, -PHASE_WINDOW, PHASE_WINDOW),
        ("SWI", images.swi, 0.0, brightest),
        ("minIP, 5 slices", images.minip, 0.0, brightest),
    )
    figure = Figure(figsize=(11, 11), layout="constrained")
    panels = figure.subplots(len(rows), len(slices), gridspec_kw={"wspace": 0.02, "hspace": 0.02})
    for row, (label, volume, low, high) in zip(panels, rows, strict=True):
        for axes, k in zip(row, slices, strict=True):
            show(axes, volume[(*box, k)], images.zooms, low, high)
        row[0].set_ylabel(label)
    for axes, k in zip(panels[0], slices, strict=True):
        axes.set_title(f"slice {k}", fontsize=9)
    save(figure, folder / name)


def spots(images: Images, name: str, folder: Path) -> None:
    """Microbleeds and what is mistaken for them: magnitude, SWI and high-passed phase round each."""
    scan = images.scan
    depth = scan.magnitude.shape[2]
    listed: list[tuple[str, tuple[int, int, int], float]] = [
        (placed.lesion.kind, placed.voxel, placed.contrast)
        for placed in (*scan.microbleeds, *scan.mimics)
        if 2 <= placed.voxel[2] < depth - 2 and scan.intracranial[placed.voxel]
    ]
    listed += [(spot.kind, spot.voxel, spot.contrast) for spot in scan.spots]
    chosen = []
    for kind, most in (
        ("microbleed", 3),
        ("calcification", 1),
        ("mineralised vessel", 1),
        ("vein", 2),
        ("flow void", 1),
        ("perivascular space", 1),
        ("sinus artefact", 1),
        ("edge", 1),
    ):
        chosen += sorted((each for each in listed if each[0] == kind), key=lambda each: -each[2])[:most]
    figure = Figure(figsize=(13, 4), layout="constrained")
    panels = figure.subplots(3, len(chosen), gridspec_kw={"wspace": 0.02, "hspace": 0.02})
    brightest = float(np.percentile(scan.magnitude[scan.intracranial], 99.8))
    for column, (kind, (i, j, k), _) in zip(panels.T, chosen, strict=True):
        reach = [round(CROP_MM / 2 / v) for v in images.zooms[:2]]
        window = slice(max(0, i - reach[0]), i + reach[0] + 1), slice(max(0, j - reach[1]), j + reach[1] + 1), k
        show(column[0], scan.magnitude[window], images.zooms, 0, brightest)
        show(column[1], images.swi[window], images.zooms, 0, brightest)
        show(column[2], images.phase[window], images.zooms, -PHASE_WINDOW, PHASE_WINDOW)
        column[0].set_title(kind, fontsize=8)
    for axes, label in zip(panels[:, 0], ("magnitude", "SWI", "phase"), strict=True):
        axes.set_ylabel(label)
    save(figure, folder / name)


def variants(name: str, folder: Path) -> None:
    """The same head otherwise: the other scanner, difficulties, motion, oblique, white matter lesions, the template."""
    cases: tuple[tuple[str, dict[str, object]], ...] = (
        ("scanner-a", {}),
        ("scanner-b", {"scanner": "scanner-b"}),
        ("--difficulty easy", {"difficulty": "easy"}),
        ("--difficulty hard", {"difficulty": "hard"}),
        ("--motion 1.5", {"variant": Variant(motion_mm=1.5)}),
        ("--white-matter-lesions 40", {"variant": Variant(white_matter_lesions_ml=40)}),
        ("--oblique 20", {"variant": Variant(oblique_deg=20)}),
        ("--anatomy mni", {"variant": Variant(anatomy="mni")}),
    )
    figure = Figure(figsize=(11, 6.4), layout="constrained")
    for axes, (title, options) in zip(figure.subplots(2, 4).flat, cases, strict=True):
        images = Images.of(simulate_scan(SEED, "slab", microbleeds=3, **options))  # type: ignore[arg-type]
        scan = images.scan
        show(axes, images.swi[20:-20, 20:-20, 9], images.zooms, 0, float(np.percentile(images.swi, 99.7)))
        axes.set_title(f"{title}: SNR {scan.drawn['snr']:.0f}", fontsize=9)
    save(figure, folder / name)


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE, help="folder")
    folder = parser.parse_args().out
    for resolution in ("HR", "LR"):
        images = Images.of(simulate_scan(SEED, resolution, microbleeds=6))
        head(images, f"simulator-{resolution.lower()}.jpg", folder)
        if resolution == "HR":
            spots(images, "simulator-spots.jpg", folder)
    variants("simulator-variants.jpg", folder)


if __name__ == "__main__":
    main()
