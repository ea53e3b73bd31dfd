"""What images cannot be that are given as a magnitude or a phase.

`cmbtk preprocess`, `cmbtk swi` and `cmbtk check` ask here, so that what one refuses the others do not pass.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import DataError
from ..imaging.overflow import overflowed
from ..io.nifti import Volume

__all__ = ["check_signal", "same_values"]

_NEGATIVE = 0.01
"""A magnitude may have this share of negative voxels: interpolation rings. A phase has half of them."""


def check_signal(role: str, image: Volume) -> tuple[str, ...]:
    """Check that the values of a magnitude or SWI can be such.

    Returns
    -------
    tuple of str
        What was strange and can be dealt with: few negative values, which are to be set to 0.

    Raises
    ------
    DataError
        If bright voxels overflowed, or so many values are negative that it is another image.
    """
    negative = int((image.data < 0).sum())
    if not negative:
        return ()
    wrong = overflowed(image.data)
    if wrong:
        raise DataError(
            f"{image.path}: {wrong:,} voxels are strongly negative beside the brightest ones ({image.data.min():g} "
            f"beside {image.data.max():g}): bright signal went past the end of the file's number type (int16 overflow) "
            "and would be taken for dark. Convert the scan again, as floating point or with a smaller scale."
        )
    if negative > _NEGATIVE * image.data.size:
        raise DataError(
            f"{image.path}: {negative / image.data.size:.0%} of its values are negative, which a {role} has not. Is it "
            "the phase? Give the files in the right order."
        )
    return (f"{negative:,} of its {image.data.size:,} values are negative and count as 0",)


def same_values(role: str, image: Path, phase: Path) -> DataError:
    """That an image and the phase hold the same values."""
    return DataError(
        f"{image} and {phase}: {role} and phase hold the same values. Give the right file for one of them, "
        "or of a 4-D file the right volumes (--echo for the magnitude, --phase-volume for the phase)."
    )
