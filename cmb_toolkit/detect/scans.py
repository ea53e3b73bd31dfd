"""The scans that somebody points at: a study, a table of files, a folder of BIDS, or of DICOM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import MissingError, Problems, UsageError
from ..io.bids_files import is_bids
from ..io.dicom import looks_like_dicom
from ..io.tables import as_number
from ..sources.bids import BidsChoice, scans_in
from ..sources.dicom import DicomChoice, persons_in, scans_of
from ..sources.names import numbered
from ..sources.table import Table
from ..study.cohort import read_participants
from ..study.layout import Study
from ..study.scan import Scan, scan_of

__all__ = ["scans_at"]


def scans_at(
    place: Path,
    choice: BidsChoice,
    problems: Problems,
    notes: list[str],
    *,
    out: Path,
    series: DicomChoice | None = None,
) -> list[Scan]:
    """The scans of a place; of each no more is read than where it is.

    Parameters
    ----------
    place : Path
        A study, a table as `cmbtk import table` takes it, a folder in BIDS, or one with DICOM, a folder a person.
    choice : BidsChoice
        Which images of a BIDS folder are meant where a session has several.
    problems : Problems
        Gathers what is wrong with single subjects.
    notes : list of str
        Gathers what a person should look at.
    out : Path
        Where DICOM is converted to.
    series : DicomChoice, optional
        Which series of DICOM are meant.

    Raises
    ------
    MissingError, UsageError, DataError
    """
    is_study = Study(place).settings.is_file()
    if choice != BidsChoice() and (is_study or not place.is_dir()):
        raise UsageError(f"--entity and --plain-swi choose among the images of a BIDS folder, and {place} is none.")
    if is_study:
        study = Study.open(place)
        found = []
        for name, row in read_participants(study).iterrows():
            with problems.of(str(name)):
                found.append(scan_of(study, row))
        return found
    if place.is_dir() and not is_bids(place) and looks_like_dicom(place):
        return _of_dicom(place, series or DicomChoice(), problems, notes, out)
    if place.is_dir():
        return scans_in(place, choice, notes=notes)
    if not place.is_file():
        raise MissingError(f"{place}: not found. Give a study, a table of scans, or a folder of BIDS or DICOM.")
    return [_scan(each.subject, each.volumes, each.facts) for each in Table().find(place, place.parent).scans]


def _of_dicom(place: Path, choice: DicomChoice, problems: Problems, notes: list[str], out: Path) -> list[Scan]:
    """Persons in the order of their folders' names, which are not kept."""
    folders = persons_in(place)
    found = []
    for folder, name in zip(folders, numbered([folder.name for folder in folders]).values(), strict=True):
        with problems.of(name):
            found += [
                _scan(each.subject, each.volumes, each.facts) for each in scans_of(folder, name, out, choice, notes)
            ]
    return found


def _scan(name: str, volumes: Any, facts: Any) -> Scan:
    """A scan of a source as the study has it."""
    numbers: dict[str, float] = {
        key: as_number(facts[key]) for key in ("echo_time_ms", "phase_sign", "echo", "phase_volume") if key in facts
    }
    whole: Any = {key: int(numbers[key]) for key in ("phase_sign", "echo", "phase_volume") if key in numbers}
    given = facts.get("phase_range")
    scan = Scan(
        name,
        **volumes,
        echo_time_ms=numbers.get("echo_time_ms"),
        phase_range=given if given in (None, "radians") else as_number(given),
        **whole,
    )
    if scan.lacking():
        raise UsageError(f"{name}: needs {scan.lacking()}.")
    return scan
