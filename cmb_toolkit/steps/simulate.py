"""`cmbtk simulate`: a study of simulated subjects with known microbleeds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Literal

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pandas as pd

from .. import __version__
from ..errors import UsageError
from ..io.files import load_json
from ..io.publish import Record, publish, read_record, sidecar, write_text
from ..io.tables import write_tsv
from ..model import OnProgress
from ..parallel import for_each, workers
from ..schema import SIMULATED_MICROBLEEDS, SIMULATED_PARTICIPANTS, Table
from ..simulation.acquisition import SCANNERS, store_phase
from ..simulation.constants import FIELD_STRENGTH_T
from ..simulation.recipe import COHORTS, MOST_MICROBLEEDS, Simulating, Variant
from ..simulation.scan import Scan, simulate_scan
from ..simulation.scene import PlacedLesion
from ..simulation.spots import Spot
from ..study.layout import Study

__all__ = ["simulate"]

REVISION = 1

_VARIANT = [each.name for each in fields(Variant)]
_MEMORY_GB = {"HR": 3.0, "LR": 3.0, "slab": 1.0, "slab-lr": 1.0, "tiny": 0.5}


@dataclass(frozen=True)
class _Plan:
    """One subject to be simulated."""

    id: str
    number: int
    resolution: str
    group: Literal["patient", "control"]
    microbleeds: int
    scanner: str


def simulate(
    out: Path,
    recipe: Simulating | None = None,
    *,
    jobs: int | None = None,
    on_progress: OnProgress,
) -> Path:
    """Write a study of simulated subjects; finished subjects of an interrupted run are kept.

    Parameters
    ----------
    out : Path
        The study folder, new or made by this step.
    recipe : Simulating, optional
        With a cohort, as many patients, microbleeds and controls on each scanner as it says, exactly.
    jobs : int, optional
        Worker processes; by default as many as processors and free memory allow.

    Returns
    -------
    Path
        The study folder.

    Raises
    ------
    UsageError
        If the arguments do not go together or the folder holds something else.
    """
    recipe = recipe or Simulating()
    common = {name: getattr(recipe, name) for name in ("seed", "difficulty", *_VARIANT)}
    resolution = recipe.resolution
    if recipe.cohort is None:
        resolution = resolution or "slab"
        plans = _plan(resolution, recipe)
        asked = {name: getattr(recipe, name) for name in ("subjects", "healthy", "scanners", "microbleeds")}
    else:
        plans = _plan_cohort(recipe.cohort, resolution, recipe.seed)
        asked = {"cohort": recipe.cohort}
    study = Study.create(out, name=f"simulated {recipe.cohort or resolution}")
    _refuse_foreign(study)
    whole = Record("simulate", {**common, "resolution": resolution, **asked}, revision=REVISION)
    tables = {study.participants: SIMULATED_PARTICIPANTS, study.microbleeds: SIMULATED_MICROBLEEDS}
    if not all(whole.is_current(table) for table in tables):
        for table in tables:  # a study that is being changed has no tables, so that no other step takes it for whole
            table.unlink(missing_ok=True)
            sidecar(table).unlink(missing_ok=True)
    _remove_stale(study, {plan.id for plan in plans})
    for_each(
        partial(_subject, study=study, common=common, variant=recipe),
        plans,
        jobs=jobs or workers(max(_MEMORY_GB[plan.resolution] for plan in plans)),
        on_progress=on_progress,
        label=lambda plan: plan.id,
    )
    _write_tables(study, plans, whole, tables)
    return out


def _refuse_foreign(study: Study) -> None:
    """Stop before writing into a study that holds real or imported scans."""
    record = read_record(study.participants)
    if study.participants.exists() and (record is None or record["step"] != "simulate"):
        raise UsageError(
            f"{study.root}: holds subjects that were not simulated ({study.participants.name} was not written by "
            "`cmbtk simulate`). Choose a new folder for the simulated study."
        )


def _plan(resolution: str, recipe: Simulating) -> list[_Plan]:
    names = list(SCANNERS)[: recipe.scanners]
    plans = []
    for n in range(recipe.subjects):
        control = n >= recipe.subjects - recipe.healthy
        drawn = 1 + int(np.random.default_rng((recipe.seed, n)).poisson(recipe.microbleeds - 1))
        group: Literal["patient", "control"] = "control" if control else "patient"
        plans.append(_Plan(f"sub-{n + 1:03d}", n, resolution, group, 0 if control else drawn, names[n % len(names)]))
    return plans


def _plan_cohort(name: str, resolution: str | None, seed: int) -> list[_Plan]:
    """The subjects of a cohort, or of one resolution of it: patients first, then controls; numbered in one row."""
    parts = COHORTS[name]
    if resolution is not None and resolution not in parts:
        raise UsageError(
            f"the cohort {name} has no {resolution} subjects; it has {' and '.join(parts)} (--resolution)."
        )
    plans: list[_Plan] = []
    for part_name, part in parts.items():
        # all parts are drawn, so that a resolution has the same subjects alone as together with the others
        rng = np.random.default_rng([seed, len(plans)])
        on = rng.permutation(np.repeat(list(SCANNERS)[: len(part.scanners)], part.scanners)).tolist()
        on += [list(SCANNERS)[n % len(part.scanners)] for n in range(part.healthy)]
        counts = [*_share_out(part.microbleeds, part.patients, rng), *[0] * part.healthy]
        for scanner, count in zip(on, counts, strict=True):
            n = len(plans)
            plans.append(_Plan(f"sub-{n + 1:03d}", n, part_name, "patient" if count else "control", count, scanner))
    return [plan for plan in plans if resolution in (None, plan.resolution)]


def _share_out(total: int, patients: int, rng: np.random.Generator) -> list[int]:
    """So many microbleeds in all: one each, and the rest as unevenly as in patients, most of whom have few."""
    while True:
        weights = rng.exponential(size=patients)
        counts = 1 + rng.multinomial(total - patients, weights / weights.sum())
        if counts.max() <= MOST_MICROBLEEDS:
            return [int(count) for count in counts]


def _remove_stale(study: Study, wanted: set[str]) -> None:
    """Remove simulated scans that an earlier, larger run of this step left."""
    for folder in sorted(study.scans.glob("sub-*")) if study.scans.is_dir() else []:
        record = read_record(folder) if folder.is_dir() and folder.name not in wanted else None
        if record is not None and record["step"] == "simulate":
            sidecar(folder).unlink(missing_ok=True)
            shutil.rmtree(folder)


# -- one subject -------------------------------------------------------------------------------------------------


def _subject(plan: _Plan, *, study: Study, common: Mapping[str, Any], variant: Variant) -> None:
    record = Record(
        "simulate",
        {
            **common,
            "resolution": plan.resolution,
            "subject": plan.number,
            "microbleeds": plan.microbleeds,
            "group": plan.group,
            "scanner": plan.scanner,
        },
        revision=REVISION,
    )
    target = study.simulated(plan.id)
    if record.is_current(target) and all((target / name).is_file() for name in _files(plan.id)):
        return
    scan = simulate_scan(
        np.random.SeedSequence(common["seed"], spawn_key=(plan.number,)),
        plan.resolution,
        microbleeds=plan.microbleeds,
        healthy=plan.group == "control",
        scanner=plan.scanner,
        difficulty=common["difficulty"],
        variant=variant,
    )
    with publish(target, record) as folder:
        folder.mkdir()
        _write_scan(folder, plan, scan)


def _files(subject: str) -> list[str]:
    """What a finished subject's folder holds at least."""
    return [
        f"{subject}_part-mag_T2starw.nii.gz",
        f"{subject}_part-phase_T2starw.nii.gz",
        f"{subject}_desc-intracranial_mask.nii.gz",
        f"{subject}_truth.json",
    ]


def _write_scan(folder: Path, plan: _Plan, scan: Scan) -> None:
    magnitude_path, phase_path, mask_path, truth_path = (folder / name for name in _files(plan.id))
    magnitude = np.clip(np.round(scan.magnitude * scan.scanner.white_matter), 0, 32767).astype(np.int16)
    _write_nifti(magnitude_path, magnitude, scan)
    stored = store_phase(scan.phase, scan.scanner)
    _write_nifti(phase_path, stored.data, scan, stored.slope, stored.intercept)
    _write_nifti(mask_path, scan.intracranial.astype(np.uint8), scan)
    protocol = scan.protocol
    for part in ("mag", "phase"):
        _write_json(
            folder / f"{plan.id}_part-{part}_T2starw.json",
            {
                "EchoTime": protocol.echo_time_ms / 1000,
                "RepetitionTime": protocol.repetition_time_ms / 1000,
                "FlipAngle": protocol.flip_angle_deg,
                "MagneticFieldStrength": FIELD_STRENGTH_T,
                "Manufacturer": "simulated",
                "ManufacturersModelName": scan.scanner.name,
            },
        )
    _write_json(
        truth_path,
        {
            "subject": asdict(plan),
            "protocol": asdict(protocol),
            "scanner": asdict(scan.scanner),
            "difficulty": asdict(scan.difficulty),
            "affine": scan.affine.tolist(),
            "drawn": scan.drawn,
            "microbleeds": [_lesion(p, scan) for p in scan.microbleeds],
            "mimics": [*(_lesion(p, scan) for p in scan.mimics), *(_spot(spot, scan) for spot in scan.spots)],
        },
    )


def _write_nifti(
    path: Path, data: npt.NDArray[Any], scan: Scan, slope: float | None = None, intercept: float | None = None
) -> None:
    """Write a volume in the axis order of its scanner."""
    canonical = nib.Nifti1Image(data, scan.affine)
    target = nib.orientations.axcodes2ornt(tuple(scan.scanner.axes))
    turn = nib.orientations.ornt_transform(nib.orientations.io_orientation(scan.affine), target)
    image = canonical.as_reoriented(turn)
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = b"simulated"
    image.set_qform(image.affine, code=1)
    image.set_sform(image.affine, code=1)
    if slope is not None:
        image.header.set_slope_inter(slope, intercept)
    nib.save(image, path)


def _lesion(placed: PlacedLesion, scan: Scan) -> dict[str, Any]:
    i, j, k = placed.voxel
    return {
        "i": i,
        "j": j,
        "k": k,
        **_world(placed, scan),
        "position_voxel": list(placed.position),
        "diameter_mm": placed.diameter_mm,
        "contrast": placed.contrast,
        "snr": placed.snr,
        **asdict(placed.lesion),
    }


def _spot(spot: Spot, scan: Scan) -> dict[str, Any]:
    i, j, k = spot.voxel
    return {"i": i, "j": j, "k": k, **_world(spot, scan), "contrast": round(spot.contrast, 4), "kind": spot.kind}


def _world(placed: PlacedLesion | Spot, scan: Scan) -> dict[str, float]:
    point = nib.affines.apply_affine(scan.affine, placed.voxel)
    return {f"{axis}_mm": round(float(value), 4) for axis, value in zip("xyz", point, strict=True)}


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(content, indent=2) + "\n")


# -- the study's tables ------------------------------------------------------------------------------------------


def _write_tables(study: Study, plans: list[_Plan], whole: Record, tables: Mapping[Path, Table]) -> None:
    if all(whole.is_current(table) for table in tables):
        return
    truths = {plan.id: load_json(study.simulated_truth(plan.id), "Run `cmbtk simulate` again.") for plan in plans}
    participants = [
        {
            "participant_id": plan.id,
            "resolution": truth["protocol"]["name"],
            "scanner": plan.scanner,
            "group": plan.group,
            "magnitude": f"scans/{plan.id}/{_files(plan.id)[0]}",
            "phase": f"scans/{plan.id}/{_files(plan.id)[1]}",
            "swi": None,
            "mask": None,
            "echo_time_ms": truth["protocol"]["echo_time_ms"],
            "phase_sign": truth["scanner"]["phase_sign"],
            "phase_range": None,
            "microbleeds": plan.microbleeds,
        }
        for plan, truth in zip(plans, truths.values(), strict=True)
    ]
    microbleeds = [
        {"participant_id": subject, **{name: m[name] for name in SIMULATED_MICROBLEEDS.names[1:]}}
        for subject, truth in truths.items()
        for m in truth["microbleeds"]
    ]
    _write_json(
        study.description,
        {
            "Name": study.name,
            "BIDSVersion": "1.9.0",
            "DatasetType": "raw",
            "GeneratedBy": [{"Name": "cmb_toolkit", "Version": __version__, "Description": "cmbtk simulate"}],
            "HowToAcknowledge": "Simulated data: scores on them show that software works, not clinical performance.",
        },
    )
    rows = (participants, microbleeds)
    for (table, declared), content in zip(tables.items(), rows, strict=True):
        with publish(table, whole) as path:
            path.note(columns=declared.described())
            write_tsv(pd.DataFrame(content, columns=declared.names), path)
