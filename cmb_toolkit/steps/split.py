"""`cmbtk split`: the subjects of a study divided into folds."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ..errors import DataError
from ..evaluation.folds import make_folds, make_scanner_folds
from ..io.layout import Study
from ..io.publish import Record, publish
from ..io.tables import read_tsv, write_tsv
from ..model import ROLES, OnProgress
from .cohort import read_microbleeds, read_participants

__all__ = ["fold_table", "split"]

_COLUMNS = {
    "fold": "Number of the fold, from 1, or scanner- and the scanner that is trained on",
    "participant_id": "Subject",
    "role": "train, validation, test or control (healthy; in every fold alike)",
}


def split(
    study_folder: Path,
    *,
    folds: int = 5,
    validation: float = 0.2,
    by_scanner: bool = False,
    seed: int = 0,
    on_progress: OnProgress,
) -> Path:
    """Divide the subjects of a study into folds, see :func:`cmb_toolkit.evaluation.folds.make_folds`.

    Parameters
    ----------
    study_folder : Path
    folds : int
    validation : float
        Part of the training subjects of each fold that is kept for validation.
    by_scanner : bool
        Add a fold for each scanner, see :func:`cmb_toolkit.evaluation.folds.make_scanner_folds`.
    seed : int

    Returns
    -------
    Path
        The table ``folds.tsv``.

    Raises
    ------
    UsageError, MissingError, DataError
    """
    study = Study.open(study_folder)
    table = _subjects(study)
    record = Record(
        "split",
        {"folds": folds, "validation": validation, **({"by_scanner": True} if by_scanner else {}), "seed": seed},
        (study.participants, study.microbleeds),
        extra={"columns": _COLUMNS},
    )
    if record.is_current(study.folds):
        return study.folds
    on_progress(0, 1, "")
    try:
        made = make_folds(table, folds, validation, seed)
        if by_scanner:
            made = pd.concat([made, make_scanner_folds(table, validation, seed)], ignore_index=True)
    except DataError as error:
        raise DataError(f"{study.participants}: {error}") from error
    with publish(study.folds, record) as path:
        write_tsv(made, path)
    on_progress(1, 1, "")
    return study.folds


def _subjects(study: Study) -> pd.DataFrame:
    """Participants and how many microbleeds each has.

    Raises
    ------
    MissingError, DataError
    """
    participants, marks = read_participants(study), read_microbleeds(study)
    strangers = sorted(set(marks["participant_id"]) - set(participants["participant_id"]))
    if strangers:
        raise DataError(
            f"{study.microbleeds}: marks of {', '.join(strangers[:10])}, not in {study.participants.name}. "
            "Add the subject or remove its marks."
        )
    table = participants.reset_index(drop=True)
    table["microbleeds"] = table["participant_id"].map(marks["participant_id"].value_counts()).fillna(0).astype(int)
    return table


def fold_table(study_folder: Path) -> pd.DataFrame:
    """Count subjects and microbleeds of every fold by role, as the paper's Table 1 does.

    Returns
    -------
    DataFrame
        resolution, fold, then for train, validation and test ``<role> subjects`` and ``<role> microbleeds``, and the
        number of ``controls``.
    """
    study = Study.open(study_folder)
    merged = read_tsv(study.folds, list(_COLUMNS)).merge(_subjects(study), on="participant_id", validate="many_to_one")
    rows = []
    for (resolution, fold), group in merged.groupby(["resolution", "fold"], sort=True):
        row: dict[str, object] = {"resolution": resolution, "fold": fold}
        for role in ROLES[:3]:
            mine = group[group["role"] == role]
            row[f"{role} subjects"], row[f"{role} microbleeds"] = len(mine), int(mine["microbleeds"].sum())
        row["controls"] = int((group["role"] == "control").sum())
        rows.append(row)
    return pd.DataFrame(rows)
