"""`cmbtk import`: a study from scans and marks that somebody has, of one of the sources of :mod:`cmb_toolkit.sources`.

Scans stay where they are and are only named, relative to the study; nothing of them is read but their headers. Marks
are turned into voxels on the canonical axes here, once, so that no later step knows how a reader counted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from .. import __version__
from ..errors import Problems, UsageError
from ..io.nifti import Grid
from ..io.publish import Record, publish, read_record, sha256, write_text
from ..io.tables import tsv_text
from ..model import OnProgress
from ..names import split_session
from ..schema import MICROBLEEDS, PARTICIPANTS
from ..sources.base import Found, Scan, Source
from ..sources.names import guess_resolution
from ..sources.placing import Placed, placed
from ..study.layout import Study
from ..study.persons import unread, with_persons
from ..study.place_marks import common_grid, read_grids
from ..study.places import places, relative

__all__ = ["import_"]

REVISION = 1

_SELDOM = ("person_id", "session_id", "real", "imaginary", "echo", "phase_volume")
"""Columns that are left out of the table where they would be empty."""


def import_(
    source: Source,
    place: Path,
    out: Path,
    *,
    on_progress: OnProgress,
    notes: list[str] | None = None,
    problems: Problems | None = None,
) -> Path:
    """Make a study from scans and marks.

    A subject whose scans cannot be read does not keep the others out; marks and tables that are not understood do.

    Parameters
    ----------
    source : Source
        For example ``Table(marks=(Path("marks.tsv"),))``, see :data:`cmb_toolkit.sources.registry.SOURCES`.
    place : Path
        The folder or the table that it looks at.
    out : Path
        The study, new or made by this step.
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
    found = source.find(place, out)
    if notes is not None:
        notes += found.notes
    study, record = _begin(out, source, found)
    if found.key is not None:
        _write_key(out, found.key, found.names)
    if _is_done(study, record):
        return out
    unreadable = Problems()
    grids: dict[str, dict[str, Grid]] = {}
    on_progress(0, len(found.scans), "")
    for done, scan in enumerate(found.scans, 1):
        with unreadable.of(scan.subject):
            grids[scan.subject] = read_grids(scan.volumes)
        on_progress(done, len(found.scans), scan.subject)
    marks = placed(found, grids, unreadable)
    participants = [_row(out, scan, grids[scan.subject]) for scan in found.scans if scan.subject in grids]
    _finish(study, record, participants, marks, found, unreadable)
    if problems is None:
        unreadable.raise_if_any()
    else:
        problems.extend(unreadable)
    return out


def _row(out: Path, scan: Scan, grids: Mapping[str, Grid]) -> dict[str, Any]:
    """Its line in the table of participants."""
    row = {"participant_id": scan.subject, "scanner": "unknown", "group": "patient", **scan.facts}
    row.setdefault("resolution", guess_resolution(common_grid(grids)[1]))
    return row | {kind: relative(out, path) for kind, path in scan.volumes.items()}


def _files(found: Found) -> list[Path]:
    return [path for scan in found.scans for path in scan.volumes.values()]


def _write_key(out: Path, key: Path, names: Mapping[str, str]) -> None:
    """Write down who was called what.

    Raises
    ------
    UsageError
        If it would lie in the study.
    """
    if out.resolve() in key.resolve().parents:
        raise UsageError(f"--key {key}: lies in the study, which is to be free of names. Write it elsewhere.")
    write_text(key, tsv_text(pd.DataFrame({"participant_id": names.keys(), "name": names.values()})))


def _begin(out: Path, source: Source, found: Found) -> tuple[Study, Record]:
    """Open or create the study, and refuse one whose tables this step did not write.

    Raises
    ------
    UsageError
    """
    study = Study.create(out, name=out.absolute().name)
    parameters = {"layout": source.name, **source.parameters(), "scans": _digest(out, _files(found))}
    if found.labels is not None:
        parameters["labels"] = _sheets_digest(out, found.labels)
    record = Record("import", parameters, found.tables, revision=REVISION)
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
    marks: Mapping[str, Placed],
    found: Found,
    unreadable: Problems,
) -> None:
    """Write the study of those whose scans could be read.

    Raises
    ------
    UsageError
        If tables that were edited would have to be replaced.
    MissingError, DataError
        If the scans of nobody could be read.
    """
    if not participants:
        unreadable.raise_if_any()
    failed = sorted(set(unreadable.subjects))
    old = read_record(study.participants) or {}
    if _is_current(study, record) and old.get("failed", []) == failed:
        return
    _check_edited(study, record, replace=True)
    noted = {"left_out": found.left_out, "failed": failed}
    _write(study, record, _subjects(participants, marks), _microbleeds(marks), _files(found), noted)


def _subjects(participants: Sequence[Mapping[str, Any]], marks: Mapping[str, Placed]) -> pd.DataFrame:
    """The table of participants, without columns that are seldom there and would be empty."""
    subjects = pd.DataFrame(participants, columns=PARTICIPANTS.names)
    if subjects["person_id"].notna().any() or any(split_session(row["participant_id"])[1] for row in participants):
        subjects = with_persons(subjects)
    optional = [*_SELDOM]
    if not unread(subjects, marks):
        optional.append("read")
    return subjects.drop(columns=[column for column in optional if subjects[column].isna().all()])


def _microbleeds(marks: Mapping[str, Placed]) -> pd.DataFrame:
    points: list[dict[str, Any]] = []
    for subject, (voxels, affine) in marks.items():
        for voxel in voxels.tolist():
            world = (affine[:3, :3] @ voxel + affine[:3, 3]).round(4).tolist()
            points.append(dict(zip(MICROBLEEDS.names, (subject, *voxel, *world), strict=True)))
    return pd.DataFrame(points, columns=MICROBLEEDS.names)


def _write(
    study: Study,
    record: Record,
    subjects: pd.DataFrame,
    microbleeds: pd.DataFrame,
    scans: Iterable[Path],
    noted: Mapping[str, Any],
) -> None:
    description = {
        "Name": study.name,
        "BIDSVersion": "1.9.0",
        "DatasetType": "raw",
        "GeneratedBy": [{"Name": "cmb_toolkit", "Version": __version__, "Description": "cmbtk import"}],
    }
    write_text(study.description, json.dumps(description, indent=2) + "\n")
    # the participants come last: a study that has them is whole
    for table, frame, declared in (
        (study.microbleeds, microbleeds, MICROBLEEDS),
        (study.participants, subjects, PARTICIPANTS),
    ):
        text = tsv_text(frame)
        content = hashlib.sha256(text.encode()).hexdigest()
        with publish(table, record) as out:
            out.note(**noted, columns=declared.described(), content=content)
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
