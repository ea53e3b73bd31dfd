"""``stage1-detect``: find boxes on every slice of a cell and put them back into the volumes as candidates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from ..darknet.engine import engine_to_detect
from ..darknet.project import CFG, SLICES_LIST, check_project, read_list
from ..errors import DataError, MissingError, UsageError
from ..evaluation.rules.centre import Centre
from ..evaluation.thresholds import choose_threshold
from ..io.publish import Record, publish
from ..io.tables import write_tsv
from ..io.warned import Warned
from ..machine import stopwatch
from ..model import ROLES, OnProgress
from ..slices import split_stem
from ..stage1.candidates import PLACED, candidate_table, place_boxes
from ..stage1.detections import FLOOR, MOST_BOXES, detection_table
from ..study.cell import read_setup
from ..study.cohort import read_microbleeds
from ..study.evidence import hit_distance, validated
from ..study.geometry import read_geometry
from ..study.layout import Study
from ..study.made_from import changed_since_training, project_digest
from ..study.purposes import check_detector

__all__ = ["DEFAULT", "stage1_detect"]

REVISION = 1

DEFAULT = 0.01
"""Threshold where none is given and there are no validation subjects to choose one on: the paper's for HR."""


def stage1_detect(
    cell: Path,
    *,
    threshold: float | Literal["auto"] | None = None,
    most_false: float = 50.0,
    distance_mm: float = 3.0,
    nms: float = 0.45,
    merge: Literal["auto", "none"] = "auto",
    roles: Sequence[str] = ROLES,
    weights: Path | None = None,
    engine: str = "auto",
    darknet: Path | None = None,
    on_note: Callable[[str], None] = lambda note: None,
    on_progress: OnProgress = lambda done, total, what: None,
) -> Path:
    """Detect on every slice of a cell's subjects.

    Parameters
    ----------
    cell : Path
        A cell whose detector is trained (or given by `weights`).
    threshold : float or "auto", optional
        Least confidence of a box, 0..1; the paper's are 0.01 (HR) and 0.05 (LR). ``auto`` takes the lowest one that
        leaves at most `most_false` false positives per *validation* subject. By default ``auto`` where validation
        subjects are looked at (`most_false` candidates on each, with a warning, where no microbleed of theirs is
        found so), else :data:`DEFAULT`.
    most_false : float
        For ``auto``. Stage 1 should miss nothing, so it gets as many false positives as stage 2 can be given; the
        paper's detector had 52 per subject (HR) and 155 (LR).
    distance_mm : float
        For ``auto``: a microbleed is found when a candidate lies within this distance [mm].
    nms : float
        Of two boxes on a slice with a greater IoU the weaker one is dropped.
    merge : {"auto", "none"}
        ``auto``: boxes of one lesion, on neighbouring slices say, are one candidate, see
        :func:`cmb_toolkit.stage1.lesions.lesion_numbers`. ``none``: every box is one, as in the paper.
    roles : sequence of str
        Whose scans to look at.
    weights : Path, optional
        Other weights than the cell's own.
    engine : {"auto", "embedded", "binary"}
    darknet : Path, optional
        A Darknet binary.
    on_note : callable
        Given lines: which engine it is, and why; and what may be wrong, which stands in the provenance as well.
    on_progress : callable
        Called with the number of slices done.

    Returns
    -------
    Path
        ``candidates.tsv``; ``detections.tsv`` lies beside it, with every box and the candidate that it belongs to. The
        threshold used stands in their provenance.

    Raises
    ------
    UsageError, MissingError, DataError, DarknetError, StorageError
        Among others a DataError if the weights were trained for other images.
    """
    _check(threshold, most_false, nms, merge, roles)
    study, files = Study.of_cell(cell)
    setup, project = read_setup(files), project_digest(files)
    trained = weights or files.weights
    if not trained.is_file():
        raise MissingError(f"{trained}: weights not found. Run `cmbtk stage1-train {cell}` first.")
    role_of = {subject: role for role in roles for subject in setup.roles[role]}
    if not role_of:
        raise DataError(f"{files.folder}: has no {' or '.join(roles)} subject. Choose other roles.")
    warned = Warned(on_note)
    warned.add(*check_detector(study, files, trained, role_of), *changed_since_training(study, files, trained))
    warned.again(trained)
    by_default = threshold is None
    threshold = threshold or ("auto" if "validation" in role_of.values() else DEFAULT)
    floor = FLOOR if threshold == "auto" else float(threshold)
    chosen = engine_to_detect(engine, darknet, floor, nms)
    automatic: dict[str, Any] = {}
    sources = [trained, files.project / CFG]
    if threshold == "auto":
        automatic = {"most_false": most_false, "distance_mm": distance_mm}
        sources.append(study.microbleeds)
    asked: dict[str, Any] = {
        "threshold": threshold,
        **automatic,
        "nms": nms,
        "most": MOST_BOXES,
        "roles": list(roles),
        "merge": merge,
        "project": project,
        **({"by_default": True} if by_default else {}),
    }
    record = Record("stage1-detect", asked, tuple(sources), chosen.describe(), REVISION)
    if all(record.is_current(target) for target in (files.detections, files.candidates)):
        warned.again(files.candidates)
        return files.candidates
    check_project(files.project, training=False)
    images = [image for image in read_list(files.project / SLICES_LIST) if split_stem(Path(image).stem)[0] in role_of]
    geometry = {subject: read_geometry(study, subject, size=setup.size, mode=setup.mode) for subject in role_of}
    if chosen.note:
        on_note(chosen.note)
    timed = stopwatch()
    found = chosen.detect(
        files.project, trained, images, threshold=floor, nms=nms, most=MOST_BOXES, on_progress=on_progress
    )
    work = timed(len(role_of))
    boxes = detection_table(found, role_of)
    in_volume = partial(
        place_boxes,
        frames={subject: one.frame for subject, one in geometry.items()},
        affines={subject: one.affine for subject, one in geometry.items()},
        by_lesion=merge == "auto",
    )
    value, origin = floor, "by default, as no validation subject was looked at" if by_default else "given"
    if threshold == "auto":
        choose = partial(_by_itself, warned=warned) if by_default else _chosen
        subjects = setup.roles["validation"]
        value, origin = choose(
            candidate_table(in_volume(boxes[boxes["role"] == "validation"])),
            read_microbleeds(study),
            subjects,
            most_false,
            distance_mm,
        )
        warned.add(*validated(study, "the threshold of stage 1", subjects), *hit_distance(study, distance_mm, subjects))
        boxes = boxes[boxes["confidence"] >= value].reset_index(drop=True)
    warned.add(*_capped(boxes))
    placed = in_volume(boxes)
    table = candidate_table(placed)
    noted = {
        "work": work,
        "threshold": {"value": value, "chosen": origin, **automatic},
        "warnings": warned.lines,
        "slices": len(images),
        "boxes": len(boxes),
        "candidates": {role: int((table["role"] == role).sum()) for role in roles},
        "subjects": {role: len(setup.roles[role]) for role in roles},
    }
    for target, frame in ((files.detections, placed[list(PLACED)]), (files.candidates, table)):
        with publish(target, record) as out:
            out.note(**noted)
            write_tsv(frame, out)
    return files.candidates


def _check(threshold: float | str | None, most_false: float, nms: float, merge: str, roles: Sequence[str]) -> None:
    if threshold not in ("auto", None) and not (isinstance(threshold, int | float) and 0 < threshold < 1):
        raise UsageError(f"threshold {threshold}: must be between 0 and 1, or auto.")
    if not most_false > 0:
        raise UsageError(f"{most_false:g} false positives per subject: must be above 0.")
    if not 0 < nms <= 1:
        raise UsageError(f"non-maximum suppression at IoU {nms}: must be above 0 and at most 1.")
    if merge not in ("auto", "none"):
        raise UsageError(f"merge {merge}: must be auto or none.")
    if not roles or not set(roles) <= set(ROLES):
        raise UsageError(f"roles must be some of {', '.join(ROLES)}.")
    if threshold == "auto" and "validation" not in roles:
        raise UsageError("the threshold is chosen on the validation subjects: add the role validation, or give one.")


def _chosen(
    candidates: pd.DataFrame, marks: pd.DataFrame, subjects: Sequence[str], most_false: float, distance_mm: float
) -> tuple[float, str]:
    """The lowest threshold with at most `most_false` false positives per validation subject; how it was chosen."""
    value = choose_threshold(candidates, marks, Centre(distance_mm), subjects, most_false=most_false)
    return value, "on the validation subjects"


def _by_itself(
    candidates: pd.DataFrame,
    marks: pd.DataFrame,
    subjects: Sequence[str],
    most_false: float,
    distance_mm: float,
    *,
    warned: Warned,
) -> tuple[float, str]:
    """The same where nobody asked for it: nobody is stopped because a detector finds nothing."""
    try:
        return _chosen(candidates, marks, subjects, most_false, distance_mm)
    except DataError as error:
        warned.add(
            f"{str(error).rstrip('.')}. The threshold was set to leave {most_false:g} candidates per validation subject"
        )
        value = _within(candidates["confidence"], most_false * len(subjects))
        return value, "by the number of candidates on the validation subjects"


def _within(confidence: pd.Series[float], most: float) -> float:
    """The least threshold that leaves at most so many candidates; :data:`DEFAULT` where there are none."""
    scores = np.sort(confidence.to_numpy())[::-1]
    if not scores.size:
        return DEFAULT
    allowed = int(most)
    return FLOOR if scores.size <= allowed else float(np.nextafter(scores[allowed], 1))


def _capped(boxes: pd.DataFrame) -> list[str]:
    """Say where there may have been more boxes than are kept."""
    slices = boxes.groupby(["participant_id", "k"]).size()
    full = slices[slices >= MOST_BOXES].index.get_level_values("participant_id")
    if not len(full):
        return []
    return [
        f"{len(full)} slices of {full.nunique()} subjects have {MOST_BOXES} boxes, the most that are kept (the "
        "strongest): the detector has not learned enough, or the threshold is too low"
    ]
