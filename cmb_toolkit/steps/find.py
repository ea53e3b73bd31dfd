"""Candidates by a method that looks at clean scans, such as ``frst`` and ``heatmap``.

Makes a cell like those of ``stage1-detect``, so that all later steps run on it. What looks like a microbleed in a
subject to a method that learns nothing is found once, in ``slices/<method>/<subject>.tsv``: the folds differ in their
roles and thresholds only. What has to learn first does so on the training subjects of the cell, and what it finds lies
in the cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import pandas as pd

from ..detectors import DETECTORS
from ..device import looked_by
from ..errors import MissingError, Problems, UsageError
from ..evaluation.rules.centre import Centre
from ..evaluation.thresholds import choose_threshold
from ..io.nifti import check_same_grid, read_mask, read_volume
from ..io.publish import Record, publish
from ..io.tables import read_tsv, write_tsv
from ..io.warned import Warned
from ..machine import stopwatch
from ..methods.base import MOST, Finder, Learner
from ..methods.learning import learned
from ..model import ROLES, OnProgress
from ..parallel import for_each
from ..registry import load
from ..stage1.candidates import candidate_table, place_boxes
from ..stage1.label_boxes import microbleed_boxes
from ..stage1.recipe import Search
from ..study.cell import Setup, write_setup
from ..study.cohort import choose_resolution, read_microbleeds, read_participants, roles_in
from ..study.evidence import hit_distance, validated
from ..study.geometry import Geometry, read_geometry
from ..study.layout import Cell, Study

__all__ = ["find"]

REVISION = 1


def find(
    study: Path,
    method: str,
    recipe: Search,
    finder: Finder | Learner | None = None,
    *,
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
    recipe : Search
        A fold :data:`cmb_toolkit.study.cohort.NO_FOLD` has no validation subjects: the threshold must be given.
        ``auto`` takes the highest one that finds the share `sensitivity` of those microbleeds of the *validation*
        subjects that any of the :data:`cmb_toolkit.methods.base.MOST` strongest maxima hits.
    finder : Finder or Learner, optional
        With settings of its own.
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
    opened = Study.open(study)
    participants = read_participants(opened)
    resolution = choose_resolution(participants, recipe.resolution)
    fold_of = roles_in(opened, recipe.fold, participants[participants["resolution"] == resolution])
    roles = {role: tuple(sorted(getattr(fold_of, role))) for role in ROLES}
    role_of = {subject: role for role, names in roles.items() for subject in names}
    if recipe.threshold == "auto" and not roles["validation"]:
        raise UsageError(f"fold {recipe.fold} has no validation subjects to choose a threshold on: give --threshold.")
    cell = opened.cell(resolution, method, recipe.fold, recipe.repeat)
    if DETECTORS[method].learns:
        _check_preprocessed(opened, role_of)  # before a training takes its time
        network = learned(opened, cell, cast(Learner, finder), roles["train"], method, on_progress=on_progress)
        searcher = Searcher(method, cast(Learner, finder).trained(network), asdict(finder), network, cell)
        jobs = 1  # the network computes on all processors by itself
    else:
        searcher = Searcher(method, cast(Finder, finder), asdict(finder))
    geometry, found = _search(opened, recipe, role_of, searcher, jobs, on_progress)
    automatic: dict[str, Any] = {}
    if recipe.threshold == "auto":
        automatic = {name: getattr(recipe, name) for name in ("sensitivity", "most_false", "distance_mm")}
    asked = {"input": method, "recipe": asdict(finder), "roles": roles, "resolution": resolution}
    always = {name: getattr(recipe, name) for name in ("fold", "size", "mode", "threshold", "separation_mm")}
    repeat = {"repeat": recipe.repeat} if recipe.repeat > 1 else {}
    record = Record(
        DETECTORS[method].command,
        {**always, **asked, **automatic, **repeat},
        sources=(*found.values(), *([opened.microbleeds] if automatic else [])),
        engine=searcher.engine,
        revision=REVISION,
    )
    target = cell.candidates
    setup = Setup((resolution,), method, method, recipe.fold, recipe.size, recipe.mode, roles, recipe.repeat)
    warned = Warned(on_note)
    if record.is_current(target):
        write_setup(cell, setup)
        warned.again(target)
        return target
    table = _candidates(found, geometry, role_of)
    value = _threshold(opened, recipe, table, roles["validation"], warned)
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


def _search(
    study: Study,
    recipe: Search,
    subjects: Iterable[str],
    searcher: Searcher,
    jobs: int,
    on_progress: OnProgress,
) -> tuple[dict[str, Geometry], dict[str, Path]]:
    """The grid of each subject, and the table of what was found in it."""
    problems = Problems()
    geometry = {}
    for subject in sorted(subjects):
        with problems.of(subject):
            _check_preprocessed(study, [subject])
            geometry[subject] = read_geometry(study, subject, size=recipe.size, mode=recipe.mode)
    work = partial(_found, study, searcher=searcher, separation_mm=recipe.separation_mm)
    if all(_record(study, subject, **work.keywords).is_current(searcher.table(study, subject)) for subject in geometry):
        jobs = 1  # starting workers would take longer than looking
    found = for_each(work, list(geometry), jobs=jobs, on_progress=on_progress, problems=problems)
    problems.raise_if_any(
        f"So the candidates of fold {recipe.fold} were not written: they must lack nobody. What was found in "
        "other subjects is kept. Mend these subjects, or take them out of participants.tsv and folds.tsv, and run the "
        "same command again."
    )
    return geometry, dict(zip(geometry, found, strict=True))


def _check_preprocessed(study: Study, subjects: Iterable[str]) -> None:
    """Refuse subjects without clean scans: the first of them by its name."""
    for subject in sorted(subjects):
        if not study.mask(subject).is_file():
            raise MissingError(f"{study.mask(subject)}: not found. Run `cmbtk preprocess` on this study first.")


def _threshold(
    study: Study, recipe: Search, candidates: pd.DataFrame, validation: Sequence[str], warned: Warned
) -> float:
    """The threshold, given or chosen on the validation subjects."""
    if recipe.threshold != "auto":
        return float(recipe.threshold)
    value = choose_threshold(
        candidates,
        read_microbleeds(study),
        Centre(recipe.distance_mm),
        validation,
        sensitivity=recipe.sensitivity,
        most_false=recipe.most_false,
    )
    warned.add(*validated(study, "the threshold of stage 1", validation))
    warned.add(*hit_distance(study, recipe.distance_mm, validation))
    return value


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


@dataclass(frozen=True)
class Searcher:
    """What looks at scans, and where that goes: its network and cell where it has learned."""

    method: str
    finder: Finder
    settings: Mapping[str, Any]
    network: Path | None = None
    cell: Cell | None = None

    def table(self, study: Study, subject: str) -> Path:
        """Table of what was found in a subject."""
        return self.cell.found(subject) if self.cell is not None else study.found(self.seen_by, subject)

    @property
    def engine(self) -> str | None:
        """What computes its network, with versions."""
        return looked_by(openvino=DETECTORS[self.method].openvino) if self.network else None

    @property
    def seen_by(self) -> str:
        """The method whose tables they are."""
        return DETECTORS[self.method].found_by or self.method


def _record(study: Study, subject: str, searcher: Searcher, separation_mm: float) -> Record:
    volumes = (study.volume(subject, name) for name in searcher.finder.volumes)
    return Record(
        DETECTORS[searcher.seen_by].command,
        {"recipe": dict(searcher.settings), "separation_mm": separation_mm, "most": MOST},
        (*volumes, study.mask(subject), *([searcher.network] if searcher.network else [])),
        searcher.engine,
        revision=REVISION,
    )


def _found(study: Study, subject: str, *, searcher: Searcher, separation_mm: float) -> Path:
    """Write the strongest candidates of a subject: voxel i, j, k and its score."""
    target, record, finder = (
        searcher.table(study, subject),
        _record(study, subject, searcher, separation_mm),
        searcher.finder,
    )
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
