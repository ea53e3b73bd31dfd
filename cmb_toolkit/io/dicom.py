"""DICOM to NIfTI by dcm2niix, and what each image is.

What identifies somebody stays in a temporary folder: of the sidecars the acquisition is kept, of the headers nothing
that is text.
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from ..errors import DataError, MissingError
from ..extras import how_to_install
from .process import running

__all__ = ["KINDS", "Converted", "converted", "examination_in", "keep", "kind_of", "looks_like_dicom"]

KINDS = ("magnitude", "phase", "real", "imaginary", "swi")
"""Images that a scan is made of; there are ``projection``, ``field map`` [Hz], ``phase difference`` (of two echoes) and
``no MR image`` (a segmentation, a picture) besides."""

_KEPT = (
    "Modality",
    "MagneticFieldStrength",
    "Manufacturer",
    "ManufacturersModelName",
    "SoftwareVersions",
    "MRAcquisitionType",
    "ScanningSequence",
    "ImageType",
    "EchoTime",
    "EchoNumber",
    "RepetitionTime",
    "FlipAngle",
    "SliceThickness",
    "SpacingBetweenSlices",
    "ConversionSoftware",
    "ConversionSoftwareVersion",
)
"""Of a sidecar: how the image was acquired, and nothing of whom."""

_TEXTS = ((14, 18), (148, 80), (228, 24), (328, 16))
"""Where a NIfTI header has texts (db_name, descrip, aux_file, intent_name): offset and length [byte]."""

_PATIENCE_S = 600.0
_DEPTH = "9"
_PREAMBLE, _HEAD, _LOOKED_AT = 128, 1 << 16, 50
_EXAMINATION = re.compile(rb"\x20\x00\x0d\x00(?:UI..|..\x00\x00)([0-9.]{1,64})", re.DOTALL)
"""The tag (0020,000D) with or without its kind, in little endian as nearly all files have it."""

_SPOILING = re.compile(r"[^\t\r -~]|\\")
"""In a line of a sidecar: what is not plain ASCII, and the sign that gives others another meaning."""

_END = re.compile(r"_(fieldmaphz|ph|real|imaginary)[a-z]?$")
_BY_END = {"fieldmaphz": "field map", "ph": "phase", "real": "real", "imaginary": "imaginary"}
"""How dcm2niix ends names; a letter follows where two would be the same."""

_BY_TYPE: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"FIELDMAPHZ", "FIELD_MAP", "B0 MAP", "B0MAP"}), "field map"),
    (frozenset({"MNIP", "MIP", "MINIP", "MIN IP", "MINIMUM", "PROJECTION IMAGE"}), "projection"),
    (frozenset({"SWI", "SWI_M"}), "swi"),
    (frozenset({"REAL", "R"}), "real"),
    (frozenset({"IMAGINARY", "I"}), "imaginary"),
    (frozenset({"PHASE", "P", "PHASE MAP", "PHASE_MAP"}), "phase"),
    (frozenset({"MAGNITUDE", "M", "M_FFE"}), "magnitude"),
)
"""Words of ImageType, of which the first that is there decides: SWI and projections are magnitudes as well."""

_BY_WORD: tuple[tuple[tuple[str, ...], str], ...] = (
    (("mip", "minip", "min ip", "mnip"), "projection"),
    (("mag",), "magnitude"),
    (("pha",), "phase"),
    (("swi", "swan"), "swi"),
)
"""Words of the series' description, where ImageType says nothing or magnitude, which SWI and projections are too."""


@dataclass(frozen=True)
class Converted:
    """An image that dcm2niix made.

    Attributes
    ----------
    path : Path
        In a temporary folder.
    kind : str
    facts : mapping
        Its sidecar, with all that identifies.
    """

    path: Path
    kind: str
    facts: Mapping[str, Any]

    @property
    def series(self) -> int:
        """The number of its series; 0 where it has none."""
        return int(self.facts.get("SeriesNumber", 0))

    @property
    def echo_time_ms(self) -> float | None:
        time = self.facts.get("EchoTime")
        return None if time is None else 1000 * float(time)


def kind_of(name: str, facts: Mapping[str, Any]) -> str:
    """What an image is: by the end that dcm2niix gives its name, its ImageType, or the words of its series.

    Parameters
    ----------
    name : str
        Of the file, without its ending.
    facts : mapping
        Its sidecar.

    Returns
    -------
    str
        Empty where nothing says it.
    """
    if what := _no_image_of_a_scan(facts):
        return what
    if end := _END.search(name):
        return _BY_END[end[1]]
    types = {str(word).upper() for word in facts.get("ImageType", ())}
    by_type = next((kind for words, kind in _BY_TYPE if types & words), "")
    if by_type not in ("", "magnitude"):
        return by_type
    said = str(facts.get("SeriesDescription", "")).casefold().replace("_", " ")
    by_word = next((kind for words, kind in _BY_WORD if any(word in said for word in words)), "")
    if by_type:
        return by_word if by_word in ("projection", "swi") else by_type
    return by_word


def _no_image_of_a_scan(facts: Mapping[str, Any]) -> str:
    """What an image is that none of the words are asked of; empty of any other."""
    if facts.get("Modality", "MR") != "MR":
        return "no MR image"
    if str(facts.get("Units", "")).casefold() == "hz":
        return "field map"
    return "phase difference" if {"EchoTime1", "EchoTime2"} <= set(facts) else ""


def looks_like_dicom(folder: Path) -> bool:
    """Whether one of the first files in a folder, or in folders of it, is a DICOM file."""
    return examination_in(folder) is not None


def examination_in(folder: Path) -> str | None:
    """Which examination (StudyInstanceUID) the first DICOM file in a folder, or in folders of it, is of.

    Returns
    -------
    str or None
        Empty where the file does not say it in its first 64 kB; None where there is no DICOM among the first files.
    """
    for path in islice((path for path in folder.rglob("*") if path.is_file()), _LOOKED_AT):
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
        if head[_PREAMBLE : _PREAMBLE + 4] == b"DICM":
            found = _EXAMINATION.search(head)
            return found[1].decode("ascii") if found else ""
    return None


@contextmanager
def converted(folder: Path) -> Iterator[list[Converted]]:
    """Convert all DICOM files in a folder, and in folders of it; the images are gone after the block.

    Raises
    ------
    MissingError
        If there is no dcm2niix.
    DataError
        If it makes no image of them.
    """
    program = _dcm2niix()
    with tempfile.TemporaryDirectory(prefix="cmbtk-") as scratch:
        place = Path(scratch)
        words = [program, "-z", "n", "-b", "y", "-ba", "n", "-w", "2", "-d", _DEPTH, "-f", "%j_%e", "-o", scratch]
        cure = "Convert the scans yourself and take `cmbtk import table`."
        with running([*words, str(folder.resolve())], place, cure=cure, patience_s=_PATIENCE_S) as run:
            for _ in run.lines():
                pass
        images = _twins([_image(path) for path in sorted(place.glob("*.nii"))])
        if not images:
            raise DataError(f"{folder}: dcm2niix made no image of what is in it. Is it DICOM? Look with `dcm2niix`.")
        yield images


def _twins(images: list[Converted]) -> list[Converted]:
    """Images with magnitudes known as such that only their phase tells: what a series holds beside it (Philips)."""
    phases = {(image.series, image.echo_time_ms) for image in images if image.kind == "phase"}
    return [
        replace(image, kind="magnitude") if not image.kind and (image.series, image.echo_time_ms) in phases else image
        for image in images
    ]


def _image(path: Path) -> Converted:
    sidecar = path.with_suffix(".json")
    facts = _facts(sidecar) if sidecar.is_file() else {}
    return Converted(path, kind_of(path.stem, facts), facts)


def _facts(sidecar: Path) -> dict[str, Any]:
    """What a sidecar of dcm2niix says; of one that is spoilt what is plain in it.

    Names in East Asian scripts keep the bytes of their file there, among which are control characters and quotes.
    """
    text = sidecar.read_bytes().decode("utf-8", "replace")
    plain = "\n".join(line for line in text.split("\n") if not _SPOILING.search(line))
    for said in (text, plain):
        with suppress(ValueError):
            facts: dict[str, Any] = json.loads(said)
            return facts
    raise DataError(f"{sidecar.name}: dcm2niix wrote no JSON. Convert the scan yourself and take `cmbtk import table`.")


def keep(image: Converted, target: Path) -> None:
    """Write an image without anything that identifies, and beside it how it was acquired.

    Parameters
    ----------
    image : Converted
    target : Path
        ``.nii.gz``.
    """
    data = bytearray(image.path.read_bytes())
    for start, length in _TEXTS:
        data[start : start + length] = bytes(length)
    with target.open("wb") as stream, gzip.GzipFile("", "wb", 6, stream, mtime=0) as packed:
        packed.write(data)
    facts = {name: image.facts[name] for name in _KEPT if name in image.facts}
    sidecar = target.with_name(target.name.removesuffix(".nii.gz") + ".json")
    sidecar.write_text(json.dumps(facts, indent=2) + "\n", "utf-8")


def _dcm2niix() -> str:
    """The program: the wheel's, or the one on the path."""
    try:
        import dcm2niix
    except ImportError:
        found = shutil.which("dcm2niix")
    else:
        found = str(dcm2niix.bin)
    if found is None:
        raise MissingError(f"dcm2niix: not found, and DICOM needs it. Install it with `{how_to_install('dicom')}`.")
    return found
