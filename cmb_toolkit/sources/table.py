"""A table of files that somebody has written, and one of marks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ..errors import DataError, Problems
from ..names import RESOLUTION, SCANNER, safe_id, shown
from ..schema import MARKS_ON, PARTICIPANTS, VOLUMES
from .base import Found, Scan, Source, resolution, settled, unmarked
from .marks.base import MarkOptions

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Table"]

_LONGEST_ECHO_MS = 10_000


@dataclass(frozen=True)
class Table(MarkOptions, Source):
    """Make a study from a TABLE of files, tab-separated, one line a subject.

    Its columns are participant_id (letters and digits, never a name), magnitude and phase (NIfTI files, relative to
    the table) and, where known, swi, mask, resolution, scanner, group (patient or control), read (yes or no: whether
    somebody has looked for microbleeds), echo_time_ms, phase_sign (1: the phase of veins is positive, -1: negative),
    phase_range (radians, or the file's units of one full cycle), echo and phase_volume (which volume of 4-D files,
    counted from 1, and which of the phase where that is another).
    A complex pair has the columns real and imaginary in place of magnitude and phase.
    Other columns are not taken over. Write n/a for what is not known.

    Several scans of one person are called sub-01_ses-1, sub-01_ses-2, or have a column session_id beside the same
    participant_id, or names of their own and the same person_id: then no fold has them in two sets.

    Marks in a table or Excel file have participant_id (and session_id where that is needed) and either i, j, k (voxel
    along the file's own axes), x_mm, y_mm, z_mm (world) or slice, x, y; files of one subject, or sheets, are called
    after it, or named in a column marks of the TABLE. How each was understood is printed. A column marks_on of the
    TABLE says which file i, j, k count on, where --marks-on does not fit all subjects.

    \b
    Examples:
      printf 'participant_id\\tmagnitude\\tphase\\n01\\tmag.nii.gz\\tphase.nii.gz\\n' > scans.tsv
      cmbtk import table scans.tsv --marks marks.xlsx -o study
      cmbtk import table scans.tsv --marks slicer/ --marks sub-07_labels.nii.gz -o study
    """

    name: ClassVar[str] = "table"
    place: ClassVar[str] = "table"

    resolution: str | None = resolution(silent=True)
    unmarked: Literal["patient", "read", "control"] = unmarked(silent=True)

    def find(self, place: Path, out: Path) -> Found:
        from ..io.spelling import on_disk
        from ..io.tables import ANY_SIGN, read_tsv
        from ..study.persons import same_person_hints
        from .marks.gather import with_marks
        from .places import check_place

        check_place(place, self.name)
        known = [*PARTICIPANTS.names, "marks_on", "marks"]
        heading = {name.casefold(): name for name in known}
        frame = read_tsv(
            place,
            ["participant_id"],
            heading=lambda name: heading.get(name.casefold(), name),
            checked=known,
            between=ANY_SIGN,
        )
        if frame.empty:
            raise DataError(f"{place}: holds no subject. Write one line per subject below the header.")
        rows = _rows(place, frame, known)
        subjects = [row["participant_id"] for row in rows]
        gathered = with_marks(
            [_scan(place, row) for row in rows],
            self,
            place,
            own={row["participant_id"]: on_disk(place.parent / str(row["marks"])) for row in rows if "marks" in row},
            on={row["participant_id"]: row["marks_on"] for row in rows if "marks_on" in row},
        )
        hints = same_person_hints(frame, subjects, PARTICIPANTS.columns)
        return Found(
            [settled(scan, self.resolution, self.unmarked, gathered.looked_at) for scan in gathered.scans],
            gathered.wrong,
            {"table": place, **gathered.tables},
            labels=gathered.labels or None,
            left_out=sorted(set(frame.columns) - set(known)),
            notes=[*gathered.notes, *(f"Warning: {place}: {hint}." for hint in hints)],
        )


def _scan(table: Path, row: Mapping[str, Any]) -> Scan:
    """A subject, of the line that tells of it."""
    from ..io.spelling import on_disk

    volumes = {kind: on_disk(table.parent / str(row[kind])) for kind in VOLUMES if kind in row}
    others = (*VOLUMES, "participant_id", "marks_on", "marks")
    return Scan(row["participant_id"], {name: value for name, value in row.items() if name not in others}, volumes)


def _rows(table: Path, frame: pd.DataFrame, known: Sequence[str]) -> list[dict[str, Any]]:
    """The subjects of a table of files, each value checked; what is n/a is left out."""
    import pandas as pd

    from ..study.persons import wrong_persons
    from .names import table_names

    problems = Problems()
    rows: list[dict[str, Any]] = []
    seen: dict[str, int] = {}
    names = table_names(frame)
    for line, given in enumerate(frame.to_dict("records"), 2):
        row = {name: value for name in known if not pd.isna(value := given.get(str(name)))}
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
    from ..io.tables import as_number

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
