"""What lies where a source was told to look, if it is not what it looks for."""

from __future__ import annotations

from pathlib import Path

from ..errors import MissingError
from ..io.bids_files import is_bids
from ..io.dicom import looks_like_dicom
from ..io.foreign import describe_folder
from ..study.layout import Study

__all__ = ["check_place"]

_TABLE = "Scans in any other order are imported from a table of files: `cmbtk import table --help`."


def check_place(place: Path, source: str) -> None:
    """Check that a source can look at a place.

    Parameters
    ----------
    place : Path
    source : {"authors", "bids", "dicom", "table"}

    Raises
    ------
    MissingError
        If there is nothing, or something that another source is for.
    """
    if not place.exists():
        raise MissingError(f"{place}: not found. Check the path.")
    if place.is_file():
        if source != "table":
            raise MissingError(f"{place}: is a file, not a folder. `cmbtk import table` takes tables of files.")
        return
    fits, what = {
        "bids": (is_bids, "is no BIDS folder"),
        "authors": (_is_authors, "no folder Data in it"),
        "dicom": (looks_like_dicom, "holds no DICOM"),
        "table": (lambda _: False, "is a folder, not a table"),
    }[source]
    if not fits(place) or (source == "bids" and Study(place).settings.is_file()):
        here = sorted(path.name for path in place.iterdir())
        found = f"{', '.join(here[:5])}{' and more' * (len(here) > 5)}" or "nothing"
        raise MissingError(f"{place}: {what}; found {found}. {_instead(place)}")


def _instead(folder: Path) -> str:
    """What a folder is, and what to do with it."""
    if Study(folder).settings.is_file():
        return "It is a study already: `cmbtk check` looks at it."
    if is_bids(folder):
        return "It is a BIDS folder, which `cmbtk import bids` takes."
    if _is_authors(folder):
        return "It holds Data and Label, which `cmbtk import authors` takes."
    if looks_like_dicom(folder):
        return "It holds DICOM, which `cmbtk import dicom` takes."
    dicom = describe_folder(folder)
    return f"It {dicom}" if "DICOM" in dicom else _TABLE


def _is_authors(folder: Path) -> bool:
    return any(path.is_dir() and path.name.casefold() == "data" for path in folder.iterdir())
