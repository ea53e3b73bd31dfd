"""``prepare-yolo``: from preprocessed volumes to the Darknet project of one fold.

Slices are written once per subject and input, under ``slices/<input>/<subject>/``, and the turned and mirrored copies
to train on under ``slices/<input>/<subject>_augmented/``; the projects of all folds hold hard links to them.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..darknet.anchors import anchors_from, mean_iou, set_anchors, sizes_in_cells
from ..darknet.cfg import parse_cfg
from ..darknet.contents import edited, fingerprints, fingerprints_of_project
from ..darknet.labels import labels_from_text, labels_to_text
from ..darknet.network_file import CFGS, network_path, network_text
from ..darknet.project import check_project, check_stem, write_project
from ..errors import DataError, MissingError, Problems, UsageError
from ..imaging.normalise import BACKGROUNDS, SCALES, phase_channel, swi_channel
from ..io.nifti import check_same_grid, read_mask, read_volume
from ..io.publish import Record, identity, publish, read_record
from ..model import IMAGE_SIZE, ROLES, Frame, OnProgress
from ..parallel import for_each
from ..slices import slice_stem
from ..stage1.augment import VARIANTS, augment_boxes, augment_image
from ..stage1.composite import composite, needs
from ..stage1.label_boxes import choose_negatives, clip_boxes, label_slices
from ..study.cell import Setup, write_setup
from ..study.cohort import choose_resolutions, read_participants, roles_in
from ..study.geometry import Mode, read_geometry
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
    *,
    fold: str,
    resolutions: Sequence[str] = (),
    input: str = "swi+cphase-averaged",
    size: int = IMAGE_SIZE,
    mode: Mode = "auto",
    cfg: str | Path = "small",
    max_batches: int | None = None,
    net: Mapping[str, str] | None = None,
    anchors: Literal["cfg", "labels"] = "cfg",
    scale: Literal["paper", "slice", "fixed"] = "paper",
    background: Literal["black", "white"] = "black",
    negatives: float | Literal["all"] | None = None,
    augment: bool | None = None,
    label_reach: int | None = None,
    seed: int = 0,
    repeat: int = 1,
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
    fold : str
        Name of the fold, or :data:`cmb_toolkit.study.cohort.NO_FOLD`. Without training subjects the project can only
        detect.
    resolutions : sequence of str
        Subjects of this resolution, or of several together (the paper's Table 3), each with its own way to the
        network image; by default the only one in the study.
    input : str
        One of :data:`cmb_toolkit.model.INPUTS` (the paper's Table 2).
    size : int
        Side of the network image [px].
    mode : {"auto", "crop", "resize"}
        How planes become images, see :func:`cmb_toolkit.imaging.frame.make_frame`.
    cfg : str or Path
        One of :data:`cmb_toolkit.darknet.network_file.CFGS` or a Darknet network file.
    max_batches : int, optional
        Iterations; the learning-rate steps and the burn-in of the network file are scaled along.
    net : mapping, optional
        Other keys of the ``[net]`` section to set, for example ``{"batch": "16"}``.
    anchors : {"cfg", "labels"}
        Those of the network file, or as many by k-means from the boxes of the training subjects (fewer, where these
        have fewer different sizes; the last convolution follows).
    scale : {"paper", "slice", "fixed"}
        How grey values become 0..1, see :mod:`cmb_toolkit.imaging.normalise`.
    background : {"black", "white"}
        Of the complemented phase outside the brain; white is the paper's formula taken literally.
    negatives : float or "all", optional
        Training slices without a microbleed per slice with one, drawn by `seed` from those of the same subject that
        hold brain and are at least two slices from any box; ``all`` takes them all, and those of training subjects
        without a microbleed too. By default all for a network file with ``draw=1``, whose images are drawn anew (see
        :mod:`cmb_toolkit.darknet.drawing`), unless copies are written, and else 1.
    augment : bool, optional
        Write the eight turned and mirrored copies of each training slice (section 2.3), not only the slice; by
        default unless the network file has ``draw=1``.
    label_reach : int, optional
        Slices on either side of the marked one that carry the box as well; 0 is the paper, and the default unless
        the network file has ``draw=1``: then it is 1.
    seed : int
        Decides which negatives are drawn.
    repeat : int
        From 2 on, a further cell of the same fold, to be trained with another seed.
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
    lowest = (label_reach or 0, negatives if isinstance(negatives, int | float) else 0)
    if min(lowest) < 0 or size < 1 or repeat < 1 or (max_batches is not None and max_batches < 1):
        raise UsageError(
            "--negatives and --label-reach must be 0 or more, --size, --repeat and --max-batches 1 or more."
        )
    if scale not in SCALES:
        raise UsageError(f"scale {scale!r} is not known; choose one of {', '.join(SCALES)}.")
    if background not in BACKGROUNDS:
        raise UsageError(f"background {background!r} is not known; choose one of {', '.join(BACKGROUNDS)}.")
    needs(input)
    opened = Study.open(study)
    participants = read_participants(opened)
    chosen = choose_resolutions(participants, resolutions)
    roles = roles_in(opened, fold, participants[participants["resolution"].isin(chosen)])
    subjects = [subject for role in ROLES for subject in getattr(roles, role)]
    network = network_text(cfg, size=size, max_batches=max_batches, net=net)
    choice = _choice(network, input, scale, background, label_reach, negatives, augment, seed)
    problems = Problems()
    truth = truth_table(opened, subjects, size=size, mode=mode, problems=problems)
    work = []
    for subject in sorted(set(subjects) - set(problems.subjects)):
        with problems.of(subject):
            _check_volumes(opened, subject, input)
            work.append(
                _Subject(
                    subject,
                    frame=read_geometry(opened, subject, size=size, mode=mode).frame,
                    marks=_rows(truth, subject, ["i", "j", "k"]),
                    boxes=_rows(truth, subject, ["left", "top", "right", "bottom"]),
                    train=subject in roles.train,
                )
            )
    one = partial(_prepare_subject, opened, choice=choice)
    if not any(_has_work(opened, subject, choice) for subject in work):
        jobs = 1  # starting workers would take longer than looking
    made = for_each(one, work, jobs=jobs, on_progress=on_progress, label=lambda subject: subject.id, problems=problems)
    problems.raise_if_any(
        f"So the project of fold {fold} was not written: it must lack nobody. The slices of the "
        f"{len(made)} other subjects are kept. Mend these subjects, or take them out of participants.tsv and "
        "folds.tsv, and run the same command again."
    )
    done = {slices.subject: slices for slices in made}
    fitted: dict[str, Any] = {}
    if anchors == "labels":
        network, fitted = _fit_anchors(network, [subject for subject in work if subject.train], choice.augment, seed)
    cell = opened.cell("+".join(chosen), input, fold, repeat)
    images = {stem: path for subject in sorted(done) for stem, path in done[subject].images().items()}
    train = [stem for subject in sorted(roles.train) for stem in done[subject].training]
    valid = [stem for subject in sorted(roles.validation) for stem in done[subject].plain]
    noted = {
        **fitted,
        "images": {"train": len(train), "valid": len(valid), "slices": sum(len(s.plain) for s in done.values())},
        "training_slices": {
            "with microbleeds": sum(len(done[s].positives) for s in roles.train),
            "without": sum(len(done[s].negatives) for s in roles.train),
        },
        "microbleeds": {role: int(truth["participant_id"].isin(getattr(roles, role)).sum()) for role in ROLES},
        "marks": marks_digests(truth),
        "simulated": sorted(set(joined(participants)) & set(roles.train)),
        "frames": sorted({f"{w.frame.shape[0]} x {w.frame.shape[1]} voxels: {w.frame.mode}" for w in work}),
    }
    who = {role: tuple(sorted(getattr(roles, role))) for role in ROLES}
    setup = Setup(tuple(chosen), "yolo", input, fold, size, mode, who, repeat, scale, background, seed)
    record = Record(
        step=_STEP,
        parameters={
            "resolution": setup.resolution,
            **({"resolutions": chosen} if len(chosen) > 1 else {}),
            "input": input,
            "fold": fold,
            **({"repeat": repeat} if repeat > 1 else {}),
            "size": size,
            "mode": mode,
            "cfg": cfg if cfg in CFGS else network_path(cfg).name,
            "max_batches": max_batches,
            "net": dict(net or {}),
            "anchors": anchors,
            "scale": scale,
            "background": background,
            "negatives": choice.negatives,
            "augment": choice.augment,
            "label_reach": choice.label_reach,
            "seed": seed,
            "roles": who,
            "slices_sha256": _digest([done[subject].digest for subject in sorted(done)]),
        },
        sources=(network_path(cfg),),
        revision=REVISION,
    )
    if record.is_current(cell.project):
        if changed := edited_in_project(cell):
            raise DataError(_changed(cell.project, changed))
        write_setup(cell, setup)
        return cell.folder
    if roles.train and not train:
        raise DataError(
            f"{opened.microbleeds}: none of the {len(roles.train)} training subjects of fold {fold} has a microbleed, "
            "so there is nothing to train on. Check the marks (`cmbtk check`) or make folds again (`cmbtk split`)."
        )
    with publish(cell.project, record) as folder:
        write_project(
            folder,
            cfg=network,
            images=images,
            train=train,
            valid=valid,
            slices=[stem for subject in sorted(done) for stem in done[subject].plain],
        )
        check_project(folder, training=bool(train))
        folder.note(**noted, contents=fingerprints_of_project(folder))
    write_setup(cell, setup)
    return cell.folder


# --- what is asked for -----------------------------------------------------------------------------------------------


def _fit_anchors(network: str, train: Sequence[_Subject], augment: bool, seed: int) -> tuple[str, dict[str, Any]]:
    """The network with anchors from the training subjects' labels, and what they are."""
    cfg = parse_cfg(network)
    boxes = np.concatenate([clip_boxes(subject.boxes, cfg.net.width) for subject in train] or [np.empty((0, 4))])
    sizes = boxes[:, 2:] - boxes[:, :2]
    sizes = sizes[(sizes >= 1).all(axis=1)]
    if not len(sizes):
        raise DataError(
            "no training subject has a microbleed, so there is nothing to fit anchors to. Use --anchors cfg."
        )
    if augment:
        sizes = np.concatenate([sizes, sizes[:, ::-1]])
    seen = sizes_in_cells(sizes, cfg, seed)
    found = anchors_from(seen, len(cfg.region.anchors), seed)
    report = {
        "values": [[round(float(value), 4) for value in anchor] for anchor in found],
        "mean_iou": round(mean_iou(seen, found), 4),
        "mean_iou_of_the_cfg": round(mean_iou(seen, cfg.region.anchors), 4),
    }
    return set_anchors(network, found), {"anchors": report}


def _volumes(study: Study, subject: str, input_name: str) -> dict[str, Path]:
    """Preprocessed volumes that an input is made of, and the mask."""
    paths = {"swi": study.swi, "phase": study.phase, "magnitude": study.magnitude}
    return {name: paths[name](subject) for name in needs(input_name)} | {"mask": study.mask(subject)}


def _check_volumes(study: Study, subject: str, input_name: str) -> None:
    check_stem(slice_stem(subject, 0))
    for path in _volumes(study, subject, input_name).values():
        if not path.is_file():
            raise MissingError(f"{path}: not found. Run `cmbtk preprocess` on this study first.")


def _rows(truth: pd.DataFrame, subject: str, columns: list[str]) -> NDArray[np.float64]:
    return truth.loc[truth["participant_id"] == subject, columns].to_numpy(float)


# --- one subject, in a worker process --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Choice:
    """What holds for all subjects."""

    input: str
    scale: str
    background: str
    label_reach: int
    negatives: float | Literal["all"]
    augment: bool
    seed: int


@dataclass(frozen=True)
class _Subject:
    """What is known of a subject before its volumes are read: marks (n, 3) i, j, k and their boxes (n, 4) [px]."""

    id: str
    frame: Frame
    marks: NDArray[np.float64]
    boxes: NDArray[np.float64]
    train: bool


@dataclass(frozen=True)
class _Slices:
    """A subject's images on disk: stems of all plain slices and of those to train on."""

    subject: str
    folder: Path
    turned: Path
    plain: list[str]
    training: list[str]
    positives: list[int]
    negatives: list[int]
    digest: str

    def images(self) -> dict[str, Path]:
        plain = set(self.plain)
        every = [*self.plain, *(stem for stem in self.training if stem not in plain)]
        return {stem: (self.folder if stem in plain else self.turned) / f"{stem}.png" for stem in every}


def _choice(
    network: str,
    input_name: str,
    scale: str,
    background: str,
    label_reach: int | None,
    negatives: float | Literal["all"] | None,
    augment: bool | None,
    seed: int,
) -> _Choice:
    """What was asked for; the rest as the network wants it, whose images are drawn anew or are the listed ones."""
    draws = parse_cfg(network).net.draw is not None
    augment = augment if augment is not None else not draws
    return _Choice(
        input_name,
        scale,
        background,
        label_reach=label_reach if label_reach is not None else int(draws),
        negatives=negatives if negatives is not None else "all" if draws and not augment else 1.0,
        augment=augment,
        seed=seed,
    )


def _folders(study: Study, subject: _Subject, choice: _Choice) -> tuple[Path, Path]:
    """Where a subject's plain slices lie, and their copies to train on."""
    folder = study.subject_slices(choice.input, subject.id)
    return folder, folder.with_name(f"{subject.id}_augmented")


def _record(study: Study, subject: _Subject, choice: _Choice) -> Record:
    """What decides a subject's plain slices."""
    parameters = {
        "input": choice.input,
        "scale": choice.scale,
        "background": choice.background,
        "size": subject.frame.size,
        "mode": subject.frame.mode,
        "label_reach": choice.label_reach,
        "marks": sorted(map(list, subject.marks.astype(int).tolist())),
    }
    volumes = _volumes(study, subject.id, choice.input)
    return Record(_STEP, parameters, tuple(volumes.values()), revision=REVISION)


def _has_work(study: Study, subject: _Subject, choice: _Choice) -> bool:
    """Whether a subject has slices to write, as far as can be told without looking at them."""
    folder, turned = _folders(study, subject, choice)
    copies_missing = subject.train and choice.augment and len(subject.marks) > 0 and not turned.exists()
    return copies_missing or not _record(study, subject, choice).is_current(folder)


def _prepare_subject(study: Study, subject: _Subject, *, choice: _Choice) -> _Slices:
    folder, turned = _folders(study, subject, choice)
    record = _record(study, subject, choice)
    if not record.is_current(folder):
        images, brain = _images(study, subject, choice)
        with publish(folder, record) as out:
            _write_plain(out, subject, images, choice.label_reach)
            out.note(brain_voxels=brain, contents=fingerprints(out, _plain_stems(subject.id, brain)))
    brain = _note(folder)["brain_voxels"]
    plain = _plain_stems(subject.id, brain)
    _check_unedited(folder, plain)
    marked = {int(mark[2]) for mark in subject.marks}
    positives = sorted({k for mark in marked for k in label_slices(mark, len(brain), choice.label_reach)})
    negatives: list[int] = []
    training: list[str] = []
    digest = [identity(folder, str(folder))]
    if subject.train and (positives or choice.negatives == "all"):
        rng = np.random.default_rng([choice.seed, zlib.crc32(subject.id.encode())])
        count = len(brain) if choice.negatives == "all" else round(choice.negatives * len(positives))
        negatives = choose_negatives(positives, brain, count, rng).tolist()
        chosen = sorted([*positives, *negatives])
        if choice.augment:
            record = replace(record, parameters={**record.parameters, "slices": chosen})
            copies = [slice_stem(subject.id, k, variant) for k in chosen for variant in _TURNED]
            if not record.is_current(turned):
                with publish(turned, record) as out:
                    _write_turned(out, folder, subject, chosen)
                    out.note(contents=fingerprints(out, copies))
            _check_unedited(turned, copies)
            digest.append(identity(turned, str(turned)))
        variants = ("", *_TURNED) if choice.augment else ("",)
        training = [slice_stem(subject.id, k, variant) for k in chosen for variant in variants]
    return _Slices(subject.id, folder, turned, plain, training, positives, negatives, _digest(digest))


def _images(study: Study, subject: _Subject, choice: _Choice) -> tuple[NDArray[np.uint8], list[int]]:
    """Network images (k, row, column, RGB) of a subject and the brain voxels on each slice."""
    paths = _volumes(study, subject.id, choice.input)
    swi = read_volume(paths["swi"])
    mask = read_mask(paths.pop("mask"), swi)
    volumes = {}
    for name, path in paths.items():
        volume = swi if name == "swi" else read_volume(path)
        check_same_grid(swi, volume)
        channel = phase_channel if name == "phase" else swi_channel
        volumes[name] = channel(volume.data, mask, choice.scale)
    images = composite(choice.input, subject.frame, mask=mask, background=choice.background, **volumes)
    return images, [int(n) for n in mask.sum(axis=(0, 1))]


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
    # without parameters: giving OpenCV a compression level resets its filter and makes it 2.5 times slower
    coded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1]
    path.with_name(f"{path.name}.png").write_bytes(coded.tobytes())
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
