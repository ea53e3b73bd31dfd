"""The layout in which the paper's authors gave away their data: folders Data and Label."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ..errors import CmbError, DataError, Problems
from ..model import LABEL_AXES, LabelAxes
from ..recipe import option
from .base import Found, Marks, Scan, Source, Way, marks_on, resolution, unmarked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..io.authors import AuthorsFiles
    from ..io.nifti import Grid

__all__ = ["Authors"]


@dataclass(frozen=True)
class Authors(Source):
    """Make a study from the layout in which the paper's authors gave away their data.

    FOLDER holds Data and Label. In Data lie the magnitude, phase and SWI volumes (.nii or .nii.gz) of each subject,
    nested in any way, recognised by mag(nitude), pha(se) or swi in the file's or else the nearest folder's name:
    Data/<subject>/SWI.nii.gz, Data/<subject>_SWI.nii, Data/SWI/<subject>.nii.gz. In Label lies one Excel file (.xlsx)
    a subject, of the same name, with a microbleed a row. Headings say which column is slice (or z), x (column) and
    y (row), in any order and beside others; without headings there are three columns, in this order. What is not
    understood is refused; labels in files of other kinds are named.

    An empty sheet says that somebody looked and found none; a subject without a sheet was not read, unless --unmarked
    says otherwise. Names such as p07_ses-1 and p07_ses-2 are two scans of one person and stay so.

    How the sheets count is not known from the data: try the defaults, then look whether `cmbtk check` finds the marks
    on dark spots.

    \b
    Example:
      cmbtk import authors /data/yonsei -o study --label-base 1 --unmarked control
    """

    name: ClassVar[str] = "authors"
    place: ClassVar[str] = "folder"

    label_base: int = option(1, "What the sheets call the first slice, column and row.", choices=(1, 0))
    label_axes: LabelAxes = option(
        "voxel",
        "What x and y count. voxel: x along the file's first axis, y along its second, as voxel viewers show them; "
        "array: x along the second, y along the first, as MATLAB shows volume(:,:,slice); image: columns from the left "
        "and rows from the top of a radiological view (patient's right on the left, anterior on top).",
        choices=LABEL_AXES,
    )
    marks_on: str | None = marks_on()
    resolution: str | None = resolution()
    unmarked: Literal["patient", "read", "control"] = unmarked()
    keep_names: bool = option(False, "Keep the files' names as identifiers instead of sub-001, sub-002 ...")
    key: Path | None = option(
        None,
        "Write here which name became which identifier. Keep it apart from the study: it may name people.",
    )

    def find(self, place: Path, out: Path) -> Found:
        from ..io.authors import find_authors_files
        from .names import kept_names, numbered
        from .places import check_place

        check_place(place, self.name)
        files = find_authors_files(place)
        notes = [_beside_the_sheets(place, files, self.unmarked)] if files.unread else []
        names = list(files.volumes)
        identifiers = kept_names(names) if self.keep_names else numbered(names)
        wrong = Problems()
        return Found(
            [self._scan(files, name, identifiers[name], wrong) for name in names],
            wrong,
            labels=list(files.sheets.values()),
            left_out=files.left_out,
            key=self.key,
            names={identifier: name for name, identifier in identifiers.items()},
            notes=notes,
        )

    def _scan(self, files: AuthorsFiles, name: str, subject: str, wrong: Problems) -> Scan:
        """A subject; an empty sheet says that somebody looked and found nothing."""
        from ..io.sheets import read_sheet

        marks = None
        sheet = files.sheets.get(name)
        if sheet is not None:
            try:
                table = read_sheet(sheet)
            except CmbError as error:
                wrong.add(error)
            else:
                where = [f"{sheet}: row {row}" for row in table["row"]]
                ways = dict(self._ways(table[["slice", "x", "y"]].to_numpy(int)))
                marks = Marks(str(sheet), where, ways, self.marks_on) if where else None
        facts: dict[str, Any] = {"resolution": self.resolution} if self.resolution else {}
        if marks is None and self.unmarked == "control":
            facts["group"] = "control"
        if marks is None and (self.unmarked == "read" or sheet is not None):
            facts["read"] = "yes"
        return Scan(subject, facts, files.volumes[name], marks)

    def _ways(self, labels: NDArray[np.int_]) -> Iterator[tuple[str, Way]]:
        """Every way in which labels (slice, x, y) may count, as was said first."""
        ways = [(base, axes) for base in (0, 1) for axes in LABEL_AXES]
        for base, axes in sorted(ways, key=lambda way: way != (self.label_base, self.label_axes)):
            yield f"--label-base {base} --label-axes {axes}", partial(_counted, labels, base, axes)


def _counted(labels: NDArray[np.int_], base: int, axes: LabelAxes, grid: Grid) -> NDArray[np.int_]:
    from ..io.marks import labels_to_canonical

    return labels_to_canonical(labels, grid.shape, grid.affine, base=base, axes=axes)


def _beside_the_sheets(folder: Path, files: AuthorsFiles, unmarked: str) -> str:
    """Speak of files that may be labels and are not read.

    Raises
    ------
    DataError
        If for want of them somebody would become a control, or a patient in whom nothing was found.
    """
    listed = ", ".join(str(path.relative_to(folder)) for path in files.unread[:5]) + " ..." * (len(files.unread) > 5)
    what = f"{folder}: not read, though it may hold labels: {listed}. Labels are Excel files (.xlsx) in Label."
    if unmarked != "patient" and files.volumes.keys() - files.sheets.keys():
        raise DataError(
            f"{what} With --unmarked {unmarked}, subjects without such a file would count as without microbleeds. Save "
            "the labels so, move away what is none, or leave the option out."
        )
    return f"Note: {what}"
