"""``prepare-yolo``: from preprocessed volumes to the Darknet project of one fold.

Slices of subjects to train on are written once per subject and input, under ``slices/<input>/<subject>/``, and their
turned and mirrored copies under ``slices/<input>/<subject>_augmented/``; the projects of all folds hold hard links to
them. Of all other subjects nothing is written: what is only looked at is made of the volumes when it is
(:mod:`cmb_toolkit.study.images`). But they decide the project as much, so that it is known by its volumes of which
scans a detector, its thresholds and all that follows is.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..darknet.anchors import anchors_from, mean_iou, set_anchors, sizes_in_cells
from ..darknet.cfg import parse_cfg
from ..darknet.contents import edited, fingerprints, fingerprints_of_project
from ..darknet.images import encoded
from ..darknet.labels import labels_from_text, labels_to_text
from ..darknet.network_file import CFGS, network_path, network_text
from ..darknet.project import check_project, check_stem, write_project
from ..darknet.recipe import Decided, Preparing
from ..errors import DataError, MissingError, Problems
from ..io.publish import Record, fingerprint, identity, publish, read_record, unchanged
from ..model import ROLES, Fold, Frame, OnProgress
from ..parallel import for_each
from ..slices import slice_stem
from ..stage1.augment import VARIANTS, augment_boxes, augment_image
from ..stage1.label_boxes import choose_negatives, clip_boxes, label_slices
from ..study.cell import Setup, write_setup
from ..study.cohort import choose_resolutions, read_participants, roles_in
from ..study.geometry import read_geometry
from ..study.images import images_of, volumes_of
from ..study.joined import joined
from ..study.layout import Study
from ..study.made_from import edited_in_project, marks_digests
from ..study.truth import truth_table

__all__ = ["prepare_yolo"]

REVISION = 1

_STEP = "prepare-yolo"
_TURNED = VARIANTS[1:]


def prepare_yolo(
    study: Path,
    recipe: Preparing,
    *,
    jobs: int = 1,
    on_progress: OnProgress = lambda done, total, what: None,
) -> Path:
    """Write the images, labels and Darknet project of one fold.

    A subject whose images cannot be made does not stop the others, and theirs are found again by the next run; but the
    project is written only when it lacks nobody.

    Parameters
    ----------
    study : Path
        A study whose subjects are preprocessed and divided into folds.
    recipe : Preparing
        A fold :data:`cmb_toolkit.study.cohort.NO_FOLD` has no training subjects: the project can only detect. Subjects
        of several resolutions (the paper's Table 3) have each their own way to the network image. Negatives are drawn
        from slices of the same subject that hold brain and are at least two slices from any box; ``all`` takes them
        all, and those of training subjects without a microbleed too.
    jobs : int
        Worker processes.
    on_progress : callable
        Called after each subject.

    Returns
    -------
    Path
        The cell's folder; its ``darknet/`` is the project.

    Raises
    ------
    UsageError, MissingError, DataError, StorageError
        With a line for each subject that failed. A DataError also where labels, lists or images were changed by hand
        since this step wrote them, and nothing else asks for new ones.
    """
    opened = Study.open(study)
    participants = read_participants(opened)
    chosen = choose_resolutions(participants, recipe.resolutions)
    roles = roles_in(opened, recipe.fold, participants[participants["resolution"].isin(chosen)])
    network = network_text(recipe.cfg, size=recipe.size, max_batches=recipe.max_batches, net=recipe.net)
    decided = _decided(recipe, draws=parse_cfg(network).net.draw is not None)
    problems = Problems()
    everybody = [subject for role in ROLES for subject in getattr(roles, role)]
    truth = truth_table(opened, everybody, size=recipe.size, mode=recipe.mode, problems=problems)
    cell = opened.cell("+".join(chosen), recipe.input, recipe.fold, recipe.repeat)
    work = _subjects(opened, roles, truth, decided, problems)
    done = _slices(opened, work, decided, _known(cell.project), problems, jobs, on_progress)
    fitted: dict[str, Any] = {}
    if recipe.anchors == "labels":
        network, fitted = _fit_anchors(network, [subject for subject in work if subject.train], decided)
    who = {role: tuple(sorted(getattr(roles, role))) for role in ROLES}
    setup = _setup(recipe, tuple(chosen), who)
    record = _whole_record(decided, setup, done)
    if record.is_current(cell.project):
        if changed := edited_in_project(cell):
            raise DataError(_changed(cell.project, changed))
        write_setup(cell, setup)
        return cell.folder
    train = {stem: path for subject in who["train"] for stem, path in done[subject].training.items()}
    if roles.train and not train:
        raise DataError(
            f"{opened.microbleeds}: none of the {len(roles.train)} training subjects of fold {recipe.fold} has a "
            "microbleed, so there is nothing to train on. Check the marks (`cmbtk check`) or make folds again "
            "(`cmbtk split`)."
        )
    slices = {subject.id: subject.slices for subject in work}
    with publish(cell.project, record) as folder:
        write_project(folder, cfg=network, images=train)
        check_project(folder, training=bool(train))
        folder.note(
            **fitted,
            images={
                "train": len(train),
                "valid": sum(slices[subject] for subject in who["validation"]),
                "slices": sum(slices.values()),
            },
            training_slices={
                "with microbleeds": sum(len(done[s].positives) for s in roles.train),
                "without": sum(len(done[s].negatives) for s in roles.train),
            },
            microbleeds={role: int(truth["participant_id"].isin(names).sum()) for role, names in who.items()},
            marks=marks_digests(truth),
            simulated=sorted(set(joined(participants)) & set(roles.train)),
            frames=sorted({f"{w.frame.shape[0]} x {w.frame.shape[1]} voxels: {w.frame.mode}" for w in work}),
            contents=fingerprints_of_project(folder),
            volumes=[{"subject": s, **volume} for s in sorted(done) for volume in done[s].volumes],
        )
    write_setup(cell, setup)
    return cell.folder


# --- what is asked for -----------------------------------------------------------------------------------------------


def _decided(recipe: Preparing, *, draws: bool) -> Decided:
    """What was asked for; the rest as the network wants it, whose images are drawn anew or are the listed ones."""
    augment = recipe.augment if recipe.augment is not None else not draws
    by_default = {
        "augment": augment,
        "label_reach": int(draws),
        "negatives": "all" if draws and not augment else 1.0,
    }
    return Decided(**by_default | {name: value for name, value in vars(recipe).items() if value is not None})


def _setup(recipe: Preparing, resolutions: tuple[str, ...], roles: Mapping[str, tuple[str, ...]]) -> Setup:
    return Setup(
        resolutions,
        "yolo",
        recipe.input,
        recipe.fold,
        recipe.size,
        recipe.mode,
        roles,
        recipe.repeat,
        recipe.scale,
        recipe.background,
        recipe.seed,
    )


def _whole_record(recipe: Decided, setup: Setup, slices: Mapping[str, _Slices]) -> Record:
    """What decides the project."""
    asked = recipe.parameters()
    del asked["resolutions"]
    if len(setup.resolutions) > 1:
        asked["resolutions"] = list(setup.resolutions)
    return Record(
        step=_STEP,
        parameters={
            **asked,
            "cfg": recipe.cfg if recipe.cfg in CFGS else network_path(recipe.cfg).name,
            "resolution": setup.resolution,
            "roles": setup.roles,
            "slices_sha256": _digest([slices[subject].digest for subject in sorted(slices)]),
        },
        sources=(network_path(recipe.cfg),),
        revision=REVISION,
    )


def _subjects(study: Study, roles: Fold, truth: pd.DataFrame, recipe: Decided, problems: Problems) -> list[_Subject]:
    """What is known of everybody who is whole."""
    known = []
    everybody = {subject for role in ROLES for subject in getattr(roles, role)}
    for subject in sorted(everybody - set(problems.subjects)):
        with problems.of(subject):
            check_stem(slice_stem(subject, 0))
            volumes_of(study, subject, recipe.input)
            geometry = read_geometry(study, subject, size=recipe.size, mode=recipe.mode)
            known.append(
                _Subject(
                    subject,
                    frame=geometry.frame,
                    slices=geometry.shape[2],
                    marks=_rows(truth, subject, ["i", "j", "k"]),
                    boxes=_rows(truth, subject, ["left", "top", "right", "bottom"]),
                    train=subject in roles.train,
                )
            )
    return known


def _known(project: Path) -> dict[str, Mapping[str, Any]]:
    """Fingerprints of the volumes that a project was made from, by their names."""
    return {str(entry.get("file")): entry for entry in (read_record(project) or {}).get("volumes", [])}


def _slices(
    study: Study,
    work: list[_Subject],
    recipe: Decided,
    known: Mapping[str, Mapping[str, Any]],
    problems: Problems,
    jobs: int,
    on_progress: OnProgress,
) -> dict[str, _Slices]:
    """The slices of each subject, written where they are to be trained on and not there."""
    one = partial(_prepare_subject, study, recipe=recipe, known=known)
    if not any(_has_work(study, subject, recipe) for subject in work):
        jobs = 1  # starting workers would take longer than looking
    made = for_each(one, work, jobs=jobs, on_progress=on_progress, label=lambda subject: subject.id, problems=problems)
    problems.raise_if_any(
        f"So the project of fold {recipe.fold} was not written: it must lack nobody. The slices of "
        "other subjects are kept. Mend these subjects, or take them out of participants.tsv and folds.tsv, and run the "
        "same command again."
    )
    return {slices.subject: slices for slices in made}


def _fit_anchors(network: str, train: Sequence[_Subject], recipe: Decided) -> tuple[str, dict[str, Any]]:
    """The network with anchors from the training subjects' labels, and what they are."""
    cfg = parse_cfg(network)
    boxes = np.concatenate([clip_boxes(subject.boxes, cfg.net.width) for subject in train] or [np.empty((0, 4))])
    sizes = boxes[:, 2:] - boxes[:, :2]
    sizes = sizes[(sizes >= 1).all(axis=1)]
    if not len(sizes):
        raise DataError(
            "no training subject has a microbleed, so there is nothing to fit anchors to. Use --anchors cfg."
        )
    if recipe.augment:
        sizes = np.concatenate([sizes, sizes[:, ::-1]])
    seen = sizes_in_cells(sizes, cfg, recipe.seed)
    found = anchors_from(seen, len(cfg.region.anchors), recipe.seed)
    report = {
        "values": [[round(float(value), 4) for value in anchor] for anchor in found],
        "mean_iou": round(mean_iou(seen, found), 4),
        "mean_iou_of_the_cfg": round(mean_iou(seen, cfg.region.anchors), 4),
    }
    return set_anchors(network, found), {"anchors": report}


def _rows(truth: pd.DataFrame, subject: str, columns: list[str]) -> NDArray[np.float64]:
    return truth.loc[truth["participant_id"] == subject, columns].to_numpy(float)


# --- one subject, in a worker process --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Subject:
    """What is known of a subject before its volumes are read: marks (n, 3) i, j, k and their boxes (n, 4) [px]."""

    id: str
    frame: Frame
    slices: int
    marks: NDArray[np.float64]
    boxes: NDArray[np.float64]
    train: bool

    def is_learned_from(self, recipe: Decided) -> bool:
        return self.train and (len(self.marks) > 0 or recipe.negatives == "all")


@dataclass(frozen=True)
class _Slices:
    """A subject's images to train on, by stem, with and without microbleeds; what decides them, and its volumes."""

    subject: str
    training: Mapping[str, Path]
    positives: list[int]
    negatives: list[int]
    digest: str
    volumes: list[dict[str, Any]]


def _folders(study: Study, subject: _Subject, recipe: Decided) -> tuple[Path, Path]:
    """Where a subject's plain slices lie, and their copies to train on."""
    folder = study.subject_slices(recipe.input, subject.id)
    return folder, folder.with_name(f"{subject.id}_augmented")


def _record(study: Study, subject: _Subject, recipe: Decided) -> Record:
    """What decides a subject's plain slices."""
    parameters = {
        "input": recipe.input,
        "scale": recipe.scale,
        "background": recipe.background,
        "size": subject.frame.size,
        "mode": subject.frame.mode,
        "label_reach": recipe.label_reach,
        "marks": sorted(map(list, subject.marks.astype(int).tolist())),
    }
    volumes = volumes_of(study, subject.id, recipe.input)
    return Record(_STEP, parameters, tuple(volumes.values()), revision=REVISION)


def _has_work(study: Study, subject: _Subject, recipe: Decided) -> bool:
    """Whether a subject has slices to write, as far as can be told without looking at them."""
    if not subject.is_learned_from(recipe):
        return False
    folder, turned = _folders(study, subject, recipe)
    copies_missing = recipe.augment and len(subject.marks) > 0 and not turned.exists()
    return copies_missing or not _record(study, subject, recipe).is_current(folder)


def _prepare_subject(
    study: Study, subject: _Subject, *, recipe: Decided, known: Mapping[str, Mapping[str, Any]]
) -> _Slices:
    folder, turned = _folders(study, subject, recipe)
    record = _record(study, subject, recipe)
    if not subject.is_learned_from(recipe):
        volumes = _fingerprints(record, known, folder)
        return _Slices(subject.id, {}, [], [], _digest([record.identity(volumes)]), volumes)
    if not record.is_current(folder):
        images, mask = images_of(
            study, subject.id, subject.frame,
            input_name=recipe.input, scale=recipe.scale, background=recipe.background,
        )  # fmt: skip
        brain = [int(n) for n in mask.sum(axis=(0, 1))]
        with publish(folder, record) as out:
            _write_plain(out, subject, images, recipe.label_reach)
            out.note(brain_voxels=brain, contents=fingerprints(out, _plain_stems(subject.id, brain)))
    noted = _note(folder)
    brain = noted["brain_voxels"]
    _check_unedited(folder, _plain_stems(subject.id, brain))
    marked = {int(mark[2]) for mark in subject.marks}
    positives = sorted({k for mark in marked for k in label_slices(mark, len(brain), recipe.label_reach)})
    rng = np.random.default_rng([recipe.seed, zlib.crc32(subject.id.encode())])
    count = len(brain) if recipe.negatives == "all" else round(recipe.negatives * len(positives))
    negatives = choose_negatives(positives, brain, count, rng).tolist()
    chosen = sorted([*positives, *negatives])
    digest = [identity(folder, str(folder))]
    if recipe.augment:
        record = replace(record, parameters={**record.parameters, "slices": chosen})
        copies = [slice_stem(subject.id, k, variant) for k in chosen for variant in _TURNED]
        if not record.is_current(turned):
            with publish(turned, record) as out:
                _write_turned(out, folder, subject, chosen)
                out.note(contents=fingerprints(out, copies))
        _check_unedited(turned, copies)
        digest.append(identity(turned, str(turned)))
    training = {
        (stem := slice_stem(subject.id, k, variant)): (turned if variant else folder) / f"{stem}.png"
        for k in chosen
        for variant in ("", *(_TURNED if recipe.augment else ()))
    }
    return _Slices(subject.id, training, positives, negatives, _digest(digest), noted["sources"])


def _fingerprints(record: Record, known: Mapping[str, Mapping[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """Of a subject's volumes, which are not read again where they were, for a project or for images of its own."""
    known = {**known, **{entry["file"]: entry for entry in (read_record(folder) or {}).get("sources", [])}}
    found = []
    for path in record.sources:
        assert isinstance(path, Path)
        noted = known.get(path.name)
        facts = noted if noted is not None and unchanged(path, noted) else fingerprint(path)
        found.append({"file": path.name, **{key: facts[key] for key in ("bytes", "modified_ns", "sha256")}})
    return found


def _write_plain(folder: Path, subject: _Subject, images: NDArray[np.uint8], reach: int) -> None:
    folder.mkdir()
    carriers = [label_slices(int(mark[2]), len(images), reach) for mark in subject.marks]
    for k, image in enumerate(images):
        here = np.array([k in carrier for carrier in carriers], bool)
        _write_image(folder / slice_stem(subject.id, k), image, subject.boxes[here])


def _write_turned(folder: Path, plain: Path, subject: _Subject, slices: Sequence[int]) -> None:
    folder.mkdir()
    size = subject.frame.size
    for k in slices:
        path = plain / f"{slice_stem(subject.id, k)}.png"
        image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        label = path.with_suffix(".txt")
        if image is None or not label.is_file():
            raise MissingError(
                f"{path if image is None else label}: not found or damaged. Remove the folder {plain} and run "
                "`cmbtk prepare-yolo` again."
            )
        boxes = labels_from_text(label.read_text("utf-8"), size, str(label))
        for variant in _TURNED:
            _write_image(
                folder / slice_stem(subject.id, k, variant),
                augment_image(np.asarray(image, np.uint8), variant),
                augment_boxes(boxes, variant, size),
            )


def _write_image(path: Path, image: NDArray[np.uint8], boxes: NDArray[np.float64]) -> None:
    """A PNG and its label; encoded in memory, as OpenCV does not say why it could not write a file."""
    path.with_name(f"{path.name}.png").write_bytes(encoded(image))
    text = labels_to_text(clip_boxes(boxes, image.shape[0]), image.shape[0])
    path.with_name(f"{path.name}.txt").write_text(text, "utf-8", newline="\n")


def _plain_stems(subject: str, brain: Sequence[int]) -> list[str]:
    return [slice_stem(subject, k) for k in range(len(brain))]


def _check_unedited(folder: Path, stems: Sequence[str]) -> None:
    """Refuse slices that were changed by hand: other cells have them as well, and labels come from the marks."""
    noted = _note(folder).get("contents")
    if noted is not None and (changed := edited(noted, fingerprints(folder, stems))):
        raise DataError(_changed(folder, changed))


def _changed(folder: Path, changed: Sequence[str]) -> str:
    return (
        f"{folder}: {', '.join(changed)} changed since `cmbtk prepare-yolo` wrote them. Correct marks in "
        "microbleeds.tsv and roles in folds.tsv, from which labels and lists are made; then remove this folder, and "
        "run the same command again."
    )


def _note(folder: Path) -> dict[str, Any]:
    record = read_record(folder)
    assert record is not None  # just written or found current
    return record


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
