"""A model out of a study: the networks of one cell, and what several trainings say they can do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from nibabel.affines import voxel_sizes

from .. import __version__
from ..detectors import DETECTORS
from ..errors import DataError, MissingError
from ..evaluation.calibration import platt
from ..evaluation.results import StageResult, evaluate
from ..evaluation.rules.base import Rule
from ..evaluation.thresholds import choose_threshold
from ..io.publish import COMMIT
from ..io.tables import read_tsv
from ..keras_settings import BACKENDS
from ..schema import FINDINGS
from ..study.cell import Setup, labelled_by, read_setup, thresholds
from ..study.cohort import read_microbleeds, read_participants
from ..study.geometry import read_geometry
from ..study.inference import read_inference
from ..study.joined import joined
from ..study.layout import Cell, Study
from ..study.model import Model, read_model
from ..study.scan_record import read_scan_record
from .card import card
from .content import (
    CLASSIFIER,
    DETECTOR,
    LAYERS,
    NETWORK,
    OPERATING,
    SCHEMA,
    Calibration,
    Content,
    Grid,
    Learned,
    Look,
    OnImages,
    OnScans,
    Point,
)
from .files import CARD

__all__ = ["Named", "parts"]

_ENOUGH = 5
"""Candidates of either kind without which scores are not made probabilities."""


@dataclass(frozen=True)
class Named:
    """What its maker says of a model.

    Attributes
    ----------
    name, version, licence, author, contact, doi : str
    """

    name: str
    version: str = "1"
    licence: str = ""
    author: str = ""
    contact: str = ""
    doi: str = ""


@dataclass
class _Pooled:
    """Findings and truth of several cells, subjects called apart, with everybody by role."""

    findings: list[pd.DataFrame] = field(default_factory=list)
    truth: list[pd.DataFrame] = field(default_factory=list)
    subjects: dict[str, list[str]] = field(default_factory=dict)
    persons: dict[str, str] = field(default_factory=dict)


def parts(study: Study, final: Cell, judged: Sequence[Cell], named: Named) -> tuple[Content, dict[str, Path | str]]:
    """What a model is made of.

    Parameters
    ----------
    study : Study
    final : Cell
        Whose networks they are.
    judged : sequence of Cell
        Cells of the same recipe, each with findings of validation and test subjects: thresholds and calibration come
        from the former, figures from the latter. May be `final` alone.
    named : Named

    Returns
    -------
    content : Content
        Without files.
    files : dict
        Name in the model -> the file, or its text.

    Raises
    ------
    MissingError, DataError
        If a cell lacks something.
    """
    model = read_model(study, final)
    files = _networks(model, final)
    rule = labelled_by(final)
    pooled = _pool(study, judged)
    points, calibration = _judge(pooled, rule)
    content = Content(
        SCHEMA,
        named.name,
        named.version,
        named.licence,
        named.author,
        named.contact,
        named.doi,
        _toolkit(),
        _look(model, final, judged),
        _grids(study, model),
        model.detector.trained_for if model.detector else None,
        model.classifier.trained_for if model.classifier else None,
        points,
        calibration,
        _learned(study, model, pooled, len(judged)),
    )
    return content, {**files, CARD: card(content)}


def _networks(model: Model, cell: Cell) -> dict[str, Path]:
    """Name in the model -> file, of both stages' networks."""
    method = DETECTORS[model.setup.method]
    detector = model.detector
    if method.alone:
        raise DataError(f"{cell.folder}: `cmbtk {method.command}` knows no second stage, and a model needs one.")
    if (method.learns and detector is None) or (not method.finder and model.cfg is None):
        steps = " and ".join(f"`cmbtk {step}`" for step in method.steps)
        raise MissingError(f"{cell.folder}: a model needs a trained detector. Run {steps} on this cell first.")
    if model.classifier is None:
        raise MissingError(
            f"{cell.folder}: a model needs a trained 3D-CNN. Run `cmbtk stage2-train` on this cell first."
        )
    files = {CLASSIFIER: model.classifier.file}
    if detector is not None:
        files[NETWORK if method.finder else DETECTOR] = detector.file
    if model.cfg is not None:
        files[LAYERS] = model.cfg
    return files


def _toolkit() -> dict[str, Any]:
    found = {}
    for name in ("keras", "numpy", *BACKENDS):
        try:
            found[name] = version(name)
        except Exception:
            continue
    return {"cmb_toolkit": __version__, "commit": COMMIT, **found}


def _look(model: Model, final: Cell, judged: Sequence[Cell]) -> Look:
    setup: Setup = model.setup
    inference = read_inference(judged[0])
    confidence = [thresholds(cell)["stage1"].value for cell in judged]
    images = scans = None
    if DETECTORS[setup.method].finder:
        scans = OnScans(inference.settings, inference.separation_mm)
    else:
        scale, background = cast(Any, setup.scale), cast(Any, setup.background)
        images = OnImages(setup.input, setup.size, setup.mode, scale, background, inference.nms)
    return Look(
        method=setup.method,
        images=images,
        scans=scans,
        patch_scale=cast(Any, inference.patch_scale),
        by=cast(Any, inference.by),
        confidence=float(np.exp(np.mean(np.log(confidence)))),
        shrink_from=inference.shrink_from,
        preprocessing={name: value for name, value in model.preprocessing.items() if name not in _OF_SCANS},
    )


_OF_SCANS = {
    "phase_sign",
    "phase_range",
    "phase_is_filtered",
    "fix_ge_phase",
    "echo",
    "echo_time_ms",
    "phase_volume",
} | {
    "output_type",
    "save_steps",
}
"""What is each scan's own, or decides nothing."""


def _grids(study: Study, model: Model) -> tuple[Grid, ...]:
    found: Counter[tuple[tuple[float, ...], tuple[int, ...]]] = Counter()
    for subject in _learners(model.setup):
        shape, affine, _ = read_geometry(study, subject)
        found[tuple(round(float(side), 3) for side in voxel_sizes(affine)), tuple(shape[:2])] += 1
    return tuple(
        Grid(cast(Any, voxel), cast(Any, matrix), scans)
        for (voxel, matrix), scans in sorted(found.items(), key=lambda item: (-item[1], item[0]))
    )


def _learners(setup: Setup) -> list[str]:
    return [*setup.roles["train"], *setup.roles["validation"]]


def _pool(study: Study, cells: Sequence[Cell]) -> _Pooled:
    """Everything that was found, of each cell's own subjects."""
    marks, participants = read_microbleeds(study), read_participants(study)
    person = dict(zip(participants["participant_id"], participants["person_id"], strict=True))
    pooled = _Pooled()
    for cell in cells:
        if not cell.findings.is_file():
            raise MissingError(f"{cell.findings}: not found. Run `cmbtk stage2-classify` on this cell first.")
        found = read_tsv(cell.findings, FINDINGS.needed)
        roles = read_setup(cell).roles
        for role in ("validation", "test", "control"):
            for subject in roles[role]:
                called = f"{cell.name}/{subject}"
                pooled.subjects.setdefault(role, []).append(called)
                pooled.persons[called] = person.get(subject, subject)
        for table, into in ((found, pooled.findings), (marks, pooled.truth)):
            mine = table[table["participant_id"].isin([s for r in ("validation", "test", "control") for s in roles[r]])]
            into.append(mine.assign(participant_id=[f"{cell.name}/{name}" for name in mine["participant_id"]]))
        pooled.findings[-1]["candidate_id"] = [f"{cell.name}/{name}" for name in pooled.findings[-1]["candidate_id"]]
    return pooled


def _judge(pooled: _Pooled, rule: Rule) -> tuple[dict[str, Point], Calibration | None]:
    """Operating points and calibration from validation subjects, figures from test subjects and controls."""
    findings, truth = pd.concat(pooled.findings, ignore_index=True), pd.concat(pooled.truth, ignore_index=True)
    validation = pooled.subjects.get("validation", [])
    points: dict[str, Point] = {}
    threshold: float | None = None
    for name, allowed in OPERATING.items():
        try:
            threshold = choose_threshold(findings, truth, rule, validation, "probability", most_false=allowed)
        except DataError as error:
            if threshold is None:
                raise DataError(
                    f"what was trained is no model to keep: {str(error).split('. ')[0]}. Look at the loss curves of "
                    "its cells, take more patients, or train longer."
                ) from error
        points[name] = _point(findings, truth, rule, pooled, threshold, allowed)
    mine = findings[findings["participant_id"].isin(validation)].reset_index(drop=True)
    marks = truth[truth["participant_id"].isin(validation)].reset_index(drop=True)
    hit = np.zeros(len(mine), bool)
    for subject, rows in mine.groupby("participant_id").indices.items():
        theirs = marks[marks["participant_id"] == subject]
        if len(theirs):
            hit[rows] = (rule.closeness(mine.iloc[rows], theirs) > 0).any(axis=1)
    if min(hit.sum(), (~hit).sum()) < _ENOUGH:
        return points, None
    slope, intercept = platt(mine["probability"].to_numpy(float), hit)
    return points, Calibration(slope, intercept, len(mine))


def _point(
    findings: pd.DataFrame, truth: pd.DataFrame, rule: Rule, pooled: _Pooled, threshold: float, allowed: float
) -> Point:
    """What a threshold reached on those who were held out."""
    subjects = {role: pooled.subjects[role] for role in ("test", "control") if pooled.subjects.get(role)}
    if not subjects:
        return Point(threshold, allowed)
    kept = findings.assign(kept=findings["probability"] >= threshold)
    counted = evaluate(kept, truth, subjects, (rule,), persons=pooled.persons)
    overall = {result.role: result for result in counted.stages if result.stage == "overall"}
    test, control = overall.get("test"), overall.get("control")
    return Point(
        threshold,
        allowed,
        None if test is None or not test.counts.tp + test.counts.fn else _rate(test, "sensitivity"),
        None if test is None else _rate(test, "fp_per_subject"),
        None if control is None else control.counts.fp_per_subject,
    )


def _rate(result: StageResult, name: str) -> tuple[float, float, float] | None:
    low, high = result.intervals.get(name, (np.nan, np.nan))
    found = (float(getattr(result.counts, name)), float(low), float(high))
    return found if np.isfinite(found).all() else (found[0], found[0], found[0])


def _learned(study: Study, model: Model, pooled: _Pooled, folds: int) -> Learned:
    participants = read_participants(study)
    person = dict(zip(participants["participant_id"], participants["person_id"], strict=True))
    learners, marks = _learners(model.setup), read_microbleeds(study)["participant_id"]
    records = {subject: read_scan_record(study, subject) for subject in learners}
    simulated = {subject for subject, record in records.items() if record.simulated}
    simulated |= set(joined(participants)) & set(learners)
    kind: Any = "simulated" if len(simulated) == len(learners) else "real and simulated" if simulated else "real"
    held_out = {pooled.persons[subject] for subject in pooled.subjects.get("test", [])}
    own = {subject.split("/", 1)[1] for subject in pooled.subjects.get("test", [])}
    times = [record.echo_time_ms for record in records.values() if record.echo_time_ms]
    slices = [read_geometry(study, subject).shape[2] for subject in learners]
    return Learned(
        kind=kind,
        persons=len({person[subject] for subject in learners}),
        scans=len(learners),
        microbleeds=int(marks.isin(learners).sum()),
        held_out_persons=len({person.get(subject, subject) for subject in own} or held_out),
        held_out_microbleeds=int(marks.isin(own).sum()),
        folds=folds,
        controls=len({subject.split("/", 1)[1] for subject in pooled.subjects.get("control", [])}),
        digests=tuple(sorted(set().union(*(record.digests for record in records.values())))),
        echo_times_ms=(float(min(times)), float(max(times))) if times else None,
        slices=(min(slices), max(slices)),
    )
