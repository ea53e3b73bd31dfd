"""BIDS sidecars: how a scan was acquired, from the ``.json`` beside it, and what its name says that it is.

Only what describes the acquisition is taken. Names, dates, identifiers, serial numbers, institutions and free text
(descriptions, protocol names) stay where they are: whatever is not in the list is left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import CmbError
from .files import load_json

__all__ = ["ACQUISITION", "echo_time_ms", "part_of", "read_acquisition"]

ACQUISITION = (
    "Manufacturer",
    "ManufacturersModelName",
    "SoftwareVersions",
    "MagneticFieldStrength",
    "ImagingFrequency",
    "MRAcquisitionType",
    "ScanningSequence",
    "SequenceVariant",
    "ScanOptions",
    "ImageType",
    "EchoNumber",
    "EchoTime",
    "EchoTime1",
    "EchoTime2",
    "RepetitionTime",
    "FlipAngle",
    "PixelBandwidth",
    "SliceThickness",
    "SpacingBetweenSlices",
    "ParallelReductionFactorInPlane",
    "ParallelAcquisitionTechnique",
    "PartialFourier",
    "PhaseEncodingDirection",
    "ConversionSoftware",
    "ConversionSoftwareVersion",
)
"""What is taken of a sidecar (BIDS 1.9 names; times in s, angles in degrees, field in T)."""

_LONGEST_TEXT = 100
_LARGEST = 1 << 24
_LARGEST_NUMBER = 1e300
_PART = re.compile(r"(?:^|_)part-(mag|phase|real|imag)(?:_|\.|$)")


def read_acquisition(path: Path) -> dict[str, Any]:
    """Read how a scan was acquired.

    Parameters
    ----------
    path : Path
        The sidecar.

    Returns
    -------
    dict
        Those of `ACQUISITION` that the sidecar has as numbers, short texts or lists of these; empty where there is no
        sidecar or it is not JSON: it is read for the record only.
    """
    try:
        found = load_json(path, "It is read for the record only.", _LARGEST)
    except CmbError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: found[key] for key in ACQUISITION if key in found and _is_plain(found[key])}


def echo_time_ms(acquisition: Mapping[str, Any], echo: int | None = None) -> float | None:
    """Echo time [ms], of a list the one of `echo` (from 1); None where it is not known."""
    seconds = acquisition.get("EchoTime")
    if isinstance(seconds, list):
        seconds = seconds[echo - 1] if echo is not None and 1 <= echo <= len(seconds) else None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    return 1000.0 * seconds if math.isfinite(seconds) and seconds > 0 else None


def part_of(image: Path) -> str | None:
    """What a name says after ``part-``: ``mag``, ``phase``, ``real`` or ``imag``; None where it says nothing."""
    match = _PART.search(image.name)
    return match[1] if match else None


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_plain(part) and not isinstance(part, list) for part in value)
    if isinstance(value, str):
        return len(value) <= _LONGEST_TEXT and value.isprintable()
    return isinstance(value, int | float) and abs(value) < _LARGEST_NUMBER
