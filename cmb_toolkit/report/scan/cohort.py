"""The page that lists the scans of a cohort."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .content import Light

__all__ = ["CohortRow", "cohort_page"]


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


def cohort_page(rows: Sequence[CohortRow]) -> str:
    """One file: a row a scan, sorted by a click on a heading; equal rows give equal bytes."""
    raise NotImplementedError
