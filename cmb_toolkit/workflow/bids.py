"""``cmbtk bids``: the scans of a BIDS folder looked at, and the results as a derivative of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..bundle.files import opened
from ..detect.derivative import describe_dataset, write_scan
from ..detect.recipe import Detecting
from ..errors import Problems
from ..model import OnProgress
from ..steps.detect import DetectSummary, detect
from ..study.scan import Scan

__all__ = ["as_derivative"]

WORK = ".cmbtk"
"""Folder in the derivative where `cmbtk detect` writes; validators pass over it."""


def as_derivative(
    scans: Sequence[Scan],
    out: Path,
    model: Path,
    recipe: Detecting | None = None,
    *,
    jobs: int = 1,
    on_progress: OnProgress = lambda done, total, what: None,
    problems: Problems | None = None,
) -> DetectSummary:
    """Look at the scans of a BIDS folder, and give the results the standard's names.

    Parameters
    ----------
    scans : sequence of Scan
        From :func:`cmb_toolkit.sources.bids.scans_in`.
    out : Path
        The derivative.
    model, recipe, jobs, on_progress, problems
        As :func:`cmb_toolkit.steps.detect.detect` takes them.

    Raises
    ------
    UsageError, MissingError, DataError, StorageError
    """
    gathered = Problems() if problems is None else problems
    with opened(model) as bundle:
        describe_dataset(out, bundle.title)
    summary = detect(model, scans, out / WORK, recipe, jobs=jobs, on_progress=on_progress, problems=gathered)
    called = {scan.name: scan for scan in scans}
    for each in summary.scans:
        write_scan(out, called[each["subject"]], each["folder"], each)
    if problems is None:
        gathered.raise_if_any()
    return summary
