"""A BIDS folder: of each subject and session the magnitude and the phase."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ..errors import DataError, MissingError, Problems
from ..names import SCANNER, safe_id, shown
from ..recipe import Recipe, option
from .base import Found, Scan, Source, resolution, settled, unmarked
from .marks.base import MarkOptions

if TYPE_CHECKING:
    from ..io.bids_files import BidsImage, Sidecars
    from ..study.scan import Scan as ScanFiles

__all__ = ["Bids", "BidsChoice", "find_scans", "scanner_of", "scans_in"]


@dataclass(frozen=True)
class BidsChoice(Recipe):
    """Which of several images of a BIDS folder are meant."""

    entity: Mapping[str, str] = option(
        dict,
        "Take images with KEY-VALUE in their names, such as acq=swi or run=2 (n/a: without KEY-); those without KEY- "
        "only where no other has the value. suffix and datatype stand for the name's last word and the folder; echo "
        "chooses the echo, also in 4-D files (else: the one nearest 20 ms). May be given several times.",
        metavar="KEY=VALUE",
    )
    plain_swi: Literal["swi", "magnitude"] = option(
        "swi", "What an image with the suffix swi and no part is, where its sidecar does not say it.", silent=True
    )


@dataclass(frozen=True)
class Bids(BidsChoice, MarkOptions, Source):
    """Make a study from a BIDS FOLDER.

    Of each subject and session the magnitude and the phase are taken, in anat or swi: part-mag and part-phase (or
    part-real and part-imag) with the suffix T2starw, MEGRE, GRE, swi or SWI; beside a part-phase the image without
    part. Of several echoes, as files or in the fourth dimension, the one nearest 20 ms is taken. Where several runs or
    acquisitions could be meant they are listed, and --entity says which.

    Subjects are called sub-01 or sub-01_ses-2; sessions of one person are known as such. Scanner and echo time come
    from the sidecars. Marks are given with --marks, as to `cmbtk import table`.

    \b
    Examples:
      cmbtk import bids /data/ds003990 -o study
      cmbtk import bids /data/ds003990 --entity acq=highres --entity run=1 -o study
      cmbtk import bids /data/ds003990 --marks /data/ds003990/derivatives/labels -o study
    """

    name: ClassVar[str] = "bids"
    place: ClassVar[str] = "folder"

    resolution: str | None = resolution(silent=True)
    unmarked: Literal["patient", "read", "control"] = unmarked()

    def find(self, place: Path, out: Path) -> Found:
        from ..io.bids_files import Sidecars
        from .marks.gather import with_marks
        from .places import check_place

        check_place(place, self.name)
        notes: list[str] = []
        sidecars = Sidecars(place)
        gathered = with_marks(find_scans(place, self, sidecars, notes), self, place)
        return Found(
            [settled(scan, self.resolution, self.unmarked, gathered.looked_at) for scan in gathered.scans],
            gathered.wrong,
            gathered.tables,
            labels=[*gathered.labels, *sidecars.read] or None,
            notes=[*gathered.notes, *notes],
        )


def scans_in(
    folder: Path,
    choice: BidsChoice | None = None,
    *,
    participants: Collection[str] = (),
    notes: list[str] | None = None,
) -> list[ScanFiles]:
    """The scans of a BIDS folder: of each subject and session the images with phase.

    Parameters
    ----------
    folder : Path
    choice : BidsChoice, optional
        Which are meant where there are several.
    participants : collection of str
        Subjects, with or without ``sub-``; by default all.
    notes : list of str, optional
        Where to gather what a person should look at, a line each.

    Returns
    -------
    list of Scan
        Of :mod:`cmb_toolkit.study.scan`, called ``sub-01`` or ``sub-01_ses-2``, in the order of the folders. Of the
        images no more was read than headers.

    Raises
    ------
    MissingError
        If it is no BIDS folder, or nobody in it has a magnitude and a phase.
    UsageError
        If `choice` asks for what no image has.
    DataError
        If several images of a subject and session could be meant.
    """
    from ..io.bids_files import Sidecars
    from ..study.scan import Scan as ScanFiles

    said: list[str] = []
    found = find_scans(folder, choice or BidsChoice(), Sidecars(folder), said, participants)
    if notes is not None:
        notes += said
    taken = ("echo_time_ms", "echo")
    return [
        ScanFiles(x.subject, **x.volumes, **{name: x.facts[name] for name in taken if name in x.facts})  # type: ignore[arg-type]
        for x in found
    ]


def find_scans(
    folder: Path, choice: BidsChoice, sidecars: Sidecars, notes: list[str], participants: Collection[str] = ()
) -> list[Scan]:
    """As :func:`scans_in`, with what participants.tsv says of them: scanner, echo and echo time."""
    from .acquisitions import SUFFIXES

    needed = f"magnitude and phase (part-phase; suffix {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}; in anat or swi)"
    problems = Problems()
    scans: list[Scan] = []
    without: list[str] = []
    echoes: dict[str, list[str]] = {}
    for name, images in _of_subjects(folder, choice, participants).items():
        if safe_id(name) is None:
            problems.add(f"{folder}: {shown(name)}: expected letters and digits after sub- and ses-. Rename it.")
            continue
        with problems.of(name):
            scan = _scan(name, folder, images, choice, sidecars, echoes)
            if scan is None:
                without.append(name)
            else:
                scans.append(scan)
    problems.raise_if_any(_HOW_TO_CHOOSE)
    if not scans:
        raise MissingError(
            f"{folder}: nobody has {needed}. Scans in any other order are taken from a table of files: `cmbtk import "
            "table --help`."
        )
    notes += [f"Note: {said}, in {_some(names)}." for said, names in echoes.items()]
    if without:
        notes.append(f"Note: left out, as they have no {needed}: {_some(without)}.")
    dated = [scan.subject for scan in scans if re.search(r"ses-(19|20)\d\d[01]\d[0-3]\d$", scan.subject)]
    if dated:
        notes.append(
            f"Warning: sessions seem to be called by dates ({_some(dated)}), which will stand in all that is made of "
            "them."
        )
    return scans


_MOST_LISTED = 8
_HOW_TO_CHOOSE = (
    "Which are meant is said with --entity KEY=VALUE, given several times if need be; if it differs from subject to "
    "subject, with a table of files for `cmbtk import table`."
)


def _of_subjects(folder: Path, choice: BidsChoice, participants: Collection[str]) -> dict[str, list[BidsImage]]:
    """The images of each subject and session that were asked for.

    Raises
    ------
    MissingError, UsageError
    """
    from ..io.bids_files import images, is_bids
    from .acquisitions import check_entities, of_entities

    if not is_bids(folder):
        raise MissingError(f"{folder}: is no BIDS folder: no folder sub-... in it. Check the path.")
    found = list(images(folder))
    wanted = {name.removeprefix("sub-") for name in participants}
    lost = wanted - {image.entities["sub"] for image in found}
    if lost:
        raise MissingError(f"{folder}: holds no images of {_some([f'sub-{name}' for name in sorted(lost)])}.")
    entities = {key: value.removeprefix(f"{key}-") for key, value in choice.entity.items()}
    check_entities(found, entities)
    subjects: dict[str, list[BidsImage]] = {}
    for image in found:
        person, session = image.entities["sub"], image.entities.get("ses")
        who = {"sub": person, "ses": session or ""}
        if wanted and person not in wanted:
            continue
        if any(not _as_wanted(who[key], entities[key]) for key in ("sub", "ses") if key in entities):
            continue
        subjects.setdefault(f"sub-{person}" + (f"_ses-{session}" if session else ""), []).append(image)
    others = {key: value for key, value in entities.items() if key not in ("sub", "ses")}
    return {name: of_entities(mine, others) for name, mine in subjects.items()}


def _as_wanted(label: str, value: str) -> bool:
    return label == ("" if value == "n/a" else value)


def _scan(
    name: str,
    folder: Path,
    images: Sequence[BidsImage],
    choice: BidsChoice,
    sidecars: Sidecars,
    echoes: dict[str, list[str]],
) -> Scan | None:
    """The scan of a subject and session; None if there is none.

    Raises
    ------
    DataError
        If there are several.
    """
    from .acquisitions import acquisitions, distinguished

    several = acquisitions(images, choice.plain_swi, sidecars)
    if len(several) > 1:
        listed = [f"{options} ({image.path.relative_to(folder)})" for options, image in distinguished(several)]
        more = f"; and {len(listed) - _MOST_LISTED} more" * (len(listed) > _MOST_LISTED)
        raise DataError(f"{len(several)} scans could be meant: {'; '.join(listed[:_MOST_LISTED])}{more}.")
    if not several:
        return None
    echo = several[0].echo(choice.entity.get("echo"), sidecars)
    if echo.said:
        echoes.setdefault(echo.said, []).append(name)
    facts: dict[str, Any] = {}
    if echo.time_ms is not None:
        facts["echo_time_ms"] = round(echo.time_ms, 6)
    if echo.volume is not None:
        facts["echo"] = echo.volume
    scanner = scanner_of(sidecars.of(echo.volumes.get("phase") or echo.volumes["real"]))
    if scanner:
        facts["scanner"] = scanner
    return Scan(name, facts, {role: image.path for role, image in echo.volumes.items()})


def scanner_of(acquisition: Mapping[str, Any]) -> str | None:
    """Manufacturer and model, where the sidecar has them."""
    maker, model = (str(acquisition.get(key, "")).strip() for key in ("Manufacturer", "ManufacturersModelName"))
    name = model if maker.casefold() in model.casefold() else f"{maker} {model}".strip()
    return name if SCANNER.fits(name) else None


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + f" and {len(names) - 5} more" * (len(names) > 5)
