"""Who is in a study: its participants, their marks, their roles in a fold, and what a cell was made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import DataError, MissingError
from ..io.layout import Cell, Study
from ..io.publish import read_record
from ..io.tables import read_tsv
from ..model import ROLES, Fold

__all__ = ["cell_parameters", "located", "read_fold", "read_microbleeds", "read_participants"]


def read_participants(study: Study) -> pd.DataFrame:
    """The participants, indexed by ``participant_id``.

    Raises
    ------
    DataError
        If the table is empty or names a subject twice.
    """
    frame = read_tsv(study.participants, ["participant_id", "resolution", "scanner", "group"])
    if frame.empty:
        raise DataError(f"{study.participants}: holds no subject. Add scans with `cmbtk import` or `cmbtk simulate`.")
    twice = frame["participant_id"][frame["participant_id"].duplicated()].unique()
    if len(twice):
        raise DataError(f"{study.participants}: {', '.join(twice)} stands more than once. Keep one line per subject.")
    return frame.set_index("participant_id", drop=False)


def read_microbleeds(study: Study) -> pd.DataFrame:
    """The truth points: participant_id, i, j, k (0-based, canonical axes), x_mm, y_mm, z_mm and what else is known."""
    return read_tsv(study.microbleeds, ["participant_id", "i", "j", "k", "x_mm", "y_mm", "z_mm"])


def read_fold(study: Study, name: str) -> Fold:
    """The subjects of one fold by role.

    Raises
    ------
    DataError
        If the fold is not in the table, a role is unknown, or a subject stands in two roles.
    """
    frame = read_tsv(study.folds, ["fold", "participant_id", "role"])
    rows = frame[frame["fold"].astype(str) == name]
    if rows.empty:
        known = ", ".join(sorted(frame["fold"].astype(str).unique()))
        raise DataError(
            f"{study.folds}: no fold {name}; found {known}. Choose one of these or run `cmbtk split` again."
        )
    unknown = sorted(set(rows["role"]) - set(ROLES))
    if unknown:
        raise DataError(f"{study.folds}: role {unknown[0]!r} is none of {', '.join(ROLES)}. Run `cmbtk split` again.")
    return Fold(name, **{role: tuple(rows["participant_id"][rows["role"] == role]) for role in ROLES})


def cell_parameters(cell: Cell) -> dict[str, Any]:
    """What `cmbtk prepare-yolo` was told for a cell: resolution, input, fold, size, mode, cfg, ...

    Raises
    ------
    MissingError
        If the cell has no finished Darknet project.
    """
    record = read_record(cell.project)
    if record is None or not cell.project.is_dir():
        raise MissingError(
            f"{cell.project}: no finished Darknet project. Run `cmbtk prepare-yolo` for this cell first."
        )
    parameters: dict[str, Any] = record["parameters"]
    return parameters


def located(study: Study, path: str) -> Path:
    """A path of the participants table: absolute, or relative to the study folder."""
    return study.root / path
