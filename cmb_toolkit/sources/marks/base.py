"""What can be said of marks, and what a reader of them gives.

A reader is a function ``read(path, options)`` in a file of its own, and a line of
:mod:`cmb_toolkit.sources.marks.registry`. The options are shown by commands, so that this module imports little.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ...model import LABEL_AXES, LabelAxes
from ...recipe import Recipe, option
from ..base import marks_on

if TYPE_CHECKING:
    import pandas as pd

    from ...io.nifti import Grid

__all__ = ["CHECK", "LABEL", "MarkOptions", "Reading"]

CHECK = "Check the path of the marks."
"""What to do where a file of them is not there."""

LABEL = ("slice", "x", "y")
"""Columns of a place as viewers count it."""


@dataclass(frozen=True)
class MarkOptions(Recipe):
    """Where the marks are, and how they count."""

    marks: tuple[Path, ...] = option(
        (),
        "The microbleeds' positions: a table or Excel file of all subjects; or a file of one subject, called after it "
        "(.tsv, .csv, .xlsx, 3D Slicer's .mrk.json and .fcsv, a label map .nii.gz); or a folder of such, or a pattern "
        "in quotes, 'data/*_CMB.nii.gz'. May be given several times.",
        folders=True,
    )
    label_base: int = option(0, "What i, j, k (or slice, x, y) of the marks call the first voxel.", choices=(0, 1))
    label_axes: LabelAxes = option(
        "voxel",
        "What x and y beside a slice count; see `cmbtk import authors --help`.",
        choices=LABEL_AXES,
        silent=True,
    )
    label_map: Literal["component", "value"] = option(
        "component",
        "What one lesion of a label map is: voxels of one value that touch each other, or all voxels of a value.",
        silent=True,
    )
    marks_on: str | None = marks_on()


@dataclass(frozen=True)
class Reading:
    """The marks of one file.

    Attributes
    ----------
    how : str
        How it was understood: the format, the coordinates.
    points : DataFrame
        A mark a row: `where` it stands, for messages; participant_id (and session_id), or the `sheet` that is called
        after a subject, if the file names several; and i, j, k, or slice, x, y (:data:`LABEL`), and x_mm, y_mm, z_mm,
        as it has them.
    seen : tuple of str
        What the file may call a subject whether or not it has marks of him: its sheets.
    unread : tuple of str
        Such of which nothing was understood.
    grid : Grid, optional
        Whose voxels i, j, k count, from 0; else those of the scan.
    left_out : mapping of str to int
        Why points were left out, and how many.
    """

    how: str
    points: pd.DataFrame
    seen: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    grid: Grid | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
