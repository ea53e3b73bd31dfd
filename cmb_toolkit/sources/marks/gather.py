"""The marks of scans that were found, from all files that hold some."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...errors import CmbError, DataError, MissingError, Problems
from ...io.marks import labels_to_canonical, voxels_to_canonical, world_to_canonical
from ...io.nifti import Grid
from ...model import LabelAxes
from ...registry import load
from ...schema import MARKS_ON, VOXEL, WORLD
from ...study.place_marks import grid_problem
from ..base import Marks, Scan, Way
from ..names import name_marks
from .base import LABEL, MarkOptions, Reading
from .registry import READERS
from .whose import named_in, subject_of_file

__all__ = ["Gathered", "with_marks"]

_MOST_FILES = 10_000
_STANDARD = ("participants.tsv", "samples.tsv")
"""Tables of a BIDS folder that hold no marks."""


@dataclass
class Gathered:
    """Scans with their marks.

    Attributes
    ----------
    scans : list of Scan
    looked_at : set of str
        Subjects of whom there is a file or a sheet of marks, with or without any in it.
    wrong : Problems
    tables : dict of str to Path
        Tables of all subjects, by role.
    labels : list of Path
        Files of one subject.
    notes : list of str
        How the marks were understood, a line each.
    """

    scans: list[Scan]
    looked_at: set[str] = field(default_factory=set)
    wrong: Problems = field(default_factory=Problems)
    tables: dict[str, Path] = field(default_factory=dict)
    labels: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def with_marks(
    scans: Sequence[Scan],
    options: MarkOptions,
    place: Path,
    *,
    own: Mapping[str, Path] | None = None,
    on: Mapping[str, str] | None = None,
) -> Gathered:
    """Give scans their marks.

    Parameters
    ----------
    scans : sequence of Scan
    options : MarkOptions
    place : Path
        Where the scans were found; for messages.
    own : mapping of str to Path, optional
        Subject -> the file of its marks, where that was said.
    on : mapping of str to str, optional
        Subject -> the volume whose voxels they count, where that was said.
    """
    gathered = Gathered(list(scans))
    subjects = [scan.subject for scan in scans]
    marks: dict[str, tuple[Path, Reading, pd.DataFrame]] = {}
    understood: dict[str, list[tuple[Path, Reading, int, list[str]]]] = {}
    for path, root, owners in _files(options, own or {}, gathered.wrong):
        try:
            reading = _read(path, options)
            of_subject = _by_subject(path, root, reading, owners, subjects, place)
        except CmbError as error:
            gathered.wrong.add(error)
            continue
        for subject, points in of_subject.items():
            if subject in marks and marks[subject][0] != path:
                gathered.wrong.add(
                    f"{marks[subject][0]} and {path}: both hold marks of {subject}. Put them into one file, or leave "
                    "one out."
                )
            marks[subject] = (path, reading, points)
        if {"participant_id", "sheet"} & set(reading.points) and not owners:
            tables = len(gathered.tables)
            gathered.tables["marks" if not tables else f"marks-{tables + 1}"] = path
        else:
            gathered.labels.append(path)
        count = sum(map(len, of_subject.values()))
        understood.setdefault(reading.how, []).append((path, reading, count, list(of_subject)))
    gathered.looked_at = set(marks)
    gathered.notes = [_understood(how, files) for how, files in understood.items()]
    gathered.scans = [
        replace(scan, marks=_marks(scan, *marks[scan.subject], options, (on or {}).get(scan.subject)))
        if scan.subject in marks and len(marks[scan.subject][2])
        else scan
        for scan in scans
    ]
    for scan in gathered.scans:
        if scan.marks is not None and scan.facts.get("group") == "control":
            gathered.wrong.add(
                f"{place}: control {scan.subject} has marks in {marks[scan.subject][0]}. Make it a patient, or remove "
                "them."
            )
    return gathered


# -- which files --------------------------------------------------------------------------------------------------


def _files(
    options: MarkOptions, own: Mapping[str, Path], wrong: Problems
) -> Iterator[tuple[Path, Path, tuple[str, ...]]]:
    """Each file of marks, the folder from which its path may name a subject, and of whom it was said to be."""
    owners: dict[Path, list[str]] = {}
    for subject, path in own.items():
        owners.setdefault(path, []).append(subject)
    for path, mine in owners.items():
        yield path, path.parent, tuple(mine)
    for given in options.marks:
        if not given.is_dir():
            yield given, given.parent.parent, ()
            continue
        found = [path for path in _below(given) if _reader(path) is not None and not _is_standard(path)]
        if not found:
            wrong.add(MissingError(f"{given}: holds no file of marks ({_endings()}). Check the folder."))
        for path in found:
            yield path, given, ()


def _below(folder: Path) -> list[Path]:
    """The files in a folder and its folders that are not hidden, in the order of their names.

    Raises
    ------
    DataError
        If there are more than anybody marks.
    """
    found = []
    for path in folder.rglob("*"):
        if path.is_file() and not any(part.startswith((".", "~$")) for part in path.relative_to(folder).parts):
            found.append(path)
            if len(found) > _MOST_FILES:
                raise DataError(f"{folder}: holds more than {_MOST_FILES:,} files. Give the folder of the marks alone.")
    return sorted(found)


def _is_standard(path: Path) -> bool:
    return path.name in _STANDARD or path.name.endswith(("_scans.tsv", "_sessions.tsv"))


def _reader(path: Path) -> str | None:
    """Where the reader of a file is, by the longest ending that its name has."""
    name = path.name.casefold()
    fitting = [(len(end), place) for place, endings in READERS.values() for end in endings if name.endswith(end)]
    return max(fitting)[1] if fitting else None


def _endings() -> str:
    return ", ".join(ending for _, endings in READERS.values() for ending in endings)


def _read(path: Path, options: MarkOptions) -> Reading:
    """The marks of a file, by the reader of its kind.

    Raises
    ------
    MissingError, DataError
    """
    place = _reader(path)
    if place is None and not path.exists():
        raise MissingError(f"{path}: not found. Check the path of the marks.")
    if place is None:
        raise DataError(f"{path}: no kind of file that marks are read from ({_endings()}). Save it as one of these.")
    reading: Reading = load(place)(path, options)
    return reading


# -- whose they are -----------------------------------------------------------------------------------------------


def _by_subject(
    path: Path, root: Path, reading: Reading, owners: Sequence[str], subjects: Sequence[str], place: Path
) -> dict[str, pd.DataFrame]:
    """The marks of each subject of a file; of a subject whose file or sheet has none an empty table.

    Raises
    ------
    DataError
        If it is not clear whose they are.
    """
    points = reading.points
    among = list(owners or subjects)
    unread = [title for title in reading.unread if len(named_in(title, among)) == 1]
    if unread:
        raise DataError(
            f"{path}: sheet {unread[0]} holds no headings and no marks. Leave it empty if there is no microbleed."
        )
    by_title = {title: named[0] for title in reading.seen if len(named := named_in(title, among)) == 1}
    if {"participant_id", "sheet"} & set(points):
        names = _names(path, points, among, by_title, place)
        found = {str(subject): points[names == subject] for subject in dict.fromkeys(names)}
        return found | {subject: points.iloc[:0] for subject in by_title.values() if subject not in found}
    if len(owners) > 1:
        raise DataError(
            f"{path}: is said to be of {', '.join(owners[:5])}, and does not say whose each mark is. Add a column "
            "participant_id, or give each of them a file."
        )
    of_file = owners[0] if owners else subject_of_file(path, root, subjects) or next(iter(by_title.values()), None)
    if of_file is None:
        raise DataError(
            f"{path}: whose marks these are is not known. Call it after a subject (as {subjects[0]} is called), or add "
            "a column participant_id to a table."
        )
    return {of_file: points}


def _names(
    path: Path, points: pd.DataFrame, among: Sequence[str], by_title: Mapping[str, str], place: Path
) -> pd.Series[str]:
    """The subject of each mark, by its row or its sheet.

    Raises
    ------
    DataError
    """
    names = pd.Series(None, index=points.index, dtype=object)
    cells = points["participant_id"].notna() if "participant_id" in points else names.notna()
    if cells.any():
        names[cells] = name_marks(path, points[cells], among, place)
    for title in dict.fromkeys(points["sheet"][~cells]) if "sheet" in points else ():
        if title not in by_title:
            raise DataError(
                f"{path}: sheet {title} holds marks, and is called after no subject, or after several. Call it as one "
                f"of {place.name} is called ({', '.join(among[:3])}{' ...' * (len(among) > 3)})."
            )
        names[points["sheet"] == title] = by_title[title]
    return names


# -- how they count -----------------------------------------------------------------------------------------------


def _marks(
    scan: Scan, path: Path, reading: Reading, points: pd.DataFrame, options: MarkOptions, on: str | None
) -> Marks:
    world = points[[*WORLD]].to_numpy(float) if WORLD[0] in points else None
    way: Way
    if reading.grid is not None:
        way = partial(_on_own_grid, points[[*VOXEL]].to_numpy(int), reading.grid)
    elif VOXEL[0] in points:
        way = partial(_counted, points[[*VOXEL]].to_numpy(int) - options.label_base)
    elif LABEL[0] in points:
        way = partial(_labelled, points[[*LABEL]].to_numpy(int), options.label_base, options.label_axes)
    else:
        assert world is not None
        way = partial(_nearest, world)
    counted = reading.grid is None and (VOXEL[0] in points or LABEL[0] in points)
    return Marks(
        f"{path}: {scan.subject}",
        points["where"].tolist(),
        {"": way},
        # a place in the world, or on a grid of its own, is the same in every file
        (on or options.marks_on) if counted else next(kind for kind in scan.volumes if kind in MARKS_ON),
        world if counted else None,
    )


def _counted(voxels: NDArray[np.int_], grid: Grid) -> NDArray[np.int_]:
    return voxels_to_canonical(voxels, grid.shape, grid.affine)


def _labelled(labels: NDArray[np.int_], base: int, axes: LabelAxes, grid: Grid) -> NDArray[np.int_]:
    return labels_to_canonical(labels, grid.shape, grid.affine, base=base, axes=axes)


def _nearest(world_mm: NDArray[np.float64], grid: Grid) -> NDArray[np.int_]:
    return world_to_canonical(world_mm, grid.shape, grid.affine)


def _on_own_grid(voxels: NDArray[np.int_], own: Grid, grid: Grid) -> NDArray[np.int_]:
    """Voxels of a label map, if it lies on the scan's grid.

    Raises
    ------
    DataError
    """
    problem = grid_problem(own, grid)
    if problem:
        raise DataError(f"label map and scan: {problem}")
    return voxels_to_canonical(voxels, own.shape, own.affine)


# -- what is said of it -------------------------------------------------------------------------------------------


def _understood(how: str, files: Sequence[tuple[Path, Reading, int, list[str]]]) -> str:
    """A line on files that were understood alike."""
    count = sum(mine for _, _, mine, _ in files)
    subjects = {subject for _, _, _, mine in files for subject in mine}
    named = str(files[0][0]) if len(files) == 1 else f"{len(files)} files"
    left_out = sum((Counter(reading.left_out) for _, reading, _, _ in files), Counter())
    whose = sorted({subject for _, reading, _, mine in files if reading.left_out for subject in mine})
    listed = ", ".join(whose[:5]) + " ..." * (len(whose) > 5)
    of = f"{len(subjects)} subject{'s' * (len(subjects) != 1)}"
    return (
        f"Marks: {named}: {how}: {count} mark{'s' * (count != 1)} of {of}"
        + "".join(f"; {n} point{'s' * (n != 1)} {why} left out ({listed})" for why, n in left_out.items())
        + "."
    )
