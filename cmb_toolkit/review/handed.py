"""What was found of scans and is handed to readers: the folder of `cmbtk detect`, and the table made of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..errors import DataError, MissingError
from ..io.files import load_json
from ..io.tables import read_tsv
from ..names import SUBJECT
from ..schema import ASKED, LESIONS, WORLD

__all__ = ["LABELS", "SUMMARY", "Detected", "asked_of", "detected", "read_asked"]

SUMMARY, TABLE, LABELS = "summary.json", "lesions.tsv", "microbleeds.nii.gz"
"""Of `cmbtk detect`, of each scan."""

_AGAIN = "Run `cmbtk detect` again."


@dataclass(frozen=True)
class Detected:
    """A scan that was looked at.

    Attributes
    ----------
    name : str
    folder : Path
        With its files.
    lesions : DataFrame
        Its findings, :data:`cmb_toolkit.schema.LESIONS`.
    """

    name: str
    folder: Path
    lesions: pd.DataFrame


def detected(out: Path) -> list[Detected]:
    """The scans in a folder of `cmbtk detect`: the one that it is of, or those in it.

    Raises
    ------
    MissingError, DataError
    """
    if not out.is_dir():
        raise MissingError(f"{out}: not found. Give the folder that `cmbtk detect` wrote.")
    folders = [out] if (out / SUMMARY).is_file() else sorted(path.parent for path in out.glob(f"*/{SUMMARY}"))
    if not folders:
        raise MissingError(f"{out}: holds no scan that `cmbtk detect` looked at. Give the folder that it wrote.")
    scans = []
    for folder in folders:
        summary = load_json(folder / SUMMARY, _AGAIN)
        name = SUBJECT.check(summary.get("subject") if isinstance(summary, dict) else None, folder / SUMMARY)
        scans.append(Detected(name, folder, read_tsv(folder / TABLE, LESIONS.needed)))
    names = [scan.name for scan in scans]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{out}: two folders are of {twice}. {_AGAIN}")
    return scans


def asked_of(scans: list[Detected]) -> pd.DataFrame:
    """The table for readers, :data:`cmb_toolkit.schema.ASKED`: a row a finding, and one of each scan without any."""
    rows = []
    for scan in scans:
        mine = scan.lesions.assign(participant_id=scan.name)
        mine["probability"] = mine["probability"].fillna(mine["score"])
        rows += mine.to_dict("records") or [{"participant_id": scan.name}]
    table = pd.DataFrame(rows).reindex(columns=ASKED.names)
    return table.astype({"id": "Int64", "slice": "Int64"})


def read_asked(path: Path) -> pd.DataFrame:
    """The same from its file; ids and places of scans without findings are NaN.

    Raises
    ------
    MissingError, DataError
    """
    table = read_tsv(path, ASKED.needed, may_lack=("id", *WORLD), cure="Run `cmbtk review write` first.")
    return table.astype({"id": float, **dict.fromkeys(WORLD, float)})
