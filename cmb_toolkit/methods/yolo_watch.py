"""How a training of stage 1 is looked at: slices of whom, and what the boxes found on them are held against."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from ..darknet.cfg import Cfg
from ..darknet.watching import Judgement, Watch
from ..errors import CmbError, DarknetError
from ..evaluation.evidence import LEAST_MICROBLEEDS
from ..evaluation.learning import BUDGETS, by_heart, found_by_chance, look_figures, told_from_chance
from ..model import Detection
from ..schema import YOLO_WATCH
from ..stage1.candidates import candidate_table, place_boxes
from ..stage1.detections import FLOOR, MOST_BOXES, detection_table
from ..study.cell import read_setup
from ..study.cohort import read_microbleeds, read_participants
from ..study.evidence import validated
from ..study.geometry import Geometry, read_geometry
from ..study.images import images_of_subjects, volumes_of
from ..study.layout import Cell, Study
from ..study.made_from import marks_digests

__all__ = ["Watching", "watching"]

_MIDDLE = BUDGETS[1]
_MOST_SLICES = 600
_SHARE, _PASSES = 0.2, 3
"""Of a training's arithmetic that looks may take; learning from an image takes that of looking at three."""

_LEAST_IMAGES = 1000
_LITTLE = 0.5


@dataclass(frozen=True)
class Watching:
    """A watch on a training of a cell.

    Attributes
    ----------
    watch : Watch or None
        None: never looked at.
    warnings : list of str
        What is to be said before the training.
    select : {"best", "last"}
        What is done: ``last`` where there is nothing to choose by.
    sample : dict
        Role -> subjects that are looked at.
    chances : list of float
        Of every microbleed of the training subjects looked at, to be hit by candidates placed anywhere.
    """

    watch: Watch | None = None
    warnings: list[str] = field(default_factory=list)
    select: str = "last"
    sample: dict[str, list[str]] = field(default_factory=dict)
    chances: list[float] = field(default_factory=list)

    @property
    def table(self) -> pd.DataFrame:
        """What was seen up to now, :data:`cmb_toolkit.schema.YOLO_WATCH`."""
        return pd.DataFrame(self.watch.rows if self.watch else [], columns=YOLO_WATCH.names)

    def as_json(self, cfg: Cfg) -> dict[str, Any]:
        """For provenance: who was looked at, which iteration was chosen, its figures and those of the last one."""
        last = cfg.net.max_batches
        chosen = self._chosen(last)
        return {
            "select": self.select,
            "subjects": self.sample,
            "iteration": chosen,
            "chosen": self._seen(chosen),
            "last": self._seen(last),
        }

    def verdict(self, cell: Cell, cfg: Cfg) -> list[str]:
        """Say what is wrong with a training, by the figures of the weights that are kept.

        Parameters
        ----------
        cell : Cell
        cfg : Cfg

        Raises
        ------
        DarknetError
            If a training of 1000 images or more found no more of ten or more microbleeds of its own training
            subjects than candidates placed anywhere would.
        """
        images = cfg.net.max_batches * cfg.net.batch
        seen = self._seen(self._chosen(cfg.net.max_batches))
        train, validation = seen.get("train"), seen.get("validation")
        if train is None or not train["microbleeds"]:
            return []
        most, found, marks = max(BUDGETS), train[f"found_{max(BUDGETS)}"], train["microbleeds"]
        of = f"{found} of {marks} microbleeds of its own training subjects at {most} false positives a subject"
        if not told_from_chance(found, self.chances):
            nothing = f"the detector found {of}, no more than boxes drawn anywhere would find: it has learned nothing"
            if marks < LEAST_MICROBLEEDS or images < _LEAST_IMAGES:
                return [f"{nothing}, or was trained on too little to tell ({images} images)"]
            raise DarknetError(
                f"{cell.name}: {nothing}, and its weights are not kept. Look at the loss in {cell.live_loss}, and "
                "train again with another --seed, with more iterations (`cmbtk prepare-yolo --max-batches`) or with "
                "--cfg small, medium or yolov2-short, which get off a flat start. --watch 0 keeps any weights."
            )
        lines = []
        if found < _LITTLE * marks:
            lines.append(f"the detector found only {of}: it has not learned enough. Train longer, or on more images")
        key = f"found_{_MIDDLE}"
        if validation and by_heart(train[key], marks, validation[key], validation["microbleeds"]):
            shares = [round(100 * part[key] / part["microbleeds"]) for part in (train, validation)]
            lines.append(
                f"the detector found {shares[0]} % of the microbleeds of subjects it was trained on and {shares[1]} % "
                f"of validation, at {_MIDDLE} false positives a subject: it has learned its images by heart. More "
                "subjects help most; then more variants of their images, and fewer iterations"
            )
        return lines

    def _chosen(self, iterations: int) -> int:
        best = self.watch.best if self.watch else None
        return best.iteration if self.select == "best" and best is not None else iterations

    def _seen(self, iteration: int) -> dict[str, dict[str, Any]]:
        """Role -> figures at a look."""
        rows = [row for row in (self.watch.rows if self.watch else []) if row["iteration"] == iteration]
        return {
            row["role"]: {name: row[name] for name in YOLO_WATCH.names if name in row and name != "role"}
            for row in rows
        }


def watching(study: Study, cell: Cell, cfg: Cfg, *, points: int, select: Literal["best", "last"]) -> Watching:
    """Choose what a training of a cell is looked at with.

    All slices of the validation subjects or, where these are many, of as many of them as have at most 600 slices, and
    as take, in all looks together, a fifth of the training's arithmetic at most; but of one subject at least, and
    of more until they have ten microbleeds. Those with microbleeds come first, then by name. For each of them a
    training subject of the same resolution, and more until these have ten. Test and control subjects are never looked
    at.

    Parameters
    ----------
    study : Study
    cell : Cell
    cfg : Cfg
    points : int
        Looks; 0: none.
    select : {"best", "last"}
    """
    if not points:
        return Watching()
    try:
        marks = read_microbleeds(study)
        people = read_participants(study)
        setup = read_setup(cell)
        every = {
            subject: read_geometry(study, subject, size=setup.size, mode=setup.mode)
            for role in ("validation", "train")
            for subject in setup.roles[role]
        }
        scans = {role: _scans(setup.roles[role], every, marks, people) for role in ("validation", "train")}
        images_learned = cfg.net.max_batches * cfg.net.batch * cfg.training_flops / cfg.flops
        most = min(_MOST_SLICES, int(_SHARE / 2 * _PASSES * images_learned / points))
        sample = _sample(scans["validation"], scans["train"], most)
        geometry = {subject: every[subject] for names in sample.values() for subject in names}
        for subject in geometry:
            volumes_of(study, subject, setup.input)
    except CmbError as error:
        return Watching(
            None, [f"the training is not looked at, and its last weights are kept: {str(error).rstrip('.')}"]
        )
    mine = marks[marks["participant_id"].isin(list(geometry))].reset_index(drop=True)
    judge = _Judge(sample, geometry, mine)
    warnings: list[str] = []
    if select == "best":
        if (mine["participant_id"].isin(sample["validation"])).any():
            warnings = validated(study, "the iteration of stage 1", sample["validation"])
        else:
            select = "last"
            warnings = ["no validation subject has a microbleed to choose an iteration by: the last weights are kept"]
    watch = Watch(
        images_of_subjects(study, setup, geometry),
        judge,
        points=points,
        select=select,
        threshold=FLOOR,
        most=MOST_BOXES,
        identity=str(marks_digests(mine)),
    )
    return Watching(watch, warnings, select, sample, judge.chances())


class _Scan(NamedTuple):
    """A subject that may be looked at."""

    subject: str
    slices: int
    microbleeds: int
    resolution: str


def _scans(
    subjects: Sequence[str], geometry: Mapping[str, Geometry], marks: pd.DataFrame, people: pd.DataFrame
) -> list[_Scan]:
    """Those with microbleeds first, then by name."""
    resolution_of = dict(zip(people["participant_id"], people["resolution"], strict=True))
    counts = marks["participant_id"].value_counts()
    scans = [
        _Scan(name, geometry[name].shape[2], int(counts.get(name, 0)), str(resolution_of.get(name)))
        for name in subjects
    ]
    return sorted(scans, key=lambda scan: (not scan.microbleeds, scan.subject))


def _sample(validation: Sequence[_Scan], train: Sequence[_Scan], most: int) -> dict[str, list[str]]:
    """Whole subjects of both roles, as :func:`watching` says."""
    chosen = _enough(validation, most)
    alike: list[_Scan] = []
    for scan in chosen:
        free = [other for other in train if other.resolution == scan.resolution and other not in alike]
        alike += free[:1]
    others = [scan for scan in train if scan not in alike]
    alike = _enough([*alike, *others], max(sum(scan.slices for scan in alike), 0 if chosen else most))
    return {"validation": [scan.subject for scan in chosen], "train": [scan.subject for scan in alike]}


def _enough(scans: Sequence[_Scan], most: int) -> list[_Scan]:
    """The first scans with at most so many slices together; more where they have fewer than ten microbleeds."""
    taken: list[_Scan] = []
    for scan in scans:
        fits = sum(one.slices for one in [*taken, scan]) <= most
        if not fits and taken and sum(one.microbleeds for one in taken) >= LEAST_MICROBLEEDS:
            break
        if fits or not taken or scan.microbleeds:
            taken.append(scan)
    return taken


@dataclass(frozen=True)
class _Judge:
    """Puts boxes back into the volumes and counts what they find, each for itself: what the network does, not what
    becomes of it."""

    sample: Mapping[str, Sequence[str]]
    geometry: Mapping[str, Geometry]
    marks: pd.DataFrame

    def __call__(self, detections: list[Detection]) -> Judgement:
        role_of = {subject: role for role, names in self.sample.items() for subject in names}
        boxes = place_boxes(
            detection_table(detections, role_of),
            frames={subject: one.frame for subject, one in self.geometry.items()},
            affines={subject: one.affine for subject, one in self.geometry.items()},
        )
        candidates = candidate_table(boxes)
        rows = [self._row(role, candidates, names) for role, names in self.sample.items() if names]
        with_marks = [row for row in rows if row["microbleeds"]]
        rank, said = None, ""
        for row in with_marks[:1]:
            name = {"train": "training"}.get(row["role"], row["role"])
            said = f"{name} {row[f'found_{_MIDDLE}']} of {row['microbleeds']} at {_MIDDLE}"
            if row["role"] == "validation":
                error = row["error_mm"]
                found = sum(row[f"found_{budget}"] for budget in BUDGETS)
                rank = (found, -math.inf if error is None else -error)
        return Judgement(rows, rank, said)

    def _row(self, role: str, candidates: pd.DataFrame, names: Sequence[str]) -> dict[str, Any]:
        truth = self.marks[self.marks["participant_id"].isin(list(names))].reset_index(drop=True)
        mine = candidates[candidates["role"] == role].reset_index(drop=True)
        figures = look_figures(mine, truth, names, {subject: _slice_mm(one) for subject, one in self.geometry.items()})
        return {
            "role": role,
            "subjects": len(names),
            "slices": sum(self.geometry[subject].shape[2] for subject in names),
            "microbleeds": len(truth),
            **{name: None if math.isnan(value) else value for name, value in figures.items()},
        }

    def chances(self) -> list[float]:
        """Of every microbleed of training subjects to be hit by as many false candidates as are allowed at most."""
        found = []
        for subject in self.marks.loc[self.marks["participant_id"].isin(list(self.sample["train"])), "participant_id"]:
            one = self.geometry[str(subject)]
            volume = float(np.prod(one.shape) * abs(np.linalg.det(one.affine[:3, :3])))
            found.append(found_by_chance(volume, _slice_mm(one), max(BUDGETS)))
        return found


def _slice_mm(geometry: Geometry) -> float:
    return float(np.linalg.norm(geometry.affine[:3, 2]))
