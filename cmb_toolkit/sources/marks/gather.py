"""The marks of scans that were found, from all files that hold some."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from ...errors import CmbError, DataError, Problems
from ...wording import counted
from ..base import Scan
from ..names import name_marks
from .base import MarkOptions, Reading
from .files import MarksFile, files_of, read_marks
from .ways import marks_of
from .whose import subject_of_file, titled

__all__ = ["Gathered", "with_marks"]


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
    files = list(_understood(scans, options, place, own or {}, gathered.wrong))
    marks: dict[str, _Understood] = {}
    for file in files:
        for subject in file.of_subject:
            other = marks.setdefault(subject, file)
            if other is not file:
                gathered.wrong.add(
                    f"{other.path} and {file.path}: both hold marks of {subject}. Put them into one file, or leave "
                    "one out."
                )
    for number, file in enumerate((file for file in files if file.of_all), 1):
        gathered.tables["marks" if number == 1 else f"marks-{number}"] = file.path
    gathered.labels = [file.path for file in files if not file.of_all]
    gathered.looked_at = set(marks)
    gathered.notes = [_said(how, mine) for how, mine in _alike(files).items()]
    for n, scan in enumerate(scans):
        found = marks.get(scan.subject)
        points = found.of_subject[scan.subject] if found is not None else None
        if found is None or points is None or points.empty:
            continue
        if scan.facts.get("group") == "control":
            gathered.wrong.add(
                f"{place}: control {scan.subject} has marks in {found.path}. Make it a patient, or remove them."
            )
        counted = marks_of(scan, found.path, found.reading, points, options, (on or {}).get(scan.subject))
        gathered.scans[n] = replace(scan, marks=counted)
    return gathered


@dataclass(frozen=True)
class _Understood:
    """A file, and the marks of each subject in it."""

    path: Path
    reading: Reading
    of_subject: Mapping[str, pd.DataFrame]
    of_all: bool


def _understood(
    scans: Sequence[Scan], options: MarkOptions, place: Path, own: Mapping[str, Path], wrong: Problems
) -> Iterator[_Understood]:
    """Every file of marks that was understood."""
    subjects = [scan.subject for scan in scans]
    among_others = False
    for file in files_of(options, own):
        try:
            reading = read_marks(file.path, options)
            of_subject = _by_subject(file, reading, subjects, place)
        except CmbError as error:
            wrong.add(error)
            among_others |= file.found
            continue
        of_all = not file.owners and ("participant_id" in reading.points or len(of_subject) > 1)
        yield _Understood(file.path, reading, of_subject, of_all)
    if among_others:
        wrong.add(
            "Of a folder every file is read that marks may be in. If others lie there, give each file of marks with "
            "--marks, or in a column marks of `cmbtk import table`."
        )


# -- whose they are -----------------------------------------------------------------------------------------------


def _by_subject(file: MarksFile, reading: Reading, subjects: Sequence[str], place: Path) -> dict[str, pd.DataFrame]:
    """The marks of each subject of a file; of a subject whose file or sheet has none an empty table.

    Raises
    ------
    DataError
        If it is not clear whose they are.
    """
    path, owners, points = file.path, file.owners, reading.points
    among = list(owners or subjects)
    unread = [title for title in reading.unread if len(titled(title, among)) == 1]
    if unread:
        raise DataError(
            f"{path}: sheet {unread[0]} holds no headings and no marks. Leave it empty if there is no microbleed."
        )
    by_title = {title: named[0] for title in reading.seen if len(named := titled(title, among)) == 1}
    sheets = points["sheet"].nunique() if "sheet" in points else 0
    if "participant_id" in points or sheets > 1 or (by_title and len(reading.seen) > 1):
        names = _names(path, points, among, by_title, place)
        found = {str(subject): points[names == subject] for subject in dict.fromkeys(names)}
        return found | {subject: points.iloc[:0] for subject in by_title.values() if subject not in found}
    if len(owners) > 1:
        raise DataError(
            f"{path}: is said to be of {', '.join(owners[:5])}, and does not say whose each mark is. Add a column "
            "participant_id, or give each of them a file."
        )
    by_name = owners[0] if owners else subject_of_file(path, file.root, subjects)
    of_file = by_name or next(iter(by_title.values()), None)
    if by_name and by_title and by_name not in by_title.values():
        raise DataError(
            f"{path}: is of {by_name}, and its sheet is called after {next(iter(by_title.values()))}. Rename one."
        )
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


# -- what is said of it -------------------------------------------------------------------------------------------


def _alike(files: Sequence[_Understood]) -> dict[str, list[_Understood]]:
    """Files that were understood alike, by how that is said."""
    alike: dict[str, list[_Understood]] = {}
    for file in files:
        alike.setdefault(file.reading.how, []).append(file)
    return alike


def _said(how: str, files: Sequence[_Understood]) -> str:
    """A line on files that were understood alike."""
    points = [mine for file in files for mine in file.of_subject.values()]
    count, subjects = sum(map(len, points)), len({subject for file in files for subject in file.of_subject})
    named = str(files[0].path) if len(files) == 1 else f"{len(files)} files"
    left_out = sum((Counter(file.reading.left_out) for file in files), Counter())
    whose = sorted({subject for file in files if file.reading.left_out for subject in file.of_subject})
    listed = ", ".join(whose[:5]) + f" and {len(whose) - 5} more" * (len(whose) > 5)
    return (
        f"Marks: {named}: {how}: {counted(count, 'mark')} of {counted(subjects, 'subject')}"
        + "".join(f"; {counted(n, 'point')} {why} left out ({listed})" for why, n in left_out.items())
        + "."
    )
