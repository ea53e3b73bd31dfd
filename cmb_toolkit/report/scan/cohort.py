"""The page that lists the scans of a cohort."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .content import Light
from .templates import render
from .words import CLASSES, LIGHTS, class_of, number, probability

__all__ = ["CohortRow", "cohort_page"]

_BINS = 12


@dataclass(frozen=True)
class CohortRow:
    """A scan in the list.

    Attributes
    ----------
    subject : str
    light : {"green", "amber", "red"}
    reasons : tuple of str
        Why not green.
    findings, candidates : int
        Kept, and before stage 2.
    best : float
        The highest probability (score where there is none) of a candidate, kept or not; NaN without any.
    brain_ml : float
    slices : int
    voxels : str
        Size of a voxel in words.
    link : str
        Path of the scan's page, relative to this one; empty where there is none.
    failed : str
        Why the scan could not be done; empty where it was. Numbers are not shown then.
    """

    subject: str
    light: Light = "red"
    reasons: tuple[str, ...] = ()
    findings: int = 0
    candidates: int = 0
    best: float = float("nan")
    brain_ml: float = float("nan")
    slices: int = 0
    voxels: str = ""
    link: str = ""
    failed: str = ""


@dataclass(frozen=True)
class _Bars:
    """A small distribution: heights from 0 to 1, how many each stands for, and what is written below."""

    title: str
    bars: tuple[tuple[float, int], ...]
    ticks: tuple[str, ...]
    note: str


def cohort_page(rows: Sequence[CohortRow]) -> str:
    """One file: a row a scan, sorted by a click on a heading; equal rows give equal bytes.

    Parameters
    ----------
    rows : sequence of CohortRow
        In the order in which they are listed at first.

    Returns
    -------
    str
        HTML. A link that is no relative path is left out.
    """
    done = [row for row in rows if not row.failed]
    return render(
        "cohort.html",
        "cohort.js",
        rows=[(row, _link(row.link)) for row in rows],
        counts=[(light, words, sum(row.light == light for row in done)) for light, words in LIGHTS.items()],
        scans=len(rows),
        failed=len(rows) - len(done),
        findings=sum(row.findings for row in done),
        pictures=[_findings([row.findings for row in done]), _volumes([row.brain_ml for row in done])],
        number=number,
        probability=probability,
        value=lambda value: "" if math.isnan(value) else repr(value),
    )


def _link(path: str) -> str:
    """Paths below the page only: no address, no script, no way out."""
    parts = path.split("/")
    return "" if not path or ":" in path or "\\" in path or not parts[0] or ".." in parts else path


def _findings(counts: Sequence[int]) -> _Bars:
    tally = np.bincount([class_of(count) for count in counts], minlength=len(CLASSES))
    return _Bars("Findings a scan", _heights(tally), CLASSES, f"{sum(counts)} in {len(counts)} scans")


def _volumes(values: Sequence[float]) -> _Bars:
    known = np.array([value for value in values if not math.isnan(value)])
    if not known.size:
        return _Bars("Brain mask", (), (), "not known")
    low, high = float(known.min()), float(known.max())
    tally, _ = np.histogram(known, bins=_BINS, range=(low, high if high > low else low + 1))
    ticks = (f"{low:.0f}", f"{high:.0f} ml")
    return _Bars("Brain mask", _heights(tally), ticks, f"median {np.median(known):.0f} ml")


def _heights(tally: np.ndarray[tuple[int], np.dtype[np.int_]]) -> tuple[tuple[float, int], ...]:
    most = max(1, int(tally.max()))
    return tuple((round(int(n) / most, 3), int(n)) for n in tally)
