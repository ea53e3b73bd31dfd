"""What the images of slices are called."""

from __future__ import annotations

import re

from .errors import DataError
from .names import SUBJECT, shown

__all__ = ["is_copy", "slice_stem", "split_stem"]


_STEM = re.compile(r"(?P<subject>sub-[0-9A-Za-z_-]+?)_slice-(?P<slice>\d{3,6})(?:_.*)?")


def slice_stem(subject: str, k: int, variant: str = "") -> str:
    """Stem of a slice's image: ``sub-001_slice-034`` with an optional ``_variant``; no dots (Darknet cuts there)."""
    return f"{SUBJECT.check(subject)}_slice-{k:03d}" + (f"_{variant}" if variant else "")


def split_stem(stem: str) -> tuple[str, int]:
    """Subject and slice of an image's stem."""
    match = _STEM.fullmatch(stem)
    if match is None or not SUBJECT.fits(match["subject"]):
        raise DataError(
            f"image {shown(stem)}: expected a name like sub-001_slice-034; the images come from `cmbtk prepare-yolo`."
        )
    return match["subject"], int(match["slice"])


def is_copy(stem: str) -> bool:
    """Whether an image is a turned or mirrored copy of a slice (``sub-001_slice-034_rot090``)."""
    match = _STEM.fullmatch(stem)
    return match is not None and stem != slice_stem(match["subject"], int(match["slice"]))
