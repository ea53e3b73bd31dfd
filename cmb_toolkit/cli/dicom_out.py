"""What ``cmbtk detect`` does where DICOM is wanted of what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..detect.recipe import Detecting
from ..errors import Problems, UsageError
from ..exports.dicom.recipe import DicomOut
from ..recipe import declared
from ..wording import counted
from .progress import progress

if TYPE_CHECKING:
    from ..steps.detect import DetectSummary
    from ..study.scan import Scan

__all__ = ["AsDicom"]


class AsDicom:
    """Writes DICOM, if it is wanted; else nothing.

    Parameters
    ----------
    wanted : DicomOut
    looked : Detecting
        How scans are looked at.
    place : Path or None
        Where they are.
    out : Path
        Where the results go.

    Raises
    ------
    UsageError, MissingError
        If what is needed for it is not there.
    """

    def __init__(self, wanted: DicomOut, looked: Detecting, place: Path | None, out: Path) -> None:
        self._wanted, self._looked = wanted, looked
        if wanted.dicom_out is not None:
            from ..steps.dicom import series_to_refer_to

            self._series = series_to_refer_to(place, wanted, out)
            return
        for name, each in declared(DicomOut).items():
            if getattr(wanted, each.field) != each.default:
                raise UsageError(f"--{name} goes with --dicom-out DIR.")

    def check(self, scans: Sequence[Scan]) -> None:
        """Look whether it can be written of scans, before they are looked at."""
        if self._wanted.dicom_out is not None:
            from ..steps.dicom import check_before

            check_before(scans, self._series, self._wanted)

    def write(self, scans: Sequence[Scan], summary: DetectSummary, problems: Problems | None = None) -> None:
        """Write it of those that were looked at, and say so."""
        if self._wanted.dicom_out is None:
            return
        from ..steps.dicom import write_dicom

        results = {str(each["subject"]): each["folder"] for each in summary.scans}
        with progress("DICOM") as on_progress:
            written = write_dicom(
                scans, results, self._series, self._wanted, self._looked, on_progress=on_progress, problems=problems
            )
        for name in written.without:
            click.echo(f"{name}: nothing was found: an SR that says so, and no SEG, which cannot be empty", err=True)
        count = counted(len(written.folders), "scan")
        click.echo(f"DICOM       {self._wanted.dicom_out}: of {count}; it names the patient")
