"""Candidates by a method that learns nothing, such as ``frst``.

Makes a cell like those of ``stage1-detect``, so that all later steps run on it. What looks like a microbleed in a
subject is found once, in ``slices/<method>/<subject>.tsv``; the folds differ in their roles and thresholds only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from ..detectors import DETECTORS
from ..errors import MissingError, Problems, UsageError
from ..evaluation.rules.centre import Centre
from ..evaluation.thresholds import choose_threshold
from ..io.nifti import check_same_grid, read_mask, read_volume
from ..io.publish import Record, publish
from ..io.tables import read_tsv, write_tsv
from ..io.warned import Warned
from ..machine import stopwatch
from ..methods.base import Finder
from ..model import IMAGE_SIZE, ROLES, OnProgress
from ..parallel import for_each
from ..registry import load
from ..stage1.candidates import candidate_table, place_boxes
from ..stage1.label_boxes import microbleed_boxes
from ..study.cell import Setup, write_setup
from ..study.cohort import choose_resolution, read_microbleeds, read_participants, roles_in
from ..study.evidence import hit_distance, validated
from ..study.geometry import Geometry, Mode, read_geometry
from ..study.layout import Study

__all__ = ["MOST", "find"]

REVISION = 1

MOST = 3000
"""Candidates of one subject that are kept for a threshold to be chosen, the strongest: three times as many as the
paper's 3D-FRST left."""


def find(
    study: Path,
    method: str,
    finder: Finder | None = None,
    *,
    fold: str,
    resolution: str | None = None,
    threshold: float | Literal["auto"] = "auto",
    sensitivity: float = 0.97,
    most_false: float = 1000.0,
    distance_mm: float = 3.0,
    separation_mm: float = 3.0,
    size: int = IMAGE_SIZE,
    mode: Mode = "auto",
    repeat: int = 1,
    jobs: int = 1,
    on_note: Callable[[str], None] = lambda note: None,
    on_progress: OnProgress = lambda done, total, what: None,
) -> Path:
    """Find candidates of one fold's subjects.

    A subject that fails does not stop the others, and what was found in these is found again by the next run; but a
    table of candidates is written only when it lacks nobody.

    Parameters
    ----------
    study : Path
        A study whose subjects are preprocessed and divided into folds.
    method : str
        One of :data:`cmb_toolkit.detectors.DETECTORS` that has a finder.
    finder : Finder, optional
        It, with settings of its own.
    fold : str
        Name of the fold, or :data:`cmb_toolkit.study.cohort.NO_FOLD`, which has no validation subjects: the threshold
        must be given.
    resolution : str, optional
        Subjects of this resolution; by default the only one in the study.
    threshold : float or "auto"
        Least score of a candidate, above 0. ``auto`` takes the highest one that finds `sensitivity` of the
        *validation* subjects' microbleeds.
    sensitivity : float
        For ``auto``: share, 0..1, of those microbleeds that any of the :data:`MOST` strongest maxima hits.
    most_false : float
        For ``auto``: where that would leave more false positives per validation subject, the lowest threshold that
        does not (the paper's 3D-FRST had 497 in HR, 946 in LR).
    distance_mm : float
        For ``auto``: a microbleed is found when a candidate lies within this distance [mm].
    separation_mm : float
        Of candidates of one subject closer than this [mm] only the strongest stays.
    size, mode
        Of the network image on which the boxes are given, as for ``prepare-yolo``.
    repeat : int
        From 2 on, a further cell of the same fold, whose stage 2 is to be trained with another seed.
    jobs : int
        Worker processes.
    on_note : callable
        Given a line for each thing that may be wrong; they stand in the provenance as well.
    on_progress : callable
        Called after each subject.

    Returns
    -------
    Path
        ``candidates.tsv`` of the cell. The threshold used stands in its provenance.

    Raises
    ------
    UsageError, MissingError, DataError, StorageError
        With a line for each subject that failed.
    """
    finder = finder or load(DETECTORS[method].finder)()
    _check(threshold, sensitivity, most_false, separation_mm, size)
    if repeat < 1:
        raise UsageError(f"repeat {repeat}: must be 1 or more.")
    opened = Study.open(study)
    participants = read_participants(opened)
    resolution = choose_resolution(participants, resolution)
    fold_of = roles_in(opened, fold, participants[participants["resolution"] == resolution])
    roles = {role: tuple(sorted(getattr(fold_of, role))) for role in ROLES}
    role_of = {subject: role for role, names in roles.items() for subject in names}
    if threshold == "auto" and not roles["validation"]:
        raise UsageError(f"fold {fold} has no validation subjects to choose a threshold on: give --threshold.")
    problems = Problems()
    geometry = {}
    for subject in sorted(role_of):
        with problems.of(subject):
            if not opened.mask(subject).is_file():
                raise MissingError(f"{opened.mask(subject)}: not found. Run `cmbtk preprocess` on this study first.")
            geometry[subject] = read_geometry(opened, subject, size=size, mode=mode)
    if all(
        _record(opened, subject, method, finder, separation_mm).is_current(opened.found(method, subject))
        for subject in geometry
    ):
        jobs = 1  # starting workers would take longer than looking
    work = partial(_found, opened, method=method, finder=finder, separation_mm=separation_mm)
    found = for_each(work, list(geometry), jobs=jobs, on_progress=on_progress, problems=problems)
    problems.raise_if_any(
        f"So the candidates of fold {fold} were not written: they must lack nobody. What was found in the {len(found)} "
        "other subjects is kept. Mend these subjects, or take them out of participants.tsv and folds.tsv, and run the "
        "same command again."
    )
    automatic: dict[str, Any] = {}
    if threshold == "auto":
        automatic = {"sensitivity": sensitivity, "most_false": most_false, "distance_mm": distance_mm}
    record = Record(
        DETECTORS[method].command,
        {
            "resolution": resolution,
            "input": method,
            "fold": fold,
            **({"repeat": repeat} if repeat > 1 else {}),
            "size": size,
            "mode": mode,
            "threshold": threshold,
            **automatic,
            "separation_mm": separation_mm,
            "recipe": asdict(finder),
            "roles": roles,
        },
        sources=(*found, *([opened.microbleeds] if automatic else [])),
        revision=REVISION,
    )
    cell = opened.cell(resolution, method, fold, repeat)
    target = cell.candidates
    setup = Setup((resolution,), method, method, fold, size, mode, roles, repeat)
    warned = Warned(on_note)
    if record.is_current(target):
        write_setup(cell, setup)
        warned.again(target)
        return target
    table = _candidates(dict(zip(geometry, found, strict=True)), geometry, role_of)
    if threshold == "auto":
        value = choose_threshold(
            table,
            read_microbleeds(opened),
            Centre(distance_mm),
            roles["validation"],
            sensitivity=sensitivity,
            most_false=most_false,
        )
        warned.add(*validated(opened, "the threshold of stage 1", roles["validation"]))
        warned.add(*hit_distance(opened, distance_mm, roles["validation"]))
    else:
        value = float(threshold)
    table = table[table["confidence"] >= value].reset_index(drop=True)
    warned.add(*_capped(table))
    chosen = "on the validation subjects" if automatic else "given"
    with publish(target, record) as out:
        out.note(
            subjects={role: len(names) for role, names in roles.items()},
            threshold={"value": value, "chosen": chosen, **automatic},
            warnings=warned.lines,
            candidates={role: int((table["role"] == role).sum()) for role in ROLES},
        )
        write_tsv(table, out)
    write_setup(cell, setup)
    return target


def _capped(candidates: pd.DataFrame) -> list[str]:
    """Say where there may have been more candidates than are kept."""
    count = candidates["participant_id"].value_counts()
    full = sorted(count[count >= MOST].index)
    if not full:
        return []
    more = f" and {len(full) - 5} more" if len(full) > 5 else ""
    return [
        f"{', '.join(full[:5])}{more} have {MOST} candidates, the most that are kept (the strongest): the threshold is "
        "too low"
    ]


def _check(threshold: float | str, sensitivity: float, most_false: float, separation_mm: float, size: int) -> None:
    if threshold != "auto" and not (isinstance(threshold, int | float) and 0 < threshold < float("inf")):
        raise UsageError(f"threshold {threshold}: must be above 0, or auto.")
    if not 0 < sensitivity <= 1:
        raise UsageError(f"sensitivity {sensitivity:g}: must be above 0 and at most 1.")
    if not most_false > 0:
        raise UsageError(f"{most_false:g} false positives per subject: must be above 0.")
    if not separation_mm > 0:
        raise UsageError(f"separation {separation_mm:g} mm: must be above 0.")
    if size < 1:
        raise UsageError(f"size {size} px: must be 1 or more.")


def _record(study: Study, subject: str, method: str, finder: Finder, separation_mm: float) -> Record:
    return Record(
        DETECTORS[method].command,
        {"recipe": asdict(finder), "separation_mm": separation_mm, "most": MOST},
        (*(study.volume(subject, name) for name in finder.volumes), study.mask(subject)),
        revision=REVISION,
    )


def _found(study: Study, subject: str, *, method: str, finder: Finder, separation_mm: float) -> Path:
    """Write the strongest candidates of a subject: voxel i, j, k and its score."""
    target, record = study.found(method, subject), _record(study, subject, method, finder, separation_mm)
    if record.is_current(target):
        return target
    timed = stopwatch()
    volumes = {name: read_volume(study.volume(subject, name)) for name in finder.volumes}
    first, *others = volumes.values()
    for volume in others:
        check_same_grid(first, volume)
    mask = read_mask(study.mask(subject), first)
    arrays = {name: volume.data for name, volume in volumes.items()}
    voxels, values = finder.find(arrays, mask, first.zooms, separation_mm=separation_mm, most=MOST)
    table = pd.DataFrame(voxels, columns=["i", "j", "k"]).assign(confidence=values)
    with publish(target, record) as out:
        out.note(work=timed(1))
        write_tsv(table, out)
    return target


def _candidates(
    found: Mapping[str, Path], geometry: Mapping[str, Geometry], role_of: Mapping[str, str]
) -> pd.DataFrame:
    """All that was found as stage 1 gives its candidates, each with the box that a microbleed there would have."""
    parts = []
    for subject, path in found.items():
        maxima = read_tsv(path, ["i", "j", "k", "confidence"])
        boxes = microbleed_boxes(geometry[subject].frame, maxima[["i", "j"]].to_numpy(float))
        part = pd.DataFrame(boxes, columns=["left", "top", "right", "bottom"]).assign(
            participant_id=subject,
            role=role_of[subject],
            k=maxima["k"].to_numpy(int),
            confidence=maxima["confidence"].to_numpy(float),
        )
        parts.append(part)
    frames = {subject: one.frame for subject, one in geometry.items()}
    affines = {subject: one.affine for subject, one in geometry.items()}
    return candidate_table(place_boxes(pd.concat(parts, ignore_index=True), frames, affines))
