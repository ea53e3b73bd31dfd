"""`cmbtk review write`: what readers need to look at findings."""

from __future__ import annotations

from pathlib import Path

from ..errors import UsageError
from ..io.publish import Record, publish
from ..review.handed import LABELS, SUMMARY, TABLE, asked_of, detected
from ..review.layout import Review
from ..review.writing import write
from ..schema import ASKED

__all__ = ["review_write"]

REVISION = 1


def review_write(out: Path, folder: Path) -> Review:
    """Hand out the findings of scans.

    What was handed out once is never replaced: readers may have written into it.

    Parameters
    ----------
    out : Path
        A folder of `cmbtk detect`, of one scan or of several.
    folder : Path
        Of the review.

    Raises
    ------
    UsageError
        If other findings were handed out there.
    MissingError, DataError, StorageError
    """
    scans = detected(out)
    files = {f"{scan.name} {name}": scan.folder / name for scan in scans for name in (SUMMARY, TABLE, LABELS)}
    record = Record("review-write", {}, files, revision=REVISION)
    review = Review(folder)
    if record.is_current(review.handed_out):
        return review
    if review.handed_out.exists() or review.rounds():
        raise UsageError(
            f"{folder}: other findings than those in {out} were handed out here, and readers may have written into "
            "them. Choose another folder."
        )
    with publish(review.handed_out, record) as target:
        target.mkdir()
        target.note(columns=ASKED.described())
        write(target, scans, asked_of(scans))
    return review
