"""`cmbtk review read`: what readers gave back becomes a round, and all rounds what they agree on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..errors import DataError, Problems
from ..io.nifti import read_grid
from ..io.publish import Record, publish, read_record
from ..io.tables import read_tsv, write_tsv
from ..names import READER, safe_id
from ..review.agreeing import agreed, last_words, microbleeds, scans_reviewed
from ..review.forms.base import Returned
from ..review.forms.registry import read_returned, returned_files
from ..review.handed import read_asked
from ..review.layout import Review
from ..review.reading import Reading, enter
from ..schema import AGREED, REVIEWED, ROUND, WORLD
from ..sources.marks.whose import subject_of_file
from ..sources.names import name_marks
from ..study.place_marks import grid_problem

__all__ = ["ReviewSummary", "review_read"]

REVISION = 1


@dataclass(frozen=True)
class ReviewSummary:
    """What a review has come to.

    Attributes
    ----------
    review : Review
    round : Path
        What was read now.
    new : bool
        Whether it was not read before.
    how : tuple of str
        As what the files were understood.
    unmatched : tuple of str
        What is about nothing that was handed out.
    words : DataFrame
        The last verdict of each reader on each thing, :data:`cmb_toolkit.schema.ROUND`.
    agreed : DataFrame
        :data:`cmb_toolkit.schema.AGREED`.
    scans : DataFrame
        :data:`cmb_toolkit.schema.REVIEWED`.
    """

    review: Review
    round: Path
    new: bool
    how: tuple[str, ...]
    unmatched: tuple[str, ...]
    words: pd.DataFrame
    agreed: pd.DataFrame
    scans: pd.DataFrame


def review_read(folder: Path, given: Sequence[Path], reader: str = "reader") -> ReviewSummary:
    """Read a round.

    A file that is not understood, or of nobody known, keeps all of the round out: nothing is entered by halves.

    Parameters
    ----------
    folder : Path
        Of the review.
    given : sequence of Path
        Files, or folders of files, that came back.
    reader : str
        Who gave back what does not say so itself.

    Raises
    ------
    MissingError, DataError, StorageError
    """
    review = Review.opened(folder)
    asked = read_asked(review.asked)
    files = [(path, each) for each in given for path in returned_files(each)]
    sources = {f"file {n}": path for n, (path, _) in enumerate(files, 1)}
    record = Record("review-read", {"reader": READER.check(reader, "--reader")}, sources, revision=REVISION)
    rounds = review.rounds()
    same = next((path for path in rounds if record.is_current(path)), None)
    before = [_read_round(path) for path in rounds]
    reading = Reading(_known(asked, before), tuple(dict.fromkeys(asked["participant_id"])))
    how: tuple[str, ...] = ()
    if same is None:
        how = _enter(reading, review, files, asked, reader)
        if not reading.rows:
            raise DataError(
                f"{files[0][0]}: {'and the other files ' * (len(files) > 1)}say nothing of what was handed out. Fill "
                "in the column verdict, with yes, no or unsure."
            )
        target = review.next_round()
        with publish(target, record) as out:
            out.note(columns=ROUND.described(), unmatched=len(reading.unmatched))
            write_tsv(reading.table(), out)
        rounds.append(target)
    words = last_words([*before, *([_read_round(rounds[-1])] if same is None else [])])
    table = agreed(_known(asked, []), words)
    scans = scans_reviewed(reading.scans, table, words)
    _write_agreed(review, rounds, table, scans)
    return ReviewSummary(review, same or rounds[-1], same is None, how, tuple(reading.unmatched), words, table, scans)


def _known(asked: pd.DataFrame, rounds: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """All that has an id: what was handed out, and what was added in earlier rounds."""
    columns = ["participant_id", "id", *WORLD, "added"]
    handed = asked[asked["id"].notna()].assign(added="no")[columns].astype({"id": int})
    added = [table.loc[(table["added"] == "yes") & (table["id"] > 0), columns] for table in rounds]
    return pd.concat([handed, *added], ignore_index=True).drop_duplicates(["participant_id", "id"], ignore_index=True)


def _read_round(path: Path) -> pd.DataFrame:
    table = read_tsv(path, ROUND.needed, may_lack=WORLD, cure="Read the round again with `cmbtk review read`.")
    if (read_record(path) or {}).get("step") != "review-read":
        raise DataError(f"{path}: is not of `cmbtk review read`. Call it otherwise, and read it as a round.")
    return table.astype(dict.fromkeys((*WORLD, "moved_mm"), float))


def _enter(
    reading: Reading, review: Review, files: Sequence[tuple[Path, Path]], asked: pd.DataFrame, reader: str
) -> tuple[str, ...]:
    """Enter all files; as what they were understood."""
    problems, how = Problems(), dict[str, None]()
    rows = asked[asked["id"].notna()].reset_index(drop=True)  # as they stand in the sheet that was handed out
    for path, root in files:
        with problems.of(""):
            returned = read_returned(path)
            how[returned.how] = None
            for scan, who, mine in _parts(path, root, returned, reading, rows, reader):
                if returned.whole:
                    _check_grid(path, review.handed_out / f"{scan}.nii.gz")
                enter(reading, scan, who, returned, mine)
    problems.raise_if_any()
    return tuple(how)


def _parts(
    path: Path, root: Path, returned: Returned, reading: Reading, handed: pd.DataFrame, reader: str
) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """The rows of a file, scan by scan and reader by reader."""
    rows = returned.rows.copy()
    scans = reading.scans
    if returned.row_of_sheet:
        rows["id"] = [
            _of_row(number, who, handed) for number, who in zip(rows["id"], rows["participant_id"], strict=True)
        ]
    if returned.whole or (len(rows) and not rows["participant_id"].any()):
        (only,) = scans if len(scans) == 1 else (subject_of_file(path, root if root.is_dir() else path.parent, scans),)
        if only is None:
            raise DataError(
                f"{path}: which scan it is of is not known. Call it after one of {', '.join(scans[:3])}"
                f"{' ...' * (len(scans) > 3)}, as it was handed out."
            )
        rows["participant_id"] = only
        if returned.whole:
            yield only, reader, rows
            return
    nobody = rows[rows["participant_id"] == ""]
    if len(nobody):
        raise DataError(f"{nobody['where'].iloc[0]} does not say which scan it is of (participant_id). Fill it in.")
    rows["participant_id"] = name_marks(path, rows, scans, Path("the review"))
    rows["reader"] = rows["reader"].where(rows["reader"] != "", reader)
    for (scan, who), mine in rows.groupby(["participant_id", "reader"], sort=False):
        said = mine[(mine["verdict"] != "") | mine["id"].isna() & mine[[*WORLD]].notna().all(axis=1)]
        twice = said["id"][said["id"].notna() & said["id"].duplicated()]
        if len(twice):
            raise DataError(
                f"{said.loc[twice.index[0], 'where']} says something of id {twice.iloc[0]:g} of {scan} a second time. "
                "Keep one line of each finding and reader."
            )
        if len(said):
            yield str(scan), str(who), said


def _of_row(number: float, scan: str, handed: pd.DataFrame) -> float:
    """The id of a finding by its row in the sheet that was handed out; NaN where there stands none of this scan's."""
    row = int(number) - 2 if number == number else -1  # noqa: PLR0124 (NaN)
    if not 0 <= row < len(handed) or handed["participant_id"][row] != (safe_id(scan) or scan):
        return float("nan")
    return float(handed["id"][row])


def _check_grid(path: Path, handed: Path) -> None:
    """Refuse a label map on other voxels than the scan's."""
    if path.name.casefold().endswith((".nii", ".nii.gz")) and (
        problem := grid_problem(read_grid(handed), read_grid(path))
    ):
        raise DataError(f"{path}: is no label map of this scan: {problem}")


def _write_agreed(review: Review, rounds: Sequence[Path], table: pd.DataFrame, scans: pd.DataFrame) -> None:
    record = Record(
        "review-agree", {}, {"handed out": review.asked, **{path.name: path for path in rounds}}, None, REVISION
    )
    if record.is_current(review.agreed):
        return
    with publish(review.agreed, record) as folder:
        folder.mkdir()
        folder.note(columns={"findings": AGREED.described(), "scans": REVIEWED.described()})
        write_tsv(table, folder / review.findings.name)
        write_tsv(scans, folder / review.scans.name)
        write_tsv(microbleeds(table)[["participant_id", *WORLD]], folder / review.microbleeds.name)
