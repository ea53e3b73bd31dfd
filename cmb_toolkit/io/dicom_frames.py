"""Where the frames of DICOM images lie, and what their pixels are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, MissingError
from ..extras import how_to_install

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["Frame", "Series", "header", "pixels", "series_in"]

_PREAMBLE = 128
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_NEEDED = [
    "Modality",
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "SeriesNumber",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "PixelSpacing",
    "RescaleSlope",
    "RescaleIntercept",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
]
"""Of a header, and nothing of whom."""


@dataclass(frozen=True)
class Frame:
    """A plane of an image.

    Attributes
    ----------
    path : Path
    number : int
        Of the frame in its file, from 0.
    affine : (4, 4) array
        From (column, row, 0, 1), counted from 0 at pixels' centres, to world coordinates [mm, RAS].
    shape : (int, int)
        Columns and rows.
    slope, intercept : float
        What stored values are to be multiplied with and added to.
    """

    path: Path
    number: int
    affine: NDArray[np.float64]
    shape: tuple[int, int]
    slope: float
    intercept: float


@dataclass(frozen=True)
class Series:
    """Frames that are of one series, and of one file where that holds several.

    Attributes
    ----------
    number : int
        As the scanner counts.
    examination : str
        UID of what it is a part of.
    many : bool
        Whether they are all in one file.
    frames : tuple of Frame
    """

    number: int
    examination: str
    many: bool
    frames: tuple[Frame, ...]


def series_in(folder: Path) -> list[Series]:
    """The MR series in a folder, and in folders of it, each instance once.

    Raises
    ------
    MissingError
        If pydicom is not installed, or no MR image with a place lies in the folder.
    """
    _pydicom()
    seen: set[str] = set()
    found: dict[tuple[str, str], list[Frame]] = {}
    of: dict[tuple[str, str], tuple[int, str]] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        said = _said(path)
        if said is None or said.SOPInstanceUID in seen:
            continue
        seen.add(said.SOPInstanceUID)
        frames = list(_frames(path, said))
        key = (str(said.get("SeriesInstanceUID", "")), str(path) if "NumberOfFrames" in said else "")
        if frames:
            found.setdefault(key, []).extend(frames)
            of[key] = int(said.get("SeriesNumber") or 0), str(said.get("StudyInstanceUID", ""))
    if not found:
        raise MissingError(
            f"{folder}: holds no MR image in DICOM that says where it lies. Give the folder of the scans as the "
            "scanner stored them with --dicom-from."
        )
    return [Series(*of[key], key[1] != "", tuple(frames)) for key, frames in found.items()]


def header(path: Path) -> Dataset:
    """All that a DICOM file says but its pixels, with that of whom.

    Raises
    ------
    MissingError
        If pydicom is not installed, or the file is gone.
    """
    pydicom = _pydicom()
    try:
        said: Dataset = pydicom.dcmread(path, stop_before_pixels=True)
    except FileNotFoundError as error:
        raise MissingError(f"{path}: is gone. Run the same command again.") from error
    return said


def pixels(frame: Frame) -> NDArray[np.float32]:
    """The values of a frame, (column, row).

    Raises
    ------
    DataError
        If they cannot be decoded.
    """
    values = _stored(frame.path)
    plane = values[frame.number] if values.ndim > 2 else values
    return np.asarray(plane.T, np.float32) * np.float32(frame.slope) + np.float32(frame.intercept)


@lru_cache(maxsize=1)
def _stored(path: Path) -> NDArray[Any]:
    pydicom = _pydicom()
    try:
        values: NDArray[Any] = pydicom.dcmread(path).pixel_array
    except Exception as error:  # of whatever decoder there is
        raise DataError(
            f"{path}: its pixels cannot be decoded ({str(error).splitlines()[0][:100]}). Store the series without "
            "compression."
        ) from error
    return values


def _pydicom() -> Any:
    try:
        import pydicom
    except ImportError as error:
        raise MissingError(
            f"pydicom: not found, and DICOM needs it. Install it with `{how_to_install('dicom')}`."
        ) from error
    return pydicom


def _said(path: Path) -> Dataset | None:
    """What is needed of a header; None where a file is no MR image."""
    with path.open("rb") as stream:
        if stream.read(_PREAMBLE + 4)[_PREAMBLE:] != b"DICM":
            return None
    try:
        said: Dataset = _pydicom().dcmread(path, specific_tags=_NEEDED, stop_before_pixels=True)
    except Exception:  # damaged: it cannot be the one that was looked at
        return None
    return said if said.get("Modality") == "MR" and "SOPInstanceUID" in said and "Rows" in said else None


def _frames(path: Path, said: Dataset) -> Iterator[Frame]:
    shared: Any = next(iter(said.get("SharedFunctionalGroupsSequence") or ()), {})
    each = said.get("PerFrameFunctionalGroupsSequence") or [{}]
    for number, own in enumerate(each):

        def of(group: str, name: str, own: Any = own) -> Any:
            """Of the frame, of all frames, or of the file."""
            for place in (own, shared):
                for item in place.get(group) or ():
                    if name in item:
                        return item[name].value
            return said.get(name)

        orientation = of("PlaneOrientationSequence", "ImageOrientationPatient")
        position = of("PlanePositionSequence", "ImagePositionPatient")
        spacing = of("PixelMeasuresSequence", "PixelSpacing")
        if not (orientation and position and spacing):
            continue
        slope, intercept = (of("PixelValueTransformationSequence", f"Rescale{name}") for name in ("Slope", "Intercept"))
        yield Frame(
            path,
            number,
            _affine(orientation, position, spacing),
            (int(said.Columns), int(said.Rows)),
            1.0 if slope is None else float(slope),
            0.0 if intercept is None else float(intercept),
        )


def _affine(orientation: Any, position: Any, spacing: Any) -> NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[:3, 0] = np.array(orientation[:3], float) * float(spacing[1])  # from column to column, along a row
    matrix[:3, 1] = np.array(orientation[3:], float) * float(spacing[0])
    matrix[:3, 2] = np.cross(matrix[:3, 0], matrix[:3, 1])
    matrix[:3, 3] = np.array(position, float)
    return _LPS_TO_RAS @ matrix
