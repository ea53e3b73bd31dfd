"""What several benchmarks do alike: simulated scans with their exact truth, and what `cmbtk detect` makes of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cmb_toolkit.evaluation.intervals import bootstrap
from cmb_toolkit.evaluation.matching import Matching, match
from cmb_toolkit.evaluation.metrics import per_subject
from cmb_toolkit.evaluation.rules.centre import Centre
from cmb_toolkit.schema import WORLD

__all__ = ["Found", "Simulated", "candidates_at", "candidates_of", "cmbtk", "detected", "held_against", "simulated"]


@dataclass(frozen=True)
class Simulated:
    """A simulated scan, on the axes RAS.

    Attributes
    ----------
    name : str
    signal : (i, j, k) complex64 array
        In the file's own unit of magnitude and its sign of phase.
    affine : (4, 4) array
        From voxels to world coordinates [mm].
    sign : int
        Of the phase: 1 where it is paramagnetic positive.
    echo_time_ms : float
    truth : DataFrame
        A row each microbleed: ``participant_id``, its exact place (``x_mm``, ``y_mm``, ``z_mm``), and ``diameter_mm``
        and ``contrast`` as it shows.
    """

    name: str
    signal: NDArray[np.complex64]
    affine: NDArray[np.float64]
    sign: int
    echo_time_ms: float
    truth: pd.DataFrame


def cmbtk(*words: object) -> None:
    """Run a command of this installation, nicely and on one processor."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1")
    command = [sys.executable, "-m", "cmb_toolkit", *map(str, words)]
    run = subprocess.run(command, check=False, env=os.environ | one, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if run.returncode:
        sys.exit(f"{' '.join(command)}\n{run.stderr.decode()}")


def simulated(
    study: Path, seed: int, subjects: int, *, resolution: str = "slab", difficulty: str = "easy", oblique: float = 0
) -> list[Path]:
    """Simulate scans, where they are not there yet; the folder of each, for :func:`scan_at`."""
    cmbtk("simulate", study, "--resolution", resolution, "--difficulty", difficulty, "--subjects", subjects,
          "--seed", seed, "--oblique", oblique, "--jobs", 1)  # fmt: skip
    return sorted(folder for folder in (study / "scans").iterdir() if folder.is_dir())


def scan_at(folder: Path) -> Simulated:
    """Read a simulated scan and its truth."""
    name = folder.name
    told = json.loads((folder / f"{name}_truth.json").read_text("utf-8"))
    magnitude, phase = (
        nib.as_closest_canonical(nib.load(folder / f"{name}_part-{part}_T2starw.nii.gz")) for part in ("mag", "phase")
    )
    per_unit = np.pi / 4096 if told["scanner"]["phase_storage"] == "siemens" else 1e-3
    radians = np.asarray(phase.dataobj, np.float32) * np.float32(per_unit)
    affine = np.array(told["affine"])
    bleeds = told["microbleeds"]
    places = np.array([bleed["position_voxel"] for bleed in bleeds]).reshape(-1, 3)
    truth = pd.DataFrame(nib.affines.apply_affine(affine, places), columns=[*WORLD]).assign(
        participant_id=name, **{key: [bleed[key] for bleed in bleeds] for key in ("diameter_mm", "contrast")}
    )
    return Simulated(
        name,
        np.asarray(magnitude.dataobj, np.float32) * np.exp(np.complex64(1j) * radians),
        affine,
        int(told["scanner"]["phase_sign"]),
        float(told["protocol"]["echo_time_ms"]),
        truth,
    )


def written(
    signal: NDArray[np.complex64], affine: NDArray[np.float64], stem: Path, axes: str = "RAS"
) -> dict[str, str]:
    """Write magnitude and phase [milliradians] as int16, in an order of axes; its row of a table of scans."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    row = {}
    for role, data in (("magnitude", np.abs(signal)), ("phase", 1000 * np.angle(signal))):
        image = nib.Nifti1Image(np.rint(data).astype(np.int16), affine)
        turn = nib.orientations.ornt_transform(
            nib.orientations.io_orientation(affine), nib.orientations.axcodes2ornt(tuple(axes))
        )
        path = stem.with_name(f"{stem.name}_{role}.nii.gz")
        nib.save(image.as_reoriented(turn), path)
        row[role] = str(path)
    return row


def detected(model: Path, rows: list[dict[str, Any]], out: Path, *words: object) -> float:
    """Run `cmbtk detect` on scans; seconds a scan.

    Parameters
    ----------
    model : Path
    rows : list of dict
        A row of a table of scans each, with absolute paths.
    out : Path
    words
        Further options.
    """
    table = out.with_suffix(".tsv")
    table.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(table, sep="\t", index=False)
    started = time.monotonic()
    cmbtk("detect", model, table, "-o", out, "--jobs", 1, *words)
    return (time.monotonic() - started) / len(rows)


def candidates_at(scan: Path) -> pd.DataFrame:
    """The candidates of a scan that `cmbtk detect` looked at, with their sizes."""
    table = pd.read_csv(scan / "candidates.tsv", sep="\t", na_values="n/a", keep_default_na=False)
    return table.assign(participant_id=scan.name)


def candidates_of(out: Path) -> pd.DataFrame:
    """The candidates of all scans of a folder."""
    tables = [candidates_at(path.parent) for path in sorted(out.glob("*/candidates.tsv"))]
    return pd.concat(tables, ignore_index=True)


@dataclass(frozen=True)
class Found:
    """What of the truth was found, within 3 mm.

    Attributes
    ----------
    matching : Matching
    sensitivity, false_positives : (float, float, float)
        Share found and false positives a subject, each with its 95 % interval over subjects.
    away_mm : array
        From the exact place of each microbleed that was found to the finding [mm].
    """

    matching: Matching
    sensitivity: tuple[float, float, float]
    false_positives: tuple[float, float, float]
    away_mm: NDArray[np.float64]


def held_against(found: pd.DataFrame, truth: pd.DataFrame, subjects: list[str]) -> Found:
    """Hold findings against exact places (centre rule, 3 mm)."""
    matching = match(found, truth, Centre())
    counts = per_subject(matching, subjects)
    around = bootstrap(counts)
    hit = matching.truth["candidate"].to_numpy(int)
    there = found[[*WORLD]].to_numpy(float)[hit[hit >= 0]]
    tp, fp, fn = (counts[name].sum() for name in ("tp", "fp", "fn"))
    return Found(
        matching,
        (tp / max(tp + fn, 1), *around["sensitivity"]),
        (fp / len(subjects), *around["fp_per_subject"]),
        np.linalg.norm(there - truth[[*WORLD]].to_numpy(float)[hit >= 0], axis=1),
    )
