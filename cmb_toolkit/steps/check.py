"""`cmbtk check`: everything about a study, or about one scan, that would make a later step fail or mislead it.

Nothing is written. Problems are gathered, not raised, so that one run shows all of them. Of headers only geometry and
numbers are reported: descriptions may hold names and dates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from nibabel.affines import obliquity
from nibabel.orientations import aff2axcodes
from numpy.typing import NDArray

from ..errors import CmbError, DataError, MissingError
from ..evaluation.folds import SCANNER_FOLD
from ..imaging.darkness import on_dark_spots
from ..imaging.phase import phase_scale
from ..io.layout import Study
from ..io.marks import inside
from ..io.nifti import Volume, check_same_grid, read_grid, read_mask, read_volume
from ..io.tables import read_tsv
from ..model import OnProgress
from .cohort import read_fold, read_microbleeds, read_participants
from .import_ import is_resolution_name, safe_id
from .parallel import for_each
from .scan import Scan, complex_parts, scan_of

__all__ = ["Problem", "Report", "ScanFacts", "check_scan", "check_study", "facts_table"]

_DARK_SHARE = 0.7
"""Fewer marks than this on dark spots are suspicious; simulated truth reaches 0.95 to 1, wrong axes 0.1 to 0.5."""

_FEW_MARKS = 8
_OBLIQUE_DEG = 25.0
_VOXELS_ALIKE = 0.05
_NEAR_VOXEL = 0.75
"""How far [voxel] a mark's world position may be from its voxel's centre."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes
    ----------
    severity : {"error", "warning"}
        An error stops a later step or makes its result wrong; a warning is for a person to judge.
    subject : str
        Empty if it concerns no one subject.
    message : str
        File, what was found, what to do.
    missing : bool
        The problem is a file that is not there.
    """

    severity: Literal["error", "warning"]
    subject: str
    message: str
    missing: bool = False


@dataclass(frozen=True)
class ScanFacts:
    """What was found in the files of one scan; empty where none could be read.

    Attributes
    ----------
    name : str
    file : str
        The volume that the next four are taken from.
    shape : tuple of int
        Voxels along the canonical axes.
    affine : tuple of tuple of float
        From canonical voxel indices to world coordinates [mm].
    voxel_mm : tuple of float
        Edges of a voxel.
    axes : str
        Directions of the file's own axes, for example ``LPS``.
    phase_unit : str
    marks, dark_marks : int
        Marks inside the volume, and those of them on dark spots.
    digest : str
        Tells equal magnitudes of different subjects.
    problems : tuple of Problem
    """

    name: str
    file: str = ""
    shape: tuple[int, ...] = ()
    affine: tuple[tuple[float, ...], ...] = ()
    voxel_mm: tuple[float, ...] = ()
    axes: str = ""
    phase_unit: str = ""
    marks: int = 0
    dark_marks: int = 0
    digest: str = ""
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Report:
    """What a check found.

    Attributes
    ----------
    scans : tuple of ScanFacts
    problems : tuple of Problem
        Of the study and of all scans.
    participants : DataFrame or None
        The study's subjects; None for one scan.
    """

    scans: tuple[ScanFacts, ...]
    problems: tuple[Problem, ...]
    participants: pd.DataFrame | None = None

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def exit_code(self) -> int:
        """0, 3 where only files are missing, 5 where anything else is wrong."""
        if not self.errors:
            return 0
        return MissingError.exit_code if all(p.missing for p in self.errors) else DataError.exit_code


@dataclass(frozen=True)
class _Task:
    scan: Scan
    marks: NDArray[np.int_]


def check_scan(
    scan: Scan, *, echo: int | None = None, phase_volume: int | None = None, on_progress: OnProgress
) -> Report:
    """Check the files of one scan, without a study.

    Parameters
    ----------
    scan : Scan
    echo : int, optional
        Which volume of 4-D files, from 1.
    phase_volume : int, optional
        The same for the phase alone; by default `echo`.
    """
    on_progress(0, 1, scan.name)
    facts = _check_files(_Task(scan, np.empty((0, 3), int)), echo, phase_volume)
    on_progress(1, 1, scan.name)
    return Report((facts,), facts.problems)


def check_study(
    folder: Path,
    *,
    echo: int | None = None,
    phase_volume: int | None = None,
    phase_range: str | float | None = None,
    jobs: int = 1,
    on_progress: OnProgress,
) -> Report:
    """Check a study: its tables, its folds, and every file of every subject.

    Parameters
    ----------
    folder : Path
    echo : int, optional
        Which volume of 4-D files, from 1.
    phase_volume : int, optional
        The same for the phase alone; by default `echo`.
    phase_range : ``"radians"`` or float, optional
        Unit of all phases; by default what participants.tsv says, or recognised.
    jobs : int
        Worker processes.

    Raises
    ------
    MissingError, DataError
        If there is no study, or its table of participants cannot be read.
    """
    study = Study.open(folder)
    participants = read_participants(study)
    problems = list(_check_participants(study, participants))
    marks, mark_problems = _read_marks(study, participants)
    problems += mark_problems
    tasks = []
    for name, row in participants.iterrows():
        try:
            scan = scan_of(study, row)
        except DataError as error:
            problems.append(_error(error, str(name)))
            continue
        mine = marks.loc[marks["participant_id"] == name, ["i", "j", "k"]].to_numpy(int)
        if phase_range is not None:
            scan = replace(scan, phase_range=phase_range)
        tasks.append(_Task(scan, mine))
    look = partial(_check_files, echo=echo, phase_volume=phase_volume)
    scans = for_each(look, tasks, jobs=jobs, on_progress=on_progress, label=_name_of)
    for scan_facts in scans:
        problems += scan_facts.problems
    problems += _check_positions(study, marks, scans)
    problems += _check_together(participants, scans)
    problems += _check_folds(study, participants)
    return Report(tuple(scans), tuple(problems), participants)


def _name_of(task: _Task) -> str:
    return task.scan.name


def _error(error: CmbError | str, subject: str = "") -> Problem:
    return Problem("error", subject, str(error), isinstance(error, MissingError))


def _warning(message: str, subject: str = "") -> Problem:
    return Problem("warning", subject, message)


# -- tables -----------------------------------------------------------------------------------------------------


def _check_participants(study: Study, participants: pd.DataFrame) -> Iterator[Problem]:
    where = study.participants
    for name in participants.index[participants.index.isna()]:
        yield _error(f"{where}: a line has no participant_id ({name}). Fill it in or remove the line.")
    names = [str(name) for name in participants.index if not pd.isna(name)]
    for name in names:
        if safe_id(name) != name:
            yield _error(
                f"{where}: {name!r} is no identifier; expected sub- and letters or digits, as it stands in file names. "
                "Rename the subject in every table.",
                name,
            )
    folded = pd.Series([name.casefold() for name in names])
    for name in folded[folded.duplicated()].unique():
        alike = ", ".join(other for other in names if other.casefold() == name)
        yield _error(f"{where}: {alike} differ only in capitals and would share files. Rename one.", alike)
    for name, row in participants.iterrows():
        if row["group"] not in ("patient", "control"):
            yield _error(f"{where}: group of {name} is {row['group']!r}; expected patient or control.", str(name))
        if not is_resolution_name(str(row["resolution"])) or pd.isna(row["resolution"]):
            yield _error(
                f"{where}: resolution of {name} is {row['resolution']!r}; expected letters, digits, + and - (it names "
                "folders).",
                str(name),
            )


def _read_marks(study: Study, participants: pd.DataFrame) -> tuple[pd.DataFrame, list[Problem]]:
    """The marks that can be looked for in the volumes, and what is wrong with the table."""
    none = pd.DataFrame({"participant_id": pd.Series(dtype=str), "i": [], "j": [], "k": []})
    try:
        marks = read_microbleeds(study)
    except CmbError as error:
        return none, [_error(error)]
    where, problems = study.microbleeds, []
    numbers = marks[["i", "j", "k"]].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    whole = np.isfinite(numbers).all(axis=1) & (numbers == np.floor(numbers)).all(axis=1)
    for line in np.flatnonzero(~whole):
        content = ", ".join(str(marks.iloc[line][axis]) for axis in "ijk")
        problems.append(
            _error(
                f"{where}: line {line + 2}: ({content}) is no voxel; expected three whole numbers i, j, k. Correct it.",
                str(marks.iloc[line]["participant_id"]),
            )
        )
    marks[["i", "j", "k"]] = numbers
    marks = marks[whole]
    known = set(participants.index)
    for name, lines in marks[~marks["participant_id"].isin(known)].groupby("participant_id", dropna=False):
        problems.append(
            _error(
                f"{where}: line {', '.join(str(n + 2) for n in lines.index)}: marks of {name}, who is not in "
                f"{study.participants.name}. Add the subject or remove the marks.",
                str(name),
            )
        )
    marks = marks[marks["participant_id"].isin(known)]
    twice = marks[marks.duplicated(["participant_id", "i", "j", "k"])]
    for line, row in twice.iterrows():
        problems.append(
            _error(
                f"{where}: line {int(str(line)) + 2}: {row['participant_id']} is marked at ({row['i']:g}, "
                f"{row['j']:g}, {row['k']:g}) a second time. A microbleed is marked once; remove the line.",
                str(row["participant_id"]),
            )
        )
    groups = participants["group"]
    for name in groups.index[groups == "control"].intersection(marks["participant_id"]):
        problems.append(
            _error(
                f"{where}: control {name} has marks. Make it a patient in {study.participants.name}, or remove them.",
                str(name),
            )
        )
    unmarked = groups.index[groups == "patient"].difference(marks["participant_id"])
    if len(unmarked):
        problems.append(
            _warning(
                f"{where}: {len(unmarked)} of {(groups == 'patient').sum()} patients have no mark "
                f"({_some(list(unmarked))}). If they are healthy, make them controls."
            )
        )
    return marks, problems


def _check_folds(study: Study, participants: pd.DataFrame) -> Iterator[Problem]:
    if not study.folds.exists():
        return
    try:
        table = read_tsv(study.folds, ["fold", "participant_id", "role"])
    except CmbError as error:
        yield _error(error)
        return
    again = "Run `cmbtk split` again."
    for name in dict.fromkeys(table["fold"].astype(str)):
        try:
            read_fold(study, name)
        except DataError as error:
            yield _error(f"{study.folds}: {error}" if str(study.folds) not in str(error) else error)
    strangers = sorted(set(table["participant_id"].dropna()) - set(participants.index))
    if strangers:
        yield _error(
            f"{study.folds}: {_some(strangers)} not in {study.participants.name}. {again}",
        )
    for fold, rows in table.groupby("fold"):
        lacking = sorted(set(participants.index.dropna()) - set(rows["participant_id"]))
        if lacking:
            yield _error(f"{study.folds}: {_some(lacking)} not in fold {fold}. {again}")
        groups = participants["group"].reindex(rows["participant_id"]).to_numpy()
        wrong = rows[(groups == "control") != (rows["role"] == "control")]
        wrong = wrong[wrong["participant_id"].isin(participants.index)]
        if len(wrong):
            yield _error(
                f"{study.folds}: {_some(list(wrong['participant_id']))} in fold {fold}: role control and group control "
                f"of {study.participants.name} must go together. {again}"
            )
    crossed = table[~table["fold"].astype(str).str.startswith(SCANNER_FOLD)]
    tests = crossed[crossed["role"] == "test"]["participant_id"].value_counts()
    patients = [str(name) for name in participants.index[participants["group"] == "patient"]]
    odd = sorted(name for name in patients if tests.get(name, 0) > 1)
    if odd:
        yield _error(f"{study.folds}: {_some(odd)} tested in more than one fold. {again}")
    untested = sorted(name for name in set(patients) & set(crossed["participant_id"]) if name not in tests)
    if untested:
        yield _warning(f"{study.folds}: {_some(untested)} tested in no fold. {again}")


def _some(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(map(str, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")


# -- files ------------------------------------------------------------------------------------------------------


def _check_files(task: _Task, echo: int | None, phase_volume: int | None) -> ScanFacts:
    """Everything about the files of one scan."""
    scan = task.scan
    problems: list[Problem] = []
    volumes: dict[str, Volume] = {}
    for role in ("magnitude", "phase", "real", "imaginary", "swi"):
        path = scan.files.get(role)
        if path is None:
            continue
        try:
            which = phase_volume if role == "phase" and phase_volume is not None else echo
            volumes[role] = _read(path, role, which, scan.name, problems)
        except CmbError as error:
            problems.append(_error(error, scan.name))
            continue
        problems += [_warning(f"{path}: {note}.", scan.name) for note in volumes[role].notes]
    facts = ScanFacts(scan.name)
    if not volumes:
        return replace(facts, problems=tuple(problems))
    first = next(iter(volumes.values()))
    for other in list(volumes.values())[1:]:
        try:
            check_same_grid(first, other)
        except DataError as error:
            problems.append(_error(error, scan.name))
    volumes |= _of_parts(volumes, scan, problems)
    problems += _check_content(scan, volumes)
    problems += _check_geometry(scan, first)
    unit = _phase_unit(scan, volumes, problems)
    mask = None
    if scan.mask is not None:
        try:
            mask = read_mask(scan.mask, first)
        except CmbError as error:
            problems.append(_error(error, scan.name))
    fits = inside(task.marks, first.shape)
    marks = task.marks[fits]
    if mask is not None and len(marks) and not mask[tuple(marks.T)].all():
        out = [f"({', '.join(map(str, mark))})" for mark in marks[~mask[tuple(marks.T)]].tolist()]
        problems.append(
            _warning(
                f"{scan.mask}: marks of {scan.name} at {_some(out)} lie outside the brain mask. Correct the mask, or "
                "the marks.",
                scan.name,
            )
        )
    structure = volumes.get("swi", volumes.get("magnitude"))
    dark = on_dark_spots(structure.data, marks, structure.zooms) if structure is not None else np.zeros(0, bool)
    return ScanFacts(
        scan.name,
        first.path.name,
        first.shape,
        tuple(map(tuple, first.affine.tolist())),
        tuple(round(zoom, 3) for zoom in first.zooms),
        "".join(str(code) for code in aff2axcodes(first.file_affine)),
        unit,
        len(marks),
        int(dark.sum()),
        hashlib.sha256(first.data.tobytes()).hexdigest(),
        tuple(problems),
    )


def _read(path: Path, role: str, echo: int | None, subject: str, problems: list[Problem]) -> Volume:
    """A volume; of a file with several, without being told which, the first, so that the rest is checked as well."""
    part: Literal["magnitude", "phase"] | None = (
        "phase" if role == "phase" else "magnitude" if role == "magnitude" else None
    )
    count = read_grid(path).volumes
    own_echo = echo if role != "swi" else None
    if count > 1 and own_echo is None:
        try:
            return read_volume(path, part=part)
        except DataError as error:
            problems.append(_error(error, subject))
        return read_volume(path, echo=1, part=part)
    return read_volume(path, echo=own_echo, part=part)


def _of_parts(volumes: Mapping[str, Volume], scan: Scan, problems: list[Problem]) -> dict[str, Volume]:
    """Magnitude and phase where a scan has a real and an imaginary part."""
    if not {"real", "imaginary"} <= volumes.keys():
        return {}
    try:
        magnitude, phase = complex_parts(volumes["real"], volumes["imaginary"])
    except DataError as error:
        if str(error) not in {problem.message for problem in problems}:  # that grids differ was said already
            problems.append(_error(error, scan.name))
        return {}
    return {"magnitude": magnitude, "phase": phase}


def _phase_unit(scan: Scan, volumes: Mapping[str, Volume], problems: list[Problem]) -> str:
    if "phase" not in volumes:
        return ""
    phase = volumes["phase"]
    if phase.complex:
        return "radians, of complex values"
    try:
        scale = phase_scale(phase.data if phase.invalid is None else phase.data[~phase.invalid], scan.phase_range)
    except DataError as error:
        problems.append(_error(f"{scan.phase}: {error}", scan.name))
        return ""
    problems += [_warning(f"{scan.phase}: {warning}.", scan.name) for warning in scale.warnings]
    return scale.unit


def _check_content(scan: Scan, volumes: dict[str, Volume]) -> Iterator[Problem]:
    for role in ("magnitude", "swi"):
        if role in volumes and float(volumes[role].data.min()) < 0:
            yield _warning(
                f"{volumes[role].path}: holds negative values, which a {role} has not. Is it the phase?", scan.name
            )
    roles = list(volumes)
    for n, one in enumerate(roles):
        for other in roles[n + 1 :]:
            if np.array_equal(volumes[one].data, volumes[other].data):
                yield _error(
                    f"{volumes[one].path} and {volumes[other].path}: {one} and {other} hold the same values. Give the "
                    f"right file for one of them.",
                    scan.name,
                )


def _check_geometry(scan: Scan, volume: Volume) -> Iterator[Problem]:
    angle = float(np.degrees(np.max(obliquity(volume.affine))))
    if angle > _OBLIQUE_DEG:
        yield _warning(
            f"{volume.path}: its slices are tilted by {angle:.0f} degrees; the method was made for axial slices.",
            scan.name,
        )
    if volume.shape[2] < 3:
        yield _warning(
            f"{volume.path}: holds {volume.shape[2]} slices only; neighbouring slices and patches are padded.",
            scan.name,
        )


# -- all scans together -----------------------------------------------------------------------------------------


def _check_positions(study: Study, marks: pd.DataFrame, scans: Sequence[ScanFacts]) -> Iterator[Problem]:
    """Marks outside their volumes, world positions that are not the voxels', marks that are not dark."""
    for facts in scans:
        mine = marks[marks["participant_id"] == facts.name]
        if not facts.shape or mine.empty:
            continue
        back = np.linalg.inv(np.array(facts.affine))
        voxels = mine[["i", "j", "k"]].to_numpy(float)
        world = mine[["x_mm", "y_mm", "z_mm"]].apply(pd.to_numeric, errors="coerce").to_numpy(float)
        away = world @ back[:3, :3].T + back[:3, 3] - voxels
        for line, voxel, fits, distance in zip(
            mine.index, voxels, inside(voxels, facts.shape), np.abs(away).max(axis=1), strict=True
        ):
            at = f"({', '.join(f'{x:g}' for x in voxel)})"
            if not fits:
                yield _error(
                    f"{study.microbleeds}: line {line + 2}: mark {at} is outside the volume of {facts.name}, "
                    f"{_times(facts.shape)} (i, j, k from 0, canonical axes). Correct it, or import with another "
                    "--label-base or --label-axes.",
                    facts.name,
                )
            elif distance > _NEAR_VOXEL:
                yield _error(
                    f"{study.microbleeds}: line {line + 2}: voxel {at} and its world position are {distance:.1f} "
                    f"voxels apart on the grid of {facts.file}. Was the scan reoriented or resampled since? "
                    "Import again.",
                    facts.name,
                )
    yield from _check_darkness(study, scans)


def _check_darkness(study: Study, scans: Sequence[ScanFacts]) -> Iterator[Problem]:
    """Too few marks on dark spots, of all subjects or of those whose files store their axes alike.

    A wrong idea of how labels count can be right for one order of axes and wrong for another.
    """
    alike = {axes: [scan for scan in scans if scan.axes == axes] for axes in sorted({scan.axes for scan in scans})}
    for who, group in [
        ("", list(scans)),
        *((f" of the files with axes {axes}", group) for axes, group in alike.items()),
    ]:
        total, dark = sum(scan.marks for scan in group), sum(scan.dark_marks for scan in group)
        if total >= _FEW_MARKS and dark < _DARK_SHARE * total:
            yield _warning(
                f"{study.microbleeds}: only {dark} of {total} marks{who} lie on spots darker than their surroundings. "
                "The labels may count otherwise than was said: look at some, and try other --label-axes and "
                "--label-base in `cmbtk import`."
            )
            if not who:
                return


def _check_together(participants: pd.DataFrame, scans: Sequence[ScanFacts]) -> Iterator[Problem]:
    """Voxel sizes within a resolution, and scans that stand for several subjects."""
    facts = pd.DataFrame([(s.name, s.digest) for s in scans if s.digest], columns=["name", "digest"])
    for _, rows in facts.groupby("digest"):
        if len(rows) > 1:
            yield _error(
                f"{_some(list(rows['name']))} are the same scan, voxel by voxel. One person in two folds would be "
                "trained and tested on; keep one.",
                _some(list(rows["name"])),
            )
    voxels: dict[str, list[tuple[str, tuple[float, ...]]]] = {}
    for scan in scans:
        if scan.voxel_mm:
            voxels.setdefault(str(participants.loc[scan.name, "resolution"]), []).append((scan.name, scan.voxel_mm))
    for resolution, found in voxels.items():
        usual = np.median([size for _, size in found], axis=0)
        odd = [name for name, size in found if not np.allclose(size, usual, rtol=_VOXELS_ALIKE, atol=0)]
        if odd:
            yield _warning(
                f"resolution {resolution}: {_some(odd)} have other voxels than the usual "
                f"{_times(usual)} mm. Subjects of one resolution share a detector: give these a "
                "resolution of their own."
            )


def facts_table(report: Report) -> list[dict[str, Any]]:
    """One row a subject for showing: what it is, what was found, how many problems."""
    rows = []
    names = [scan.name for scan in report.scans]
    lines = list(report.participants.index) if report.participants is not None else names
    facts = {scan.name: scan for scan in report.scans}
    for name in lines:
        scan = facts.get(name, ScanFacts(str(name)))
        mine = [problem.severity for problem in report.problems if problem.subject == name]
        person: Mapping[Any, Any] = {} if report.participants is None else report.participants.loc[name].to_dict()
        rows.append(
            {
                "subject": str(name),
                "resolution": str(person.get("resolution", "")),
                "scanner": str(person.get("scanner", "")),
                "group": str(person.get("group", "")),
                "voxels": _times(scan.shape),
                "mm": _times(scan.voxel_mm),
                "axes": scan.axes,
                "phase": scan.phase_unit,
                "marks": "" if report.participants is None else _counted(scan),
                "errors": mine.count("error"),
                "warnings": mine.count("warning"),
            }
        )
    return rows


def _counted(scan: ScanFacts) -> str:
    return f"{scan.marks} ({scan.dark_marks} dark)" if scan.marks else "0"


def _times(numbers: Iterable[float]) -> str:
    return " x ".join(f"{number:g}" for number in numbers)
