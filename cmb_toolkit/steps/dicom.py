"""What `cmbtk detect` found, as DICOM objects beside the series that the scans were made from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..detect.recipe import Detecting
from ..errors import DataError, MissingError, Problems, UsageError
from ..exports.dicom.made import Made
from ..exports.dicom.recipe import DicomOut
from ..exports.dicom.source import fits, source_of
from ..extras import how_to_install
from ..imaging.recipe import Preprocessing
from ..io.dicom_frames import Series, series_in
from ..io.files import load_json
from ..io.nifti import Volume, read_grid
from ..io.nifti_file import open_nifti
from ..io.publish import Record, publish, read_record, sha256
from ..io.tables import read_tsv
from ..model import OnProgress
from ..schema import LESIONS
from ..study.scan import Scan, own_recipe, read_images

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["DicomSummary", "check_before", "series_to_refer_to", "write_dicom"]

REVISION = 1

_STEP = "detect-dicom"

SEG, SR, PAGE = "seg.dcm", "sr.dcm", "page-{:02d}.dcm"
"""What is written of each scan; the first only where something was found."""

TABLE, LABELS, SUMMARY = "lesions.tsv", "microbleeds.nii.gz", "summary.json"
"""What is read of what `cmbtk detect` wrote of it."""


@dataclass(frozen=True)
class DicomSummary:
    """What was written.

    Attributes
    ----------
    folders : dict
        Name of a scan -> its folder.
    without : tuple of str
        Names of the scans in which nothing was found: these have an SR that says so, and no SEG, which cannot be empty.
    """

    folders: dict[str, Path]
    without: tuple[str, ...]


def series_to_refer_to(place: Path | None, recipe: DicomOut, out: Path) -> list[Series]:
    """The DICOM series that there are, before anything else is done.

    Parameters
    ----------
    place : Path or None
        Where the scans are, if it is a place.
    recipe : DicomOut
    out : Path
        Where `cmbtk detect` writes.

    Raises
    ------
    UsageError, MissingError
    """
    try:
        import highdicom  # noqa: F401
    except ImportError as error:
        raise MissingError(
            f"highdicom: not found, and --dicom-out needs it. Install it with `{how_to_install('dicom')}`."
        ) from error
    assert recipe.dicom_out is not None  # who does not ask for it does not come here
    if recipe.dicom_out.resolve() == out.resolve() or out.resolve() in recipe.dicom_out.resolve().parents:
        raise UsageError(
            f"--dicom-out {recipe.dicom_out}: lies in {out}, which is to be free of names. Write it elsewhere."
        )
    folder = recipe.dicom_from or place
    if folder is None or not folder.is_dir():
        raise UsageError(
            "--dicom-out refers to the series that the scans were made from, and no folder of DICOM was given. Say "
            "where it lies with --dicom-from DIR."
        )
    return series_in(folder)


def check_before(scans: Sequence[Scan], series: Sequence[Series], recipe: DicomOut) -> None:
    """Look whether anything can be written, before hours are spent on what to write.

    Raises
    ------
    UsageError
        If something of somebody else lies where it would be written.
    DataError
        If on none of the scans a series lies: they are not of this folder.
    """
    for scan in scans:
        _check_output(_folder(recipe, scan))
    shown = [scan.magnitude or scan.swi or scan.real for scan in scans]
    there = [path for path in shown if path is not None and path.is_file()]
    if there and not any(fits(each, read_grid(path)) for path in there for each in series):
        raise DataError(
            f"{there[0]}{' and all others' if len(there) > 1 else ''}: none of {len(series)} DICOM series lies on its "
            "voxels. Give the folder with the series that it was made from with --dicom-from."
        )


def _folder(recipe: DicomOut, scan: Scan) -> Path:
    """Where what is of a scan is written."""
    assert recipe.dicom_out is not None  # who does not ask for it does not come here
    return recipe.dicom_out / scan.name


def _check_output(out: Path) -> None:
    old = read_record(out)
    if out.exists() and (old is None or old["step"] != _STEP):
        raise UsageError(f"{out}: is not of `cmbtk detect`, and would be replaced. Choose another --dicom-out.")


def write_dicom(
    scans: Sequence[Scan],
    results: Mapping[str, Path],
    series: Sequence[Series],
    recipe: DicomOut,
    looked: Detecting,
    *,
    on_progress: OnProgress = lambda done, total, what: None,
    problems: Problems | None = None,
) -> DicomSummary:
    """Write what was found in scans as DICOM: a folder each in the recipe's.

    One whose series is not there does not stop the others; what is there already is left alone.

    Parameters
    ----------
    scans : sequence of Scan
        All that were to be looked at.
    results : mapping
        Name of a scan -> what `cmbtk detect` wrote of it; of those without nothing is written.
    series : sequence of Series
        From :func:`series_to_refer_to`.
    recipe : DicomOut
    looked : Detecting
        How the scans were looked at: which volume of their files.
    on_progress : callable
    problems : Problems, optional
        Where to gather what is wrong with single scans, instead of raising it after the others are done.

    Raises
    ------
    MissingError, DataError, UsageError, StorageError
    """
    gathered = Problems() if problems is None else problems
    folders: dict[str, Path] = {}
    without = []
    mine = [scan for scan in scans if scan.name in results]
    for done, scan in enumerate(mine):
        on_progress(done, len(mine), scan.name)
        with gathered.of(scan.name):
            out = _folder(recipe, scan)
            found = _written(scan, results[scan.name], series, out, recipe, looked)
            folders[scan.name] = out
            without += [] if found else [scan.name]
    on_progress(len(mine), len(mine), "")
    if problems is None:
        gathered.raise_if_any()
    return DicomSummary(folders, tuple(without))


def _written(scan: Scan, result: Path, series: Sequence[Series], out: Path, recipe: DicomOut, looked: Detecting) -> int:
    """Write the objects of a scan, if they are not there; how many findings they hold."""
    reading = own_recipe(scan, Preprocessing(echo=looked.echo, phase_volume=looked.phase_volume))
    images = read_images(scan, reading)
    others = [volume for role, volume in images.sources.items() if role != "phase"]
    made = _made(result, [images.structure, *others], series)
    said = {"subject": scan.name, "series": _digest(*(image.SOPInstanceUID for image in made.images))}
    sources = {name: result / name for name in (TABLE, LABELS, SUMMARY)}
    record = Record(_STEP, {**recipe.parameters(), **said}, sources, revision=REVISION)
    _check_output(out)
    if not record.is_current(out):
        objects = _objects(made, result, images.structure, recipe)
        with publish(out, record) as folder:
            folder.mkdir()
            for name, each in objects.items():
                each.save_as(folder / name)
    return len(made.findings)


def _made(result: Path, images: Sequence[Volume], series: Sequence[Series]) -> Made:
    """What was found, and of what."""
    again = "Remove the folder and run `cmbtk detect` again."
    findings = read_tsv(result / TABLE, LESIONS.needed)
    if findings["id"].tolist() != list(range(1, len(findings) + 1)):
        raise DataError(f"{result / TABLE}: its ids are not 1, 2, 3 ... {again}")
    identity = _digest(str(REVISION), *(sha256(result / name) for name in (TABLE, LABELS, SUMMARY)))
    return Made(source_of(images, series), findings, load_json(result / SUMMARY, again), identity)


def _objects(made: Made, result: Path, image: Volume, recipe: DicomOut) -> dict[str, Dataset]:
    """File name -> object."""
    from ..exports.dicom.pages import pages
    from ..exports.dicom.report import measurement_report
    from ..exports.dicom.segmentation import planes_of, segmentation

    objects = {SR: measurement_report(made)}
    if len(made.findings):
        file = open_nifti(result / LABELS)
        labels, _ = file.values()
        planes = planes_of(made, labels.astype(np.uint16), file.affine)
        objects[SEG] = segmentation(made, planes, labelmap=recipe.dicom_labelmap)
    if recipe.dicom_pages:
        objects |= {PAGE.format(number): page for number, page in enumerate(pages(made, image), 1)}
    return objects


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
