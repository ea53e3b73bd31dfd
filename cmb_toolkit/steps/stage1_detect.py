"""``stage1-detect``: find boxes on every slice of a cell and put them back into the volumes as candidates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..darknet.engine import engine_to_detect
from ..darknet.project import CFG, check_project
from ..darknet.recipe import Detecting
from ..errors import DataError, MissingError, UsageError
from ..evaluation.rules.centre import Centre
from ..evaluation.thresholds import choose_threshold
from ..io.publish import Record, publish
from ..io.tables import write_tsv
from ..io.warned import Warned
from ..machine import stopwatch
from ..model import OnProgress
from ..schema import DETECTIONS
from ..stage1.candidates import candidate_table, place_boxes
from ..stage1.detections import FLOOR, MOST_BOXES, detection_table
from ..study.cell import read_setup
from ..study.cohort import read_microbleeds
from ..study.evidence import hit_distance, validated
from ..study.geometry import Geometry, read_geometry
from ..study.images import images_of_subjects, volumes_of
from ..study.layout import Study
from ..study.made_from import changed_since_training, project_digest
from ..study.purposes import check_detector

__all__ = ["DEFAULT", "stage1_detect"]

REVISION = 3

DEFAULT = 0.01
"""Threshold where none is given and there are no validation subjects to choose one on: the paper's for HR."""


def stage1_detect(
    cell: Path,
    recipe: Detecting | None = None,
    *,
    on_note: Callable[[str], None] = lambda note: None,
    on_progress: OnProgress = lambda done, total, what: None,
) -> Path:
    """Detect on every slice of a cell's subjects.

    Parameters
    ----------
    cell : Path
        A cell whose detector is trained (or given by `weights`).
    recipe : Detecting, optional
        Where the threshold is chosen by default, it leaves `most_false` candidates on each validation subject, with a
        warning, if no microbleed of theirs is found so. Stage 1 should miss nothing, so it gets as many false positives
        as stage 2 can be given. How boxes are merged: :func:`cmb_toolkit.stage1.lesions.lesion_numbers`.
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
    recipe = recipe or Detecting()
    if recipe.threshold == "auto" and "validation" not in recipe.roles:
        raise UsageError("the threshold is chosen on the validation subjects: add the role validation, or give one.")
    study, files = Study.of_cell(cell)
    setup, project = read_setup(files), project_digest(files)
    trained = recipe.weights or files.weights
    if not trained.is_file():
        raise MissingError(f"{trained}: weights not found. Run `cmbtk stage1-train {cell}` first.")
    role_of = {subject: role for role in recipe.roles for subject in setup.roles[role]}
    if not role_of:
        raise DataError(f"{files.folder}: has no {' or '.join(recipe.roles)} subject. Choose other roles.")
    warned = Warned(on_note)
    warned.add(*check_detector(study, files, trained, role_of), *changed_since_training(study, files, trained))
    warned.again(trained)
    threshold = recipe.threshold or ("auto" if "validation" in role_of.values() else DEFAULT)
    floor = FLOOR if threshold == "auto" else float(threshold)
    chosen = engine_to_detect(recipe.engine, recipe.darknet, floor, recipe.nms, recipe.precision)
    automatic: dict[str, Any] = {}
    if threshold == "auto":
        automatic = {"most_false": recipe.most_false, "distance_mm": recipe.distance_mm}
    asked = {"nms": recipe.nms, "roles": list(recipe.roles), "merge": recipe.merge, "most": MOST_BOXES}
    by_default = {"by_default": True} if recipe.threshold is None else {}
    volumes = [path for subject in sorted(role_of) for path in volumes_of(study, subject, setup.input).values()]
    record = Record(
        "stage1-detect",
        {"threshold": threshold, **automatic, **asked, "project": project, **by_default},
        (trained, files.project / CFG, *([study.microbleeds] if automatic else []), *volumes),
        chosen.describe(),
        REVISION,
    )
    if all(record.is_current(target) for target in (files.detections, files.candidates)):
        warned.again(files.candidates)
        return files.candidates
    check_project(files.project, training=False)
    geometry = {subject: read_geometry(study, subject, size=setup.size, mode=setup.mode) for subject in sorted(role_of)}
    in_volume = _placing(geometry, by_lesion=recipe.merge == "auto")
    images = images_of_subjects(study, setup, geometry)
    if chosen.note:
        on_note(chosen.note)
    timed = stopwatch()
    found = chosen.detect(
        files.project, trained, images, threshold=floor, nms=recipe.nms, most=MOST_BOXES, scratch=files.detecting,
        on_progress=on_progress,
    )  # fmt: skip
    work = timed(len(role_of))
    boxes = detection_table(found, role_of)
    value, origin = floor, "by default, as no validation subject was looked at" if by_default else "given"
    if threshold == "auto":
        candidates = candidate_table(in_volume(boxes[boxes["role"] == "validation"]))
        value, origin = _threshold(study, recipe, candidates, setup.roles["validation"], warned)
        boxes = boxes[boxes["confidence"] >= value].reset_index(drop=True)
    warned.add(*_capped(boxes))
    placed = in_volume(boxes)
    table = candidate_table(placed)
    noted = {
        "work": work,
        "threshold": {"value": value, "chosen": origin, **automatic},
        "warnings": warned.lines,
        "slices": len(images.names),
        "boxes": len(boxes),
        "candidates": {role: int((table["role"] == role).sum()) for role in recipe.roles},
        "subjects": {role: len(setup.roles[role]) for role in recipe.roles},
    }
    for target, frame in ((files.detections, placed[DETECTIONS.names]), (files.candidates, table)):
        with publish(target, record) as out:
            out.note(**noted)
            write_tsv(frame, out)
    return files.candidates


def _placing(geometry: Mapping[str, Geometry], *, by_lesion: bool) -> partial[pd.DataFrame]:
    """What puts boxes back into the volumes."""
    return partial(
        place_boxes,
        frames={subject: one.frame for subject, one in geometry.items()},
        affines={subject: one.affine for subject, one in geometry.items()},
        by_lesion=by_lesion,
    )


def _threshold(
    study: Study, recipe: Detecting, candidates: pd.DataFrame, subjects: Sequence[str], warned: Warned
) -> tuple[float, str]:
    """The lowest threshold with at most so many false positives per validation subject, and how it was chosen; where
    nobody asked for it, nobody is stopped because a detector finds nothing."""
    rule = Centre(recipe.distance_mm)
    try:
        value = choose_threshold(candidates, read_microbleeds(study), rule, subjects, most_false=recipe.most_false)
        origin = "on the validation subjects"
    except DataError as error:
        if recipe.threshold is not None:
            raise
        warned.add(
            f"{str(error).rstrip('.')}. The threshold was set to leave {recipe.most_false:g} candidates per validation "
            "subject"
        )
        value = _within(candidates["confidence"], recipe.most_false * len(subjects))
        origin = "by the number of candidates on the validation subjects"
    warned.add(*validated(study, "the threshold of stage 1", subjects))
    warned.add(*hit_distance(study, recipe.distance_mm, subjects))
    return value, origin


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
