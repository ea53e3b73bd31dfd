"""``evaluate``: hold a cell's candidates and findings against the truth; write counts, tables and pictures.

The folder ``evaluation/`` of the cell holds::

    metrics.json       counts of every rule, role and stage, with intervals, thresholds, averages and strata
    subjects.tsv       the counts by subject
    microbleeds.tsv    every microbleed and the candidate that found it
    candidates.tsv     every candidate and what it turned out to be
    froc.tsv           sensitivity against false positives per subject, for every threshold
    strata.tsv         microbleeds by diameter, contrast and region; false positives by what they are
    montage.png        found, missed and false on one page
    pictures/          one picture each

The pictures come last, when all numbers are there, with provenance of their own: where their drawing was stopped, the
same command goes on with them alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import DataError, MissingError
from ..evaluation.recipe import Evaluating
from ..evaluation.results import CellResult, Evaluation, Threshold
from ..evaluation.results import evaluate as count_all
from ..evaluation.rules import RULES, rule_named
from ..evaluation.rules.base import Rule
from ..evaluation.strata import natures, rim_voxels
from ..io.files import load_json
from ..io.nifti import read_mask, read_volume
from ..io.publish import Record, publish, read_record
from ..io.tables import read_tsv, write_tsv
from ..io.warned import Warned
from ..model import OnProgress
from ..parallel import for_each
from ..report.lesions import Lesion, View, choose_lesions, crop, draw_lesion, draw_montage
from ..schema import CANDIDATES, EVALUATION
from ..study.boxes import as_boxes, is_merged
from ..study.cell import Setup, finding, looked_at, read_setup, thresholds
from ..study.cohort import read_participants, unread_in
from ..study.evidence import hit_distance
from ..study.geometry import read_geometry
from ..study.joined import said_of
from ..study.layout import Cell, Study
from ..study.lineage import check_cell
from ..study.made_from import changed_in_cell
from ..study.persons import of_several_scans
from ..study.truth import truth_table

__all__ = ["evaluate"]

REVISION = 2

_MANY = 12
"""From so many pictures on several processes draw them; each takes seconds to start."""


def evaluate(
    cell: Path,
    recipe: Evaluating | None = None,
    *,
    on_note: Callable[[str], None] = lambda note: None,
    on_progress: OnProgress = lambda done, total, what: None,
) -> Path:
    """Count hits, misses and false positives of one cell.

    Parameters
    ----------
    cell : Path
        A cell in which stage 1 has found candidates; stage 2 is counted where it has run.
    recipe : Evaluating, optional
        Its rule decides what the pictures show; numbers are made under all rules, apart. Roles that the cell has no
        subject of are left out.
    on_note : callable
        Given a line for each thing that may be wrong with what is counted: what the steps before warned of, and what
        was changed since a network learned from it. They stand in the provenance as well.
    on_progress : callable
        Called after the pictures of each subject.

    Returns
    -------
    Path
        The cell's ``evaluation`` folder.

    Raises
    ------
    UsageError, MissingError, DataError, StorageError
        Among others a DataError if a subject to be tested on was learned from, see :mod:`cmb_toolkit.study.lineage`.
    """
    recipe = recipe or Evaluating()
    per_box = recipe.count == "per-box"
    # a lesion is seen on the slices next to the labelled one, too; a box alone must lie on it
    rules = {name: rule_named(name, distance_mm=recipe.distance_mm, slices=0 if per_box else 1) for name in RULES}
    study, files = Study.of_cell(cell)
    setup = read_setup(files)
    if not files.candidates.is_file():
        raise MissingError(f"{files.candidates}: not found. Run `cmbtk {finding(files)}` on this cell first.")
    asked, uncounted = _asked_for(study, files, setup, recipe.roles)
    subjects = {role: names for role, names in asked.items() if names}
    role_of = {subject: role for role, names in subjects.items() for subject in names}
    searched = check_cell(study, files, [name for role in ("test", "control") for name in subjects.get(role, [])])
    classified = files.findings.is_file()
    listed = [subject for subject in role_of if study.simulated_truth(subject).is_file()]
    warned = Warned(on_note)
    for made in (files.candidates, *([files.cnn, files.findings] if classified else [])):
        warned.again(made)
    warned.add(*hit_distance(study, recipe.distance_mm, list(role_of)))
    warned.add(*changed_in_cell(study, files), *said_of(read_participants(study), setup.roles["train"]))
    if uncounted:
        warned.add(f"{_unread(uncounted)}, and they are not counted")
    merged = is_merged(files)
    simulated = [path for subject in listed for path in (study.simulated_truth(subject), study.mask(subject))]
    record = Record(
        step="evaluate",
        parameters={**recipe.parameters(), "subjects": asked},
        sources=(
            files.candidates,
            *([files.findings] if classified else []),
            *([files.detections] if per_box and merged else []),
            *(study.microbleeds, study.participants, *simulated),
        ),
        revision=REVISION,
    )
    counted = record.is_current(files.evaluation) and _noted(files) == warned.lines
    drawing = _drawing(files, record)
    if counted and all(drawing.is_current(made) for made in _pictures(files)):
        return files.evaluation
    _check_looked_at(files, list(subjects))
    candidates = _read_candidates(files, role_of, classified)
    if merged and per_box:
        candidates = as_boxes(files, candidates)
    if listed:
        candidates["nature"] = _natures(study, candidates, listed)
    link = None if per_box or merged else recipe.link_mm
    evaluation = count_all(
        candidates,
        truth_table(study, list(role_of), size=setup.size, mode=setup.mode),
        subjects,
        tuple(rules.values()),
        link_mm=link,
        persons=of_several_scans(read_participants(study)),
    )
    if not counted:
        result = CellResult(
            cell=files.name,
            resolution=setup.resolution,
            input=setup.input,
            fold=setup.fold,
            repeat=setup.repeat,
            simulated=_simulated(study),
            rules={name: f"{each.label}; {_counted(recipe.count, link)}" for name, each in rules.items()},
            thresholds=thresholds(files),
            stages=evaluation.stages,
            count=recipe.count,
            link_mm=link,
            strata=_strata(evaluation.strata),
            leak_check=searched,
            warnings=tuple(warned.lines),
        )
        _write_numbers(files, record, result, evaluation)
    _draw(study, files, evaluation, rules[recipe.rule], drawing, setup=setup, on_progress=on_progress)
    return files.evaluation


def _asked_for(study: Study, files: Cell, setup: Setup, roles: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    """The subjects to count by role, and those who are not, since nobody has read their scans."""
    nobody = set(unread_in(study))
    everybody = {role: list(setup.roles[role]) for role in roles}
    uncounted = sorted(subject for names in everybody.values() for subject in names if subject in nobody)
    asked = {role: [subject for subject in names if subject not in nobody] for role, names in everybody.items()}
    if not any(asked.values()):
        why = f"; {_unread(uncounted)}. Write `yes` in the column `read` of {study.participants}, or mark them"
        raise DataError(
            f"{files.folder}: has no {' or '.join(roles)} subject to evaluate{why if uncounted else ''}. "
            "Choose another role."
        )
    return asked, uncounted


def _unread(names: Sequence[str]) -> str:
    return f"nobody has read the scans of {', '.join(names[:10])}{' ...' * (len(names) > 10)}"


def _check_looked_at(cell: Cell, roles: Sequence[str]) -> None:
    """Refuse roles on which stage 1 was not run: their microbleeds would all count as missed."""
    known = looked_at(cell) or roles
    for role in roles:
        if role not in known:
            raise DataError(
                f"{cell.candidates}: stage 1 was not run on the {role} subjects, only on {', '.join(known)}. "
                f"Run `cmbtk {finding(cell)}` with the role {role} as well, or choose other roles here."
            )


def _read_candidates(cell: Cell, role_of: Mapping[str, str], classified: bool) -> pd.DataFrame:
    """The candidates of these subjects, with stage 2's verdict where it has run on all of them."""
    candidates = _rows_of(read_tsv(cell.candidates, [*CANDIDATES.needed, "confidence"]), list(role_of))
    for line in candidates[["participant_id", "role"]].drop_duplicates().to_dict("records"):
        if line["role"] != role_of[line["participant_id"]]:
            raise DataError(
                f"{cell.candidates}: {line['participant_id']} is a {line['role']} subject there, but a "
                f"{role_of[line['participant_id']]} subject of this cell now. Run `cmbtk {finding(cell)}` again."
            )
    if not classified:
        return candidates
    columns = ["candidate_id", "participant_id", "probability", "kept"]
    findings = _rows_of(read_tsv(cell.findings, columns), list(role_of))
    if sorted(findings["candidate_id"]) != sorted(candidates["candidate_id"]):
        raise DataError(
            f"{cell.findings}: not made from the present {cell.candidates.name} ({len(findings)} findings, "
            f"{len(candidates)} candidates of the subjects counted). Run `cmbtk stage2-crop` and "
            "`cmbtk stage2-classify` again."
        )
    kept = findings["kept"].astype(str).str.lower()
    if not kept.isin(["true", "false"]).all():
        raise DataError(f"{cell.findings}: column kept must hold True or False. Run `cmbtk stage2-classify` again.")
    verdict = findings[["candidate_id", "probability"]].assign(kept=kept == "true")
    return candidates.merge(verdict, on="candidate_id", how="left", validate="one_to_one")


def _rows_of(table: pd.DataFrame, subjects: Sequence[str]) -> pd.DataFrame:
    return table[table["participant_id"].isin(list(subjects))].reset_index(drop=True)


def _counted(count: str, link_mm: float | None) -> str:
    if count == "per-box":
        return "per box"
    return "per lesion" + ("" if link_mm is None else f" (boxes linked within {link_mm:g} mm)")


def _strata(table: pd.DataFrame) -> tuple[dict[str, Any], ...]:
    lines = table.astype(object).where(table.notna(), None).to_dict("records")
    return tuple({str(name): value for name, value in line.items()} for line in lines)


def _natures(study: Study, candidates: pd.DataFrame, subjects: Sequence[str]) -> pd.Series[Any]:
    """What lies where each candidate is, in scans whose truth lists all that looks like a microbleed."""
    nature = pd.Series(None, index=candidates.index, dtype=object)
    for subject in subjects:
        mine = candidates["participant_id"] == subject
        if not mine.any():
            continue
        things, kinds = _things(study.simulated_truth(subject))
        swi = read_volume(study.swi(subject), order="F")
        rim = rim_voxels(read_mask(study.mask(subject), swi)) @ swi.affine[:3, :3].T + swi.affine[:3, 3]
        nature[mine] = natures(candidates.loc[mine, ["x_mm", "y_mm", "z_mm"]].to_numpy(float), things, kinds, rim)
    return nature


def _things(path: Path) -> tuple[NDArray[np.float64], list[str]]:
    """World coordinates [mm] and kinds of what a simulated scan's truth lists."""
    try:
        truth = load_json(path, "")
        listed = [*truth["microbleeds"], *truth["mimics"]]
        places = [[float(each[axis]) for axis in ("x_mm", "y_mm", "z_mm")] for each in listed]
        kinds = [str(each["kind"]) for each in listed]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: not the truth of a simulated scan ({error!r}); microbleeds and mimics must be listed, each with "
            "kind, x_mm, y_mm, z_mm. Run `cmbtk simulate` again."
        ) from error
    return np.array(places, float).reshape(-1, 3), kinds


def _noted(files: Cell) -> Any:
    """The warnings that stand in the provenance."""
    return (read_record(files.evaluation) or {}).get("warnings", [])


def _write_numbers(files: Cell, record: Record, result: CellResult, evaluation: Evaluation) -> None:
    text = json.dumps(result.as_json(), indent=2, sort_keys=True, allow_nan=False)
    with publish(files.evaluation, record) as folder:
        folder.mkdir(parents=True)
        folder.note(
            columns={name: each.described() for name, each in EVALUATION.items()}, warnings=list(result.warnings)
        )
        (folder / "metrics.json").write_text(text + "\n", "utf-8")
        write_tsv(evaluation.subjects, folder / "subjects.tsv")
        write_tsv(evaluation.microbleeds, folder / "microbleeds.tsv")
        write_tsv(evaluation.candidates, folder / "candidates.tsv")
        write_tsv(evaluation.froc, folder / "froc.tsv")
        write_tsv(evaluation.strata, folder / "strata.tsv")


def _drawing(files: Cell, record: Record) -> Record:
    """What decides the pictures, once the numbers are there."""
    shown = {name: record.parameters[name] for name in ("rule", "distance_mm", "count", "link_mm", "most_false")}
    shown["thresholds"] = {stage: each.value for stage, each in thresholds(files).items()}
    tables = files.evaluation / "candidates.tsv", files.evaluation / "microbleeds.tsv"
    return replace(record, parameters=shown, sources=tables)


def _draw(
    study: Study,
    files: Cell,
    evaluation: Evaluation,
    rule: Rule,
    record: Record,
    *,
    setup: Setup,
    on_progress: OnProgress,
) -> None:
    """Draw the pictures, several subjects at a time where that is worth its start, and the page of all."""
    boxed = _with_box_sizes(study, evaluation.candidates, setup)
    most_false = int(record.parameters["most_false"])
    lesions, false = choose_lesions(boxed, evaluation.microbleeds, rule.name, most_false=most_false)
    groups = [
        list(group) for _, group in groupby(sorted(lesions, key=lambda each: each.subject), lambda each: each.subject)
    ]
    jobs = len(os.sched_getaffinity(0)) if len(lesions) >= _MANY else 1
    pictures, montage = _pictures(files)
    with publish(pictures, record) as folder:
        folder.mkdir(parents=True)
        draw = partial(_draw_group, study, rule, thresholds(files), folder)
        drawn = for_each(draw, groups, jobs=jobs, on_progress=on_progress, label=lambda group: group[0].subject)
    named = {view.lesion.name: view for views in drawn for view in views}
    totals = {kind: sum(lesion.kind == kind for lesion in lesions) for kind in ("found", "missed")}
    title = f"{files.name}: {'both stages' if files.findings.is_file() else 'stage 1'}"
    with publish(montage, record) as path:
        shown = [named[lesion.name] for lesion in lesions]
        draw_montage(shown, rule, thresholds(files), {**totals, "false": false}, title, path)


def _pictures(files: Cell) -> tuple[Path, Path]:
    """The folder of pictures, and the page of all."""
    return files.evaluation / "pictures", files.evaluation / "montage.png"


def _draw_group(
    study: Study, rule: Rule, in_force: Mapping[str, Threshold], folder: Path, lesions: Sequence[Lesion]
) -> list[View]:
    """Draw the pictures of one subject."""
    views = _views(study, lesions)
    for view in views:
        draw_lesion(view, rule, in_force, folder / f"{view.lesion.name}.png")
    return views


def _with_box_sizes(study: Study, candidates: pd.DataFrame, setup: Setup) -> pd.DataFrame:
    """The candidates with ``width`` and ``height`` of their boxes in voxels."""
    frames = {
        subject: read_geometry(study, str(subject), size=setup.size, mode=setup.mode).frame
        for subject in candidates["participant_id"].unique()
    }
    across = candidates["participant_id"].map({subject: frame.scale_column for subject, frame in frames.items()})
    down = candidates["participant_id"].map({subject: frame.scale_row for subject, frame in frames.items()})
    return candidates.assign(
        width=(candidates["right"] - candidates["left"]) / across,
        height=(candidates["bottom"] - candidates["top"]) / down,
    )


def _views(study: Study, lesions: Sequence[Lesion]) -> list[View]:
    """Cut the surroundings of one subject's lesions."""
    subject = lesions[0].subject
    volume, other = (read_volume(path, order="F") for path in (study.swi(subject), study.phase(subject)))
    swi, phase, spacing = volume.data, other.data, volume.zooms[:2]
    windows = (_window(swi, 0.5, 99.5), _window(phase, 2, 98))
    return [
        View(lesion, crop(swi, lesion.place, spacing), crop(phase, lesion.place, spacing), spacing, windows)
        for lesion in lesions
    ]


def _window(volume: NDArray[np.float32], low: float, high: float) -> tuple[float, float]:
    few = volume[::2, ::2]  # every fourth voxel tells the same in a quarter of the time
    inside = few[np.isfinite(few) & (few != 0)]
    if not inside.size:
        return 0.0, 1.0
    darkest, brightest = np.percentile(inside, [low, high])
    return float(min(darkest, 0)), float(brightest)


def _simulated(study: Study) -> bool:
    record = read_record(study.participants)
    return record is not None and record["step"] == "simulate"
