"""`cmbtk import`: a study from scans and marks that somebody has.

Scans stay where they are and are only named, relative to the study; nothing of them is read but their headers. Marks
are turned into voxels on the canonical axes here, once, so that no later step knows how a reader counted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from .. import __version__
from ..errors import CmbError, DataError, Problems, UsageError
from ..io.authors import AuthorsFiles, find_authors_files
from ..io.marks import (
    LABEL_AXES,
    LabelAxes,
    inside,
    labels_to_canonical,
    read_marks,
    voxels_to_canonical,
    world_to_canonical,
)
from ..io.nifti import Grid
from ..io.publish import Record, publish, read_record, sha256, write_text
from ..io.sheets import read_sheet
from ..io.spelling import on_disk
from ..io.tables import as_number, read_tsv, tsv_text
from ..model import OnProgress
from ..names import RESOLUTION, SCANNER, safe_id, shown, split_session
from ..sources.names import kept_names, name_marks, numbered, table_names
from ..study.cohort import PARTICIPANT_COLUMNS, VOLUMES
from ..study.layout import Study
from ..study.persons import same_person_hints, unread, with_persons, wrong_persons
from ..study.place_marks import MARKS_ON, common_grid, far_from_world, mark_problems, place_marks, read_grids
from ..study.places import places, relative

__all__ = ["guess_resolution", "import_authors", "import_table"]

REVISION = 1

Unmarked = Literal["patient", "read", "control"]

UNMARKED: tuple[str, ...] = ("patient", "read", "control")
"""What subjects without a mark can be."""

_LONGEST_ECHO_MS = 10_000

_TABLE_COLUMNS = [*PARTICIPANT_COLUMNS, "marks_on"]
"""Of a table of files."""
_SELDOM = ("person_id", "session_id", "real", "imaginary", "echo", "phase_volume")
"""Columns that are left out of the table where they would be empty."""

_MICROBLEED_COLUMNS = {
    "participant_id": "Subject",
    "i": "Voxel, 0-based, closest canonical axes: grows to the patient's right",
    "j": "grows to anterior",
    "k": "Slice; grows to superior",
    "x_mm": "World position of the voxel's centre [mm]",
    "y_mm": "[mm]",
    "z_mm": "[mm]",
}

# the paper's protocols (section 2.1): in-plane and slice [mm]
_PROTOCOLS = {"HR": (0.5, 0.5, 2.0), "LR": (0.8, 0.8, 2.0)}
_LIKE_PROTOCOL = 0.1
"""A voxel's edges may be this much, relatively, off a protocol's and still be its."""


@dataclass(frozen=True)
class _Labels:
    """The labels of one subject as the reader wrote them."""

    file: Path
    rows: list[int]
    values: NDArray[np.int_]
    grids: Mapping[str, Grid]


# -- the authors' layout ----------------------------------------------------------------------------------------


def import_authors(
    folder: Path,
    out: Path,
    *,
    label_base: int = 1,
    label_axes: LabelAxes = "voxel",
    marks_on: str | None = None,
    resolution: str | None = None,
    keep_names: bool = False,
    unmarked: Unmarked = "patient",
    key: Path | None = None,
    on_progress: OnProgress,
    notes: list[str] | None = None,
    problems: Problems | None = None,
) -> Path:
    """Make a study from the layout in which the paper's authors gave away their data.

    A subject whose scans cannot be read does not keep the others out; labels that are not understood do.

    ``folder/Data`` holds SWI, phase and magnitude volumes of each subject, ``folder/Label`` one Excel file a subject,
    of the same name, with a microbleed a row: slice, x (column), y (row).

    Parameters
    ----------
    folder : Path
    out : Path
        The study, new or made by this step.
    label_base : {0, 1}
        What the labels call the first slice, column and row.
    label_axes : {"voxel", "array", "image"}
        What x and y count, see :func:`cmb_toolkit.io.marks.labels_to_canonical`.
    marks_on : {"magnitude", "phase", "swi"}, optional
        The volume whose voxels the labels count; needed where those of a subject are stored in different orders.
    resolution : str, optional
        Of all subjects; by default recognised from the voxel size.
    keep_names : bool
        Keep the files' names as identifiers, where they are letters and digits, instead of sub-001, sub-002, ...
    unmarked : {"patient", "read", "control"}
        What a subject without a mark is: a patient nobody has read, a patient who was read and has no microbleed, or a
        healthy control. A patient with a label file that holds no label was read.
    key : Path, optional
        Where to write which name became which identifier. It may name people: it belongs outside the study.
    on_progress : callable
    notes : list of str, optional
        Where to gather what a person should look at. It may name files, and is not kept.
    problems : Problems, optional
        Where to gather which scans could not be read, instead of raising it when the others are imported.

    Returns
    -------
    Path
        The study folder.

    Raises
    ------
    UsageError, MissingError, DataError
    """
    if label_base not in (0, 1) or label_axes not in LABEL_AXES or unmarked not in UNMARKED:
        raise UsageError(f"label_base {label_base}, label_axes {label_axes}, unmarked {unmarked}: unknown choice.")
    _check_marks_on(marks_on)
    if resolution is not None:
        RESOLUTION.check(resolution, "--resolution", UsageError)
    files = find_authors_files(folder)
    if files.unread:
        _beside_the_sheets(folder, files, unmarked, notes if notes is not None else [])
    names = list(files.volumes)
    identifiers = kept_names(names) if keep_names else numbered(names)
    scans = [path for kinds in files.volumes.values() for path in kinds.values()]
    study, record = _begin(
        out,
        {
            "layout": "authors",
            "label_base": label_base,
            "label_axes": label_axes,
            **({"marks_on": marks_on} if marks_on else {}),
            "resolution": resolution,
            "keep_names": keep_names,
            "unmarked": unmarked,
            "scans": _digest(out, scans),
            "labels": _sheets_digest(out, files.sheets.values()),
        },
        {},
    )
    if key is not None:
        if out.resolve() in key.resolve().parents:
            raise UsageError(f"--key {key}: lies in the study, which is to be free of names. Write it elsewhere.")
        rows = pd.DataFrame({"participant_id": identifiers.values(), "name": identifiers.keys()})
        write_text(key, tsv_text(rows))
    if _is_done(study, record):
        return out
    wrong, unreadable = Problems(), Problems()
    participants: list[dict[str, Any]] = []
    labelled: dict[str, _Labels] = {}
    on_progress(0, len(names), "")
    for done, (name, volumes) in enumerate(files.volumes.items(), 1):
        subject = identifiers[name]
        grids: dict[str, Grid] = {}
        with unreadable.of(subject):
            grids = read_grids(volumes)
        try:
            table = read_sheet(files.sheets[name]) if name in files.sheets else None
        except CmbError as error:
            wrong.add(error)
            continue
        on_progress(done, len(names), subject)
        if not grids:
            continue
        if table is not None and len(table):
            values = table[["slice", "x", "y"]].to_numpy(int)
            labelled[subject] = _Labels(files.sheets[name], table["row"].tolist(), values, grids)
        participants.append(
            {
                "participant_id": subject,
                "resolution": resolution or guess_resolution(common_grid(grids)[1]),
                "scanner": "unknown",
                "group": "control" if subject not in labelled and unmarked == "control" else "patient",
                **({"read": "yes"} if subject not in labelled and (unmarked == "read" or table is not None) else {}),
                **{kind: relative(out, path) for kind, path in volumes.items()},
            }
        )
    marks = _placed(labelled, label_base, label_axes, marks_on, wrong)
    if wrong.found:
        wrong.extend(unreadable)
        wrong.raise_if_any(_fitting(marks, list(labelled.values()), label_base, label_axes, marks_on))
    return _finish(study, record, participants, marks, scans, files.left_out, unreadable, problems)


_Placed: TypeAlias = dict[str, tuple[NDArray[np.int_], NDArray[np.float64]]]
"""Subject -> canonical voxels of his marks, and the affine of their grid."""


def _placed(labelled: Mapping[str, _Labels], base: int, axes: LabelAxes, on: str | None, wrong: Problems) -> _Placed:
    marks: _Placed = {}
    for subject, labels in labelled.items():
        shape, affine = common_grid(labels.grids)
        try:
            voxels = _canonical(labels, base, axes, on)
        except DataError as error:
            wrong.add(f"{labels.file}: {error}")
            continue
        for problem in mark_problems([f"{labels.file}: row {row}" for row in labels.rows], voxels, shape):
            wrong.add(problem)
        marks[subject] = (voxels, affine)
    return marks


def _beside_the_sheets(folder: Path, files: AuthorsFiles, unmarked: str, notes: list[str]) -> None:
    """Speak of files that may be labels and are not read.

    Raises
    ------
    DataError
        If for want of them somebody would become a control, or a patient in whom nothing was found.
    """
    listed = ", ".join(str(path.relative_to(folder)) for path in files.unread[:5]) + " ..." * (len(files.unread) > 5)
    what = f"{folder}: not read, though it may hold labels: {listed}. Labels are Excel files (.xlsx) in Label."
    if unmarked != "patient" and files.volumes.keys() - files.sheets.keys():
        raise DataError(
            f"{what} With --unmarked {unmarked}, subjects without such a file would count as without microbleeds. Save "
            "the labels so, move away what is none, or leave the option out."
        )
    notes.append(what)


def _canonical(labels: _Labels, base: int, axes: LabelAxes, on: str | None) -> NDArray[np.int_]:
    return place_marks(
        labels.grids,
        on,
        lambda grid: labels_to_canonical(labels.values, grid.shape, grid.affine, base=base, axes=axes),
    )


def _fitting(marks: _Placed, labelled: Sequence[_Labels], base: int, axes: LabelAxes, on: str | None) -> str:
    """Under which ways of counting every label of every subject would be inside its volume."""
    if len(marks) < len(labelled):
        return ""  # of some it is not even known which file they count on
    ways = [
        f"--label-base {b} --label-axes {a}"
        for b in (0, 1)
        for a in LABEL_AXES
        if all(inside(_canonical(x, b, a, on), common_grid(x.grids)[0]).all() for x in labelled)
    ]
    if not ways or f"--label-base {base} --label-axes {axes}" in ways:
        return ""
    return f"All labels would lie inside their volumes with {' or '.join(ways)}."


# -- a table of files -------------------------------------------------------------------------------------------


def import_table(
    table: Path,
    out: Path,
    *,
    marks: Path | None = None,
    label_base: int = 0,
    marks_on: str | None = None,
    unmarked: Unmarked = "patient",
    on_progress: OnProgress,
    problems: Problems | None = None,
    notes: list[str] | None = None,
) -> Path:
    """Make a study from a table of files.

    A subject whose scans cannot be read does not keep the others out; tables that are not right do.

    Parameters
    ----------
    table : Path
        TSV: participant_id, magnitude (or swi) and phase (or real and imaginary) and, where known, swi, mask,
        person_id, session_id, resolution, scanner, group, read, echo_time_ms, phase_sign, phase_range, echo,
        phase_volume, marks_on. Paths are relative to the table. Other columns are not taken over. A participant_id may
        stand on several lines if their session_id differs.
    out : Path
        The study, new or made by this step.
    marks : Path, optional
        TSV: participant_id, session_id where it is needed, and i, j, k (voxels along the file's own axes) or x_mm,
        y_mm, z_mm (world).
    label_base : {0, 1}
        What `marks` calls the first voxel along an axis.
    marks_on : {"magnitude", "phase", "swi", "real", "imaginary"}, optional
        The file whose voxels i, j, k count, where the table's column marks_on does not say; needed where the files of
        a subject are stored in different orders.
    unmarked : {"patient", "read", "control"}
        What a subject without a mark is, of whom the table has no group, or who is a patient and it does not say
        whether he was read: see :func:`import_authors`.
    on_progress : callable
    problems : Problems, optional
        Where to gather which scans could not be read, instead of raising it when the others are imported.
    notes : list of str, optional
        Where to gather what a person should look at.

    Returns
    -------
    Path
        The study folder.

    Raises
    ------
    UsageError, MissingError, DataError
    """
    if label_base not in (0, 1) or unmarked not in UNMARKED:
        raise UsageError(f"label base {label_base}, unmarked {unmarked}: expected 0 or 1, and {', '.join(UNMARKED)}.")
    _check_marks_on(marks_on)
    frame = read_tsv(table, ["participant_id"], any_case=_TABLE_COLUMNS)
    if frame.empty:
        raise DataError(f"{table}: holds no subject. Write one line per subject below the header.")
    rows = _table_rows(table, frame)
    points = read_marks(marks) if marks is not None else pd.DataFrame({"participant_id": []})
    subjects = [row["participant_id"] for row in rows]
    points["participant_id"] = name_marks(marks or table, points, subjects, table)
    _settle_unmarked(rows, set(points["participant_id"]), unmarked)
    if notes is not None:
        notes += [f"{table}: {hint}." for hint in same_person_hints(frame, subjects, PARTICIPANT_COLUMNS)]
    files = [on_disk(table.parent / str(row[kind])) for row in rows for kind in VOLUMES if kind in row]
    study, record = _begin(
        out,
        {
            "layout": "table",
            "label_base": label_base,
            **({"marks_on": marks_on} if marks_on else {}),
            **({"unmarked": unmarked} if unmarked != "patient" else {}),
            "scans": _digest(out, files),
        },
        {"table": table, **({"marks": marks} if marks is not None else {})},
    )
    if _is_done(study, record):
        return out
    wrong, unreadable = Problems(), Problems()
    participants: list[dict[str, Any]] = []
    placed: _Placed = {}
    on_progress(0, len(rows), "")
    for done, row in enumerate(rows, 1):
        subject = row["participant_id"]
        volumes = {kind: on_disk(table.parent / str(row[kind])) for kind in VOLUMES if kind in row}
        on = row.pop("marks_on", marks_on)
        mine = points[points["participant_id"] == subject]
        if len(mine) and row["group"] == "control":
            wrong.add(f"{table}: control {subject} has marks in {marks}. Make it a patient, or remove them.")
        with unreadable.of(subject):
            grids = read_grids(volumes)
            shape, affine = common_grid(grids)
            row.update({kind: relative(out, path) for kind, path in volumes.items()})
            row.setdefault("resolution", guess_resolution(affine))
            participants.append(row)
            if len(mine):
                where = [f"{marks}: line {line + 2}" for line in mine.index]
                try:
                    voxels = _points(mine, grids, label_base, on)
                except DataError as error:
                    wrong.add(f"{marks}: {subject}: {error}")
                    continue
                for problem in mark_problems(where, voxels, shape):
                    wrong.add(problem)
                if {"i", "x_mm"} <= set(mine.columns):
                    for problem in far_from_world(where, voxels, mine[["x_mm", "y_mm", "z_mm"]], affine):
                        wrong.add(problem)
                placed[subject] = (voxels, affine)
        on_progress(done, len(rows), subject)
    if wrong.found:
        wrong.extend(unreadable)
        wrong.raise_if_any()
    left_out = sorted(set(frame.columns) - set(_TABLE_COLUMNS))
    return _finish(study, record, participants, placed, files, left_out, unreadable, problems)


def _points(mine: pd.DataFrame, grids: Mapping[str, Grid], base: int, on: str | None) -> NDArray[np.int_]:
    """Canonical voxels of a subject's marks."""
    if "i" in mine.columns:
        counted = mine[["i", "j", "k"]].to_numpy(int) - base
        return place_marks(grids, on, lambda grid: voxels_to_canonical(counted, grid.shape, grid.affine))
    first = next(iter(grids.values()))
    return world_to_canonical(mine[["x_mm", "y_mm", "z_mm"]].to_numpy(float), first.shape, first.affine)


def _settle_unmarked(rows: Iterable[dict[str, Any]], marked: set[str], unmarked: Unmarked) -> None:
    """Fill in what subjects are of whom the table does not say."""
    for row in rows:
        alone = row["participant_id"] not in marked
        row.setdefault("group", "control" if alone and unmarked == "control" else "patient")
        if alone and unmarked == "read" and row["group"] == "patient":
            row.setdefault("read", "yes")


def _table_rows(table: Path, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The subjects of a table of files, each value checked; what is n/a is left out."""
    problems = Problems()
    rows: list[dict[str, Any]] = []
    seen: dict[str, int] = {}
    names = table_names(frame)
    for line, given in enumerate(frame.to_dict("records"), 2):
        row = {name: value for name in _TABLE_COLUMNS if not pd.isna(value := given.get(str(name)))}
        name = names[line - 2]
        identifier = safe_id(name) if "participant_id" in row else None
        if identifier is None:
            problems.add(
                f"{table}: line {line}: participant_id {shown(given['participant_id'])} is not letters and digits, "
                "with or without sub- before and a session, _ses- and more of them, after them. Identifiers stand in "
                "file names; do not use people's names."
            )
            continue
        if identifier.casefold() in seen:
            problems.add(
                f"{table}: {identifier} stands in line {seen[identifier.casefold()]} and {line}. Keep one line each; "
                "scans of one person need names of their own (sub-01_ses-1, a column session_id, or one person_id)."
            )
        seen[identifier.casefold()] = line
        row["participant_id"] = identifier
        row.setdefault("scanner", "unknown")
        for column, expected in _expected(row):
            problems.add(f"{table}: line {line}: {column} is {shown(row.get(column, 'n/a'))}; expected {expected}.")
        rows.append(row)
    problems.raise_if_any()
    for _, problem in wrong_persons(pd.DataFrame(rows)):
        problems.add(f"{table}: {problem}")
    problems.raise_if_any()
    return rows


def _expected(row: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Columns of a row that hold something impossible, and what they should."""
    yield from _expected_files(row)
    if row.get("group", "patient") not in ("patient", "control"):
        yield "group", "patient or control"
    for column, grammar in (("resolution", RESOLUTION), ("scanner", SCANNER)):
        if column in row and not grammar.fits(row[column]):
            yield column, grammar.expected
    if "marks_on" in row and row["marks_on"] not in MARKS_ON:
        yield "marks_on", f"{', '.join(MARKS_ON)} or n/a"
    if "phase_sign" in row and as_number(row["phase_sign"]) not in (1, -1):
        yield "phase_sign", "1 or -1 or n/a"
    if "phase_range" in row and row["phase_range"] != "radians" and not as_number(row["phase_range"]) > 0:
        yield "phase_range", "radians, or the file's units of one full cycle, or n/a"
    if "echo_time_ms" in row and not 0 < as_number(row["echo_time_ms"]) <= _LONGEST_ECHO_MS:
        yield "echo_time_ms", f"a time in milliseconds, {_LONGEST_ECHO_MS} at most, or n/a"
    for column in ("echo", "phase_volume"):
        if column in row and not (as_number(row[column]) >= 1 and as_number(row[column]).is_integer()):
            yield column, "the number of a volume, counted from 1, or n/a"


def _expected_files(row: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Magnitude (or SWI) and phase, or the two parts of complex values."""
    path = "the path of a NIfTI file, relative to the table"
    if "real" in row or "imaginary" in row:
        for column in ("real", "imaginary"):
            if column not in row:
                yield column, f"{path}: a real and an imaginary part go together"
        for column in ("magnitude", "phase"):
            if column in row:
                yield column, "n/a where there are a real and an imaginary part"
        return
    if "phase" not in row:
        yield "phase", path
    if "magnitude" not in row and "swi" not in row:
        yield "magnitude", f"{path} (only where there is an swi it may lack)"


# -- what both share --------------------------------------------------------------------------------------------


def guess_resolution(affine: ArrayLike) -> str:
    """Name of the paper's protocol with these voxels: HR (0.5 x 0.5 x 2 mm), LR (0.8 x 0.8 x 2 mm), or ``other``."""
    edges = np.sort(np.linalg.norm(np.asarray(affine, dtype=float)[:3, :3], axis=0))
    for name, protocol in _PROTOCOLS.items():
        if np.allclose(edges, protocol, rtol=_LIKE_PROTOCOL, atol=0):
            return name
    return "other"


def _check_marks_on(marks_on: str | None) -> None:
    if marks_on not in (None, *MARKS_ON):
        raise UsageError(f"--marks-on {marks_on}: expected one of {', '.join(MARKS_ON)}.")


def _begin(
    out: Path,
    parameters: Mapping[str, Any],
    sources: Mapping[str, Path],
) -> tuple[Study, Record]:
    """Open or create the study, and refuse one whose tables this step did not write.

    Raises
    ------
    UsageError
    """
    study = Study.create(out, name=out.absolute().name)
    record = Record("import", parameters, sources, revision=REVISION)
    _check_edited(study, record)
    return study, record


def _check_edited(study: Study, record: Record, *, replace: bool = False) -> None:
    """Refuse tables of another step; and those that were edited, if they are of another import or to be replaced.

    Raises
    ------
    UsageError
    """
    for table in (study.participants, study.microbleeds):
        if not table.exists():
            continue
        old = read_record(table)
        if old is None or old["step"] != "import":
            who = "by hand" if old is None else f"by `cmbtk {old['step']}`"
            raise UsageError(f"{table}: was made {who}. Import into a new folder, or move this table away first.")
        if (replace or not record.is_current(table)) and old.get("content") != sha256(table):
            raise UsageError(
                f"{table}: was changed since it was imported, and importing other data would lose the changes. "
                "Import into a new folder, or move this table away first."
            )


def _is_done(study: Study, record: Record) -> bool:
    """Whether all subjects were imported; those whose scans could not be read are tried again."""
    return _is_current(study, record) and not (read_record(study.participants) or {}).get("failed")


def _is_current(study: Study, record: Record) -> bool:
    return all(record.is_current(table) for table in (study.participants, study.microbleeds))


def _finish(
    study: Study,
    record: Record,
    participants: Sequence[Mapping[str, Any]],
    marks: _Placed,
    scans: Iterable[Path],
    left_out: int | Sequence[str],
    unreadable: Problems,
    problems: Problems | None,
) -> Path:
    """Write the study of those whose scans could be read, and hand on or raise what is wrong with the others'.

    Raises
    ------
    UsageError
        If tables that were edited would have to be replaced.
    MissingError, DataError
        If scans could not be read.
    """
    if not participants:
        unreadable.raise_if_any()
    failed = sorted(set(unreadable.subjects))
    old = read_record(study.participants) or {}
    if not (_is_current(study, record) and old.get("failed", []) == failed):
        _check_edited(study, record, replace=True)
        _write(study, record, participants, marks, scans, {"left_out": left_out, "failed": failed})
    if problems is None:
        unreadable.raise_if_any()
    else:
        problems.extend(unreadable)
    return study.root


def _write(
    study: Study,
    record: Record,
    participants: Sequence[Mapping[str, Any]],
    marks: _Placed,
    scans: Iterable[Path],
    noted: Mapping[str, Any],
) -> None:
    subjects = pd.DataFrame(participants, columns=list(PARTICIPANT_COLUMNS))
    if subjects["person_id"].notna().any() or any(split_session(row["participant_id"])[1] for row in participants):
        subjects = with_persons(subjects)
    optional = [*_SELDOM]
    if not unread(subjects, marks):
        optional.append("read")
    subjects = subjects.drop(columns=[column for column in optional if subjects[column].isna().all()])
    points: list[dict[str, Any]] = []
    for subject, (voxels, affine) in marks.items():
        for voxel in voxels.tolist():
            world = (affine[:3, :3] @ voxel + affine[:3, 3]).round(4).tolist()
            points.append(dict(zip(_MICROBLEED_COLUMNS, (subject, *voxel, *world), strict=True)))
    microbleeds = pd.DataFrame(points, columns=list(_MICROBLEED_COLUMNS))
    description = {
        "Name": study.name,
        "BIDSVersion": "1.9.0",
        "DatasetType": "raw",
        "GeneratedBy": [{"Name": "cmb_toolkit", "Version": __version__, "Description": "cmbtk import"}],
    }
    write_text(study.description, json.dumps(description, indent=2) + "\n")
    # the participants come last: a study that has them is whole
    for table, frame, columns in (
        (study.microbleeds, microbleeds, _MICROBLEED_COLUMNS),
        (study.participants, subjects, PARTICIPANT_COLUMNS),
    ):
        text = tsv_text(frame)
        content = hashlib.sha256(text.encode()).hexdigest()
        with publish(table, record) as out:
            out.note(**noted, columns=columns, content=content)
            if frame is subjects:
                out.note(places=places(study.root, scans, content))
            out.write_text(text, "utf-8", newline="\n")


def _digest(out: Path, files: Iterable[Path]) -> str:
    """What tells one set of scans from another without reading or naming them: places, sizes and times."""
    digest = hashlib.sha256()
    for path in files:
        facts = (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else ()
        digest.update(f"{relative(out, path)} {facts}\n".encode())
    return digest.hexdigest()


def _sheets_digest(out: Path, files: Iterable[Path]) -> str:
    """Label files by content; their names may be people's and stay out of the record."""
    return hashlib.sha256("".join(f"{relative(out, path)} {sha256(path)}\n" for path in files).encode()).hexdigest()
