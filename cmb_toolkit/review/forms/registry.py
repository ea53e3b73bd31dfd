"""What verdicts are read from, by the endings of files' names."""

from __future__ import annotations

from pathlib import Path

from ...errors import DataError, MissingError
from ...io.files import read_bytes
from ...registry import load
from .base import Returned

__all__ = ["FORMS", "read_returned", "returned_files"]

FORMS: dict[str, tuple[str, tuple[str, ...]]] = {
    # name: (function, endings)
    "table": ("cmb_toolkit.review.forms.table:read", (".tsv", ".csv", ".txt")),
    "Excel": ("cmb_toolkit.review.forms.sheets:read", (".xlsx", ".xlsm")),
    "3D Slicer": ("cmb_toolkit.review.forms.points:read", (".mrk.json",)),
    "3D Slicer, old": ("cmb_toolkit.review.forms.points:read_old", (".fcsv",)),
    "label map": ("cmb_toolkit.review.forms.label_map:read", (".nii", ".nii.gz")),
}

_OTHERWISE = {
    ".seg.nrrd": "Export the segmentation as a NIfTI label map (3D Slicer: Segmentations, Export to files, NIfTI)",
    ".nrrd": "Save the label map as NIfTI (.nii.gz)",
    ".mps": "Save the points in 3D Slicer as .mrk.json, or write them into the table that was handed out",
    ".itksnap": "Save the segmentation in ITK-SNAP as a NIfTI label map",
    ".xls": "Save it as .xlsx",
    ".ods": "Save it as .xlsx",
}

CHECK = "Check the path of what the reader gave back."


def read_returned(path: Path) -> Returned:
    """What a file that came back says, by the reader of its kind.

    Raises
    ------
    MissingError, DataError
    """
    place = _reader(path)
    if not path.exists():
        raise MissingError(f"{path}: not found. {CHECK}")
    if place is None:
        remedy = next((say for end, say in _OTHERWISE.items() if path.name.casefold().endswith(end)), None)
        endings = ", ".join(end for _, ends in FORMS.values() for end in ends)
        raise DataError(f"{path}: verdicts are not read from such a file. {remedy or f'Save it as one of {endings}'}.")
    returned: Returned = load(place)(path)
    return returned


def returned_files(given: Path) -> list[Path]:
    """The file, or all files of a folder that verdicts may be in; names of ITK-SNAP's labels are passed over.

    Raises
    ------
    MissingError
        If there is none.
    """
    if not given.is_dir():
        return [given]
    found = sorted(path for path in given.rglob("*") if path.is_file() and not path.name.startswith((".", "~$")))
    mine = [path for path in found if _reader(path) is not None and not _names_labels(path)]
    if not mine:
        raise MissingError(f"{given}: holds no file that verdicts are read from. {CHECK}")
    return mine


def _names_labels(path: Path) -> bool:
    return path.suffix == ".txt" and b"ITK-SnAP" in read_bytes(path, CHECK)[:200]


def _reader(path: Path) -> str | None:
    name = path.name.casefold()
    fitting = [(len(end), place) for place, ends in FORMS.values() for end in ends if name.endswith(end)]
    return max(fitting)[1] if fitting else None
