"""The files that readers get of what was found: a table, a sheet for a viewer, and of each scan points and labels."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ..exports.points import Points
from ..io.tables import write_tsv
from .forms.sheets import SHEET
from .handed import LABELS, Detected

__all__ = ["SHEETS", "TABLE", "write"]

TABLE, SHEETS = "findings.tsv", "findings.xlsx"

_COLOURS = ((255, 60, 60), (60, 200, 60), (80, 120, 255), (255, 200, 0), (0, 210, 210), (230, 80, 230))


def write(folder: Path, scans: Sequence[Detected], table: pd.DataFrame) -> None:
    """Write all of them into a folder.

    Parameters
    ----------
    folder : Path
        Is there, and empty.
    scans : sequence of Detected
    table : DataFrame
        From :func:`cmb_toolkit.review.handed.asked_of`.
    """
    write_tsv(table, folder / TABLE)
    _write_sheet(folder / SHEETS, table)
    for scan in scans:
        shutil.copyfile(scan.folder / LABELS, folder / f"{scan.name}.nii.gz")
        (folder / f"{scan.name}_labels.txt").write_text(_labels(scan.lesions["id"].tolist()), "utf-8")
        shown = scan.lesions["probability"].fillna(scan.lesions["score"])
        called = [f"finding {number}" for number in scan.lesions["id"]]
        points = scan.lesions.assign(candidate_id=called, probability=shown)
        Points().write(points, scan.folder / LABELS, folder / f"{scan.name}.mrk.json")


def _write_sheet(path: Path, table: pd.DataFrame) -> None:
    """The findings as Microbleed-review-viewer reads them, one a row, with the columns of the table beside."""
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    assert sheet is not None  # a new book has a sheet
    sheet.title = SHEET
    sheet.append([*_VIEWER, "id", "mimic", "readers", "reader", "comments"])
    for row in table[table["id"].notna()].to_dict("records"):
        place = [row[name] if pd.notna(row[name]) else None for name in _VIEWER.values()]
        sheet.append([*place, int(row["id"]), None, None, None, None])
    sheet.freeze_panes = "A2"
    book.save(path)


_VIEWER = {
    "subjectid": "participant_id",
    "RAS L-R L": "x_mm",
    "RAS P-A A": "y_mm",
    "RAS I-S S": "z_mm",
    "verify (yes=1)": "verdict",
    "slicecount": "slice",
    "atlasregions": "region",
}
"""Headings that the viewer knows -> columns of the table."""


def _labels(ids: Sequence[int]) -> str:
    """What ITK-SNAP calls the values of a label map, in which colours."""
    rows = ['    0     0    0    0        0  0  0    "Clear Label"']
    for number in ids:
        red, green, blue = _COLOURS[(number - 1) % len(_COLOURS)]
        rows.append(f'{number:5d} {red:5d} {green:4d} {blue:4d}        1  1  1    "finding {number}"')
    return "# ITK-SnAP Label Description File\n# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL\n" + "\n".join(rows) + "\n"
