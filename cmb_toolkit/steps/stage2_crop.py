"""``stage2-crop``: cut SWI and phase patches around every candidate, and around the marks to train on."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from nibabel.affines import voxel_sizes
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from ..classifiers import CLASSIFIERS
from ..detectors import DETECTORS
from ..errors import DataError, MissingError, Problems
from ..evaluation.matching import rows_by_subject
from ..evaluation.rules import rule_named
from ..evaluation.rules.base import Rule
from ..io.nifti import check_same_grid, read_mask, read_volume
from ..io.publish import Record, fingerprint, publish
from ..io.tables import read_tsv, write_tsv
from ..model import OnProgress
from ..parallel import for_each
from ..schema import CANDIDATES, PATCHES
from ..stage2.patches import patches_of
from ..stage2.recipe import Cropping
from ..study.boxes import boxes_of, is_merged
from ..study.cell import finding, read_setup
from ..study.geometry import read_geometry
from ..study.layout import Cell, Study
from ..study.made_from import check_patches
from ..study.patches import ARRAY, TABLE
from ..study.truth import truth_table

__all__ = ["stage2_crop"]

REVISION = 1

_LEARNED_FROM = ("train", "validation")


def stage2_crop(
    cell: Path,
    recipe: Cropping | None = None,
    *,
    jobs: int = 1,
    on_progress: OnProgress = lambda done, total, what: None,
) -> Path:
    """Cut the patches of a cell.

    Every candidate of every subject gets a patch, labelled by the truth. Under a rule that goes by a distance
    (``centre``) a candidate is positive when it is a hit, or one of the boxes is that it was put together from; all
    candidates of one microbleed are. One that is not, but lies, or has a box, no further from a mark than
    `distance_mm` and the distance of two slices, has no label: it shows the microbleed, one slice off say, and neither
    answer would be a fair one to learn. It is left out of the training, and classified and counted as every other.
    Under other rules every candidate that is no hit is negative, as in the paper.

    The readers' marks of training and validation subjects are added (origin ``microbleed``), so that stage 2 also
    learns from microbleeds that stage 1 missed; they are no candidates and are never classified.

    Parameters
    ----------
    cell : Path
        A cell with candidates.
    recipe : Cropping, optional
    jobs : int
        Worker processes.
    on_progress : callable
        Called after each subject.

    Returns
    -------
    Path
        Folder ``patches`` with ``patches.npy`` (n, size, 2 size, size) and ``patches.tsv``.

    Raises
    ------
    UsageError, MissingError, DataError, StorageError
        With a line for each subject whose patches cannot be cut; then none are written.
    """
    recipe = recipe or Cropping()
    asked = asdict(recipe)
    del asked["network"], asked["shrink_from"]
    hit = rule_named(recipe.rule, distance_mm=recipe.distance_mm)
    study, files = Study.of_cell(cell)
    setup = read_setup(files)
    network = CLASSIFIERS[recipe.network or DETECTORS[setup.method].network or "paper"]
    size = network.size
    shrink_from = network.shrink_from if recipe.shrink_from == "auto" else recipe.shrink_from
    candidates = _read_candidates(files, setup.roles)
    learned_from = [subject for role in _LEARNED_FROM for subject in setup.roles[role]]
    subjects = sorted({*candidates["participant_id"], *learned_from})
    truth = truth_table(study, subjects, size=setup.size, mode=setup.mode)
    thickness = {subject: _thickness(study, subject) for subject in candidates["participant_id"].unique()}
    table = candidates.assign(label=_labels(files, candidates, truth, hit, thickness), origin="candidate")
    marks = _marks(truth, setup.roles)
    jittered = [_jittered(study, marks[marks["role"] == "train"], recipe)] if recipe.jitter else []
    table = pd.concat([table, marks, *jittered], ignore_index=True)
    tasks = _tasks(study, table)
    record = Record(
        step="stage2-crop",
        parameters={
            **asked,
            "size": size,
            **({"shrink_from": shrink_from} if shrink_from else {}),  # patches without stay what they are
            "roles": {role: list(names) for role, names in setup.roles.items()},
        },
        sources=(
            files.candidates,
            *([files.detections] if is_merged(files) and files.detections.is_file() else []),
            study.microbleeds,
            *(path for task in tasks for path in task.volumes),
        ),
        revision=REVISION,
    )
    if record.is_current(files.patches):
        check_patches(files)
        return files.patches
    with publish(files.patches, record) as folder:
        folder.mkdir()
        shape = (len(table), size, 2 * size, size)
        open_memmap(folder / ARRAY, mode="w+", dtype=np.float32, shape=shape).flush()
        with (folder / ARRAY).open("r+b") as stream:  # on a full disk fail here: a sparse map would kill the process
            os.posix_fallocate(stream.fileno(), 0, (folder / ARRAY).stat().st_size)
        work = partial(_cut_subject, array=folder / ARRAY, scale=recipe.scale, size=size, shrink_from=shrink_from)
        for_each(work, tasks, jobs=jobs, on_progress=on_progress, label=lambda task: task.subject)
        write_tsv(table[PATCHES.names], folder / TABLE)
        contents = [{"file": name, **fingerprint(folder / name)} for name in (ARRAY, TABLE)]
        folder.note(patches=_counts(table), contents=contents)
    return files.patches


@dataclass(frozen=True)
class _Task:
    """What is cut from one subject, and into which rows."""

    subject: str
    volumes: tuple[Path, Path, Path]
    rows: NDArray[np.intp]
    centres: NDArray[np.float64]


def _read_candidates(cell: Cell, roles: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    if not cell.candidates.is_file():
        raise MissingError(f"{cell.candidates}: not found. Run `cmbtk {finding(cell)}` on this cell first.")
    table = read_tsv(cell.candidates, CANDIDATES.needed)
    if table.empty:
        raise DataError(
            f"{cell.candidates}: holds no candidate. Run `cmbtk {finding(cell)}` with a lower --threshold, or train "
            "stage 1 longer."
        )
    role_of = {subject: role for role, names in roles.items() for subject in names}
    wrong = table["role"] != table["participant_id"].map(role_of)
    if wrong.any():
        row = table[wrong].iloc[0]
        raise DataError(
            f"{cell.candidates}: {row['participant_id']} has the role {row['role']}, but "
            f"{role_of.get(row['participant_id'], 'none')} in this cell's project; a test subject must never be "
            f"trained on. Run `cmbtk {finding(cell)}` again."
        )
    if table["candidate_id"].duplicated().any():
        twice = table["candidate_id"][table["candidate_id"].duplicated()].iloc[0]
        raise DataError(f"{cell.candidates}: {twice} stands twice. Run `cmbtk {finding(cell)}` again.")
    return table


def _labels(
    cell: Cell, candidates: pd.DataFrame, truth: pd.DataFrame, rule: Rule, thickness: Mapping[str, float]
) -> pd.Series[Any]:
    """1 for a microbleed, 0 for none, nothing where neither should be taught."""
    lesions = rule.widened(0) is not None and is_merged(cell)
    seen = pd.concat([candidates, boxes_of(cell, candidates)], ignore_index=True) if lesions else candidates
    hit, near = np.zeros(len(seen), bool), np.zeros(len(seen), bool)
    rows = rows_by_subject(seen)
    for subject, marks in rows_by_subject(truth).items():
        if subject in rows:
            mine, theirs = seen.iloc[rows[subject]], truth.iloc[marks]
            hit[rows[subject]] = (rule.closeness(mine, theirs) > 0).any(axis=1)
            wide = rule.widened(thickness[subject])
            if wide is not None:
                near[rows[subject]] = (wide.closeness(mine, theirs) > 0).any(axis=1)
    any_of = pd.DataFrame({"hit": hit, "near": near}).groupby(seen["candidate_id"]).any()
    of_each = any_of.loc[candidates["candidate_id"]].reset_index(drop=True)
    return of_each["hit"].astype("Int64").mask(of_each["near"] & ~of_each["hit"])


def _thickness(study: Study, subject: str) -> float:
    """Distance of two slices [mm]."""
    return float(np.linalg.norm(read_geometry(study, subject).affine[:3, 2]))


def _marks(truth: pd.DataFrame, roles: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The marks of training and validation subjects as rows of the table."""
    role_of = {subject: role for role in _LEARNED_FROM for subject in roles[role]}
    own = truth[truth["participant_id"].isin(list(role_of))][["participant_id", "i", "j", "k"]].reset_index(drop=True)
    number = own.groupby("participant_id", sort=False).cumcount() + 1
    names = [f"{subject}_cmb-{n:04d}" for subject, n in zip(own["participant_id"], number, strict=True)]
    return own.assign(candidate_id=names, role=own["participant_id"].map(role_of), label=1, origin="microbleed")


def _jittered(study: Study, marks: pd.DataFrame, recipe: Cropping) -> pd.DataFrame:
    """Marks again, shifted by vectors that are uniform in a sphere of the hit distance; inside the volume."""
    rng = np.random.default_rng(recipe.seed)
    again = marks.loc[marks.index.repeat(recipe.jitter)].reset_index(drop=True)
    direction = rng.standard_normal((len(again), 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    shift = recipe.distance_mm * rng.random((len(again), 1)) ** (1 / 3) * direction
    places = again[["i", "j", "k"]].to_numpy(float, copy=True)
    for subject, rows in rows_by_subject(again).items():
        geometry = read_geometry(study, subject)
        voxel = voxel_sizes(geometry.affine)
        places[rows] = np.clip(places[rows] + shift[rows] / voxel, 0, np.array(geometry.shape) - 1)
    number = again.groupby("candidate_id", sort=False).cumcount() + 1
    names = [f"{name}_{n}" for name, n in zip(again["candidate_id"], number, strict=True)]
    return again.assign(candidate_id=names, i=places[:, 0], j=places[:, 1], k=np.rint(places[:, 2]).astype(int))


def _tasks(study: Study, table: pd.DataFrame) -> list[_Task]:
    tasks, problems = [], Problems()
    for subject, rows in rows_by_subject(table).items():
        volumes = (study.swi(subject), study.phase(subject), study.mask(subject))
        with problems.of(subject):
            for path in volumes:
                if not path.is_file():
                    raise MissingError(f"{path}: not found. Run `cmbtk preprocess` on this study first.")
        tasks.append(_Task(subject, volumes, rows, table.iloc[rows][["i", "j", "k"]].to_numpy(float)))
    problems.raise_if_any()
    return tasks


def _cut_subject(task: _Task, *, array: Path, scale: str, size: int, shrink_from: float) -> None:
    swi_file, phase_file, mask_file = task.volumes
    swi, phase = read_volume(swi_file, order="F"), read_volume(phase_file, order="F")
    check_same_grid(swi, phase)
    mask = read_mask(mask_file, swi)
    patches = patches_of(
        swi.data, phase.data, mask, swi.zooms, task.centres, scale=scale, size=size, shrink_from=shrink_from
    )
    # each subject has its own rows, so that processes can write at once
    mapped = open_memmap(array, mode="r+")
    mapped[task.rows] = patches
    mapped.flush()


def _counts(table: pd.DataFrame) -> dict[str, Any]:
    """Patches by role: candidates on a microbleed, other candidates, those beside one, marks."""
    candidate = table["origin"] == "candidate"
    return {
        str(role): {
            "microbleed": int((candidate & (table["label"] == 1) & (table["role"] == role)).sum()),
            "other": int((candidate & (table["label"] == 0) & (table["role"] == role)).sum()),
            "unlabelled": int((candidate & table["label"].isna() & (table["role"] == role)).sum()),
            "marks": int((~candidate & (table["role"] == role)).sum()),
        }
        for role in table["role"].unique()
    }
