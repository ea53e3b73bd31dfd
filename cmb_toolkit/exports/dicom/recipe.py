"""What can be chosen when findings become DICOM."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...recipe import Recipe, option

__all__ = ["DicomOut"]


@dataclass(frozen=True)
class DicomOut(Recipe):
    """Where DICOM objects go, what they refer to, and which there are."""

    dicom_out: Path | None = option(
        None,
        "Write what was found as DICOM as well: of each scan a segmentation (SEG) and a structured report (SR) into a "
        "folder here. They name the patient, as the standard wants, and OUT does not.",
        folders=True,
        metavar="DIR",
    )
    dicom_from: Path | None = option(
        None,
        "Where the DICOM series lie that the scans were made from; found by their voxels and values.",
        folders=True,
        metavar="DIR",
        otherwise="SCANS",
    )
    dicom_labelmap: bool = option(
        False, "The SEG as one map of labels (Supplement 243), which few programs read yet, not a bit map a finding."
    )
    dicom_pages: bool = option(
        False, "Pictures of the findings as well (Secondary Capture), for archives that show neither SEG nor SR."
    )
