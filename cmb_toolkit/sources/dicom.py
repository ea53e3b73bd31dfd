"""Folders of DICOM files, a folder a person."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ..errors import DataError, Problems, UsageError
from ..recipe import Recipe, option
from .base import Found, Scan, Source, resolution, settled, unmarked
from .marks.base import MarkOptions

if TYPE_CHECKING:
    from ..io.dicom import Converted

__all__ = ["Dicom", "DicomChoice", "persons_in", "scans_of"]

REVISION = 1
_WANTED_MS = 20.0
_SAME_MM = 0.01
_FOLDER = "converted"


@dataclass(frozen=True)
class DicomChoice(Recipe):
    """Which of several series of a person are meant."""

    series: Mapping[str, str] = option(
        dict,
        "Take the series of this number as magnitude, phase, swi, real or imaginary, such as magnitude=5; may be given "
        "several times.",
        metavar="KIND=NUMBER",
    )


@dataclass(frozen=True)
class Dicom(DicomChoice, MarkOptions, Source):
    """Make a study from DICOM: a FOLDER with a folder for each person.

    dcm2niix converts what is in them (pip install dcm2niix); magnitude and phase, or real and imaginary part, that
    belong together are kept in the study, without anything that says who it is. Several examinations of a person become
    sessions, in their order. Of several echoes the one nearest 20 ms is taken. Where several series could be meant they
    are listed by their numbers, and --series says which.

    Persons are called sub-001, sub-002 ... in the order of their folders' names; --key writes down which is which.
    Marks are given with --marks, as to `cmbtk import table`.

    \b
    Examples:
      cmbtk import dicom /data/dicom -o study --key key.tsv
      cmbtk import dicom /data/dicom -o study --keep-names --marks marks.xlsx
      cmbtk import dicom /data/dicom -o study --series magnitude=5 --series phase=6
    """

    name: ClassVar[str] = "dicom"
    place: ClassVar[str] = "folder"

    resolution: str | None = resolution(silent=True)
    unmarked: Literal["patient", "read", "control"] = unmarked()
    keep_names: bool = option(False, "Keep the folders' names as identifiers instead of sub-001, sub-002 ...")
    key: Path | None = option(
        None,
        "Write here which folder became which identifier. Keep it apart from the study: it may name people.",
    )

    def find(self, place: Path, out: Path) -> Found:
        from ..study.layout import Study
        from .marks.gather import with_marks
        from .names import kept_names, numbered
        from .places import check_place

        check_place(place, self.name)
        Study.create(out, name=out.absolute().name)  # a foreign folder is refused before it is written to
        folders = persons_in(place)
        names = [folder.name for folder in folders]
        identifiers = kept_names(names) if self.keep_names else numbered(names)
        notes: list[str] = []
        scans: list[Scan] = []
        problems = Problems()
        for folder in folders:
            with problems.of(identifiers[folder.name]):
                scans += scans_of(folder, identifiers[folder.name], out, self, notes)
        problems.raise_if_any("Which series are meant is said with --series KIND=NUMBER.")
        gathered = with_marks(scans, self, place)
        return Found(
            [settled(scan, self.resolution, self.unmarked, gathered.looked_at) for scan in gathered.scans],
            gathered.wrong,
            gathered.tables,
            labels=gathered.labels or None,
            key=self.key,
            names={identifier: name for name, identifier in identifiers.items()},
            notes=[*gathered.notes, *notes],
        )


def persons_in(place: Path) -> list[Path]:
    """A folder a person; the place itself where files lie in it, or all folders are of one examination."""
    from ..io.dicom import examination_in
    from ..names import natural_order

    folders = sorted((path for path in place.iterdir() if path.is_dir()), key=lambda path: natural_order(path.name))
    files = [path for path in place.iterdir() if path.is_file() and not path.name.startswith(".")]
    examinations = {examination_in(folder) for folder in folders} - {None}
    together = len(examinations) == 1 and examinations != {""} and len(folders) > 1
    return [place] if together or (files and not folders) else folders


def scans_of(folder: Path, subject: str, out: Path, choice: DicomChoice, notes: list[str]) -> list[Scan]:
    """The scans of a person, converted unless that was done.

    Parameters
    ----------
    folder : Path
        With the person's DICOM files.
    subject : str
        What the person is called.
    out : Path
        Where the images go, into ``converted/<subject>``.
    choice : DicomChoice
    notes : list of str
        Gathers what a person should look at.

    Raises
    ------
    MissingError, DataError, UsageError, StorageError
        Among others if no magnitude belongs to a phase, or several could.
    """
    from ..io.dicom import converted, keep
    from ..io.publish import Record, publish, read_record

    target = out / _FOLDER / subject
    record = Record(
        "import", {"layout": "dicom", "files": _digest(folder), **choice.parameters()}, (), revision=REVISION
    )
    if not record.is_current(target):
        with converted(folder) as images:
            examinations = _examinations(folder, images)
            chosen = [_chosen(folder, mine, choice) for mine in examinations]
            chosen = [scan for scan in chosen if scan]
            if not chosen:
                raise DataError(f"{folder}: {_what(images)}. {_NEEDED}")
            with publish(target, record) as place:
                place.mkdir()
                sessions: dict[str, dict[str, Any]] = {}
                for number, scan in enumerate(chosen, 1):
                    session = f"ses-{number}" if len(chosen) > 1 else "."
                    (place / session).mkdir(exist_ok=True)
                    for kind, image in scan.items():
                        keep(image, place / session / f"{kind}.nii.gz")
                    sessions[session] = _facts(scan)
                place.note(sessions=sessions, said=_said(folder, examinations, chosen))
    noted = read_record(target) or {}
    notes += [f"Note: {subject}: {text}." for text in noted.get("said", ())]
    return [
        Scan(
            subject if session == "." else f"{subject}_{session}",
            facts,
            {path.name.removesuffix(".nii.gz"): path for path in sorted((target / session).glob("*.nii.gz"))},
        )
        for session, facts in noted["sessions"].items()
    ]


_NEEDED = (
    "A scan needs its phase beside magnitude or SWI, or real and imaginary parts, on the same voxels; the scanner may "
    "not have stored the phase."
)


def _digest(folder: Path) -> str:
    """What tells one set of files from another without reading them or keeping their names."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        facts = path.stat()
        digest.update(f"{path.relative_to(folder)} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _examinations(folder: Path, images: Sequence[Converted]) -> list[list[Converted]]:
    """The images by examination, in the order of their times.

    Raises
    ------
    DataError
        If they are of several people.
    """
    people = {str(image.facts["PatientID"]) for image in images if image.facts.get("PatientID")}
    if len(people) > 1:
        raise DataError(f"{folder}: holds files of {len(people)} people. Give each a folder.")
    studies: dict[str, list[Converted]] = {}
    for image in images:
        studies.setdefault(str(image.facts.get("StudyInstanceUID", "")), []).append(image)

    def begin(mine: list[Converted]) -> str:
        return min(str(image.facts.get("AcquisitionDateTime", "")) for image in mine)

    return sorted(studies.values(), key=begin)


def _chosen(folder: Path, images: Sequence[Converted], choice: DicomChoice) -> dict[str, Converted]:
    """Kind -> image of the scan of an examination; empty where there is none."""
    wanted = _wanted(choice)
    images = [image for image in images if image.kind not in wanted or image.series == wanted[image.kind]]
    scans = [scan for together in _on_one_grid(images) for scan in _pairs(together)]
    if len(scans) > 1:
        times = [scan["phase" if "phase" in scan else "real"].echo_time_ms for scan in scans]
        same = {tuple(sorted((kind, image.series) for kind, image in scan.items())) for scan in scans}
        if len(same) == 1 and None not in times and len(set(times)) == len(times):
            return min(scans, key=lambda scan: abs(_time(scan) - _WANTED_MS))
        listed = "; ".join(_in_words(scan) for scan in sorted(scans, key=_numbers)[:8])
        raise DataError(f"{folder}: {len(scans)} scans could be meant: {listed}.")
    return scans[0] if scans else {}


def _wanted(choice: DicomChoice) -> dict[str, int]:
    from ..io.dicom import KINDS

    wanted: dict[str, int] = {}
    for kind, number in choice.series.items():
        if kind not in KINDS or not str(number).isdecimal():
            raise UsageError(
                f"--series {kind}={number}: expected one of {', '.join(KINDS)}, and the number of a series."
            )
        wanted[kind] = int(number)
    return wanted


def _on_one_grid(images: Sequence[Converted]) -> Iterator[list[Converted]]:
    """Images whose voxels are the same."""
    import nibabel as nib
    import numpy as np

    groups: list[tuple[Any, list[Converted]]] = []
    for image in images:
        header: Any = nib.load(image.path)
        for first, mine in groups:
            if header.shape[:3] == first.shape[:3] and np.allclose(header.affine, first.affine, atol=_SAME_MM):
                mine.append(image)
                break
        else:
            groups.append((header, [image]))
    for _, mine in groups:
        yield mine


def _pairs(images: Sequence[Converted]) -> Iterator[dict[str, Converted]]:
    """Scans that images on one grid make: of each echo what belongs together."""
    from ..io.dicom import KINDS

    of = {kind: [image for image in images if image.kind == kind] for kind in KINDS}
    for phase in of["phase"]:
        with_it = _nearest([each for each in of["magnitude"] if _together(each, phase)], phase)
        for magnitude in with_it:
            yield {"magnitude": magnitude, "phase": phase}
        if not with_it:
            for weighted in _nearest(of["swi"], phase):
                yield {"swi": weighted, "phase": phase}
    if not of["phase"]:
        for real in of["real"]:
            for imaginary in _nearest([each for each in of["imaginary"] if _together(each, real)], real):
                yield {"real": real, "imaginary": imaginary}


def _nearest(images: Sequence[Converted], other: Converted) -> list[Converted]:
    """Of images those whose series is the next to another's: scanners number what they store of one scan in a row."""
    least = min((abs(each.series - other.series) for each in images), default=0)
    return [each for each in images if abs(each.series - other.series) == least]


def _together(one: Converted, other: Converted) -> bool:
    """Whether two images have the same echo time, as far as both say it."""
    a, b = one.echo_time_ms, other.echo_time_ms
    return a is None or b is None or abs(a - b) < 1e-3


def _time(scan: Mapping[str, Converted]) -> float:
    return next((image.echo_time_ms for image in scan.values() if image.echo_time_ms is not None), 0.0)


def _numbers(scan: Mapping[str, Converted]) -> list[int]:
    return [image.series for image in scan.values()]


def _in_words(scan: Mapping[str, Converted]) -> str:
    kinds = ", ".join(f"{kind}={image.series}" for kind, image in scan.items())
    return f"{kinds} (echo {_time(scan):g} ms)"


def _what(images: Sequence[Converted]) -> str:
    """What images there are, in words."""
    kinds = sorted((image.series, image.kind or "of no known kind") for image in images)
    return "holds " + ", ".join(f"series {series}: {kind}" for series, kind in kinds[:12])


def _facts(scan: Mapping[str, Converted]) -> dict[str, Any]:
    """What the table of participants says of a scan."""
    from .bids import scanner_of

    image = scan.get("phase") or scan["real"]
    facts: dict[str, Any] = {}
    if image.echo_time_ms is not None:
        facts["echo_time_ms"] = round(image.echo_time_ms, 6)
    if scanner := scanner_of(image.facts):
        facts["scanner"] = scanner
    return facts


def _said(
    folder: Path, examinations: Sequence[Sequence[Converted]], chosen: Sequence[Mapping[str, Converted]]
) -> list[str]:
    """What was taken of what was there."""
    said = [f"{_in_words(scan)} taken" for scan in chosen]
    if len(examinations) > len(chosen):
        said.append(f"{len(examinations) - len(chosen)} examinations without phase left out")
    return said
