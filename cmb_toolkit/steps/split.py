"""`cmbtk split`: the subjects of a study divided into folds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from ..errors import DataError, UsageError
from ..evaluation.folds import make_folds, make_scanner_folds
from ..evaluation.recipe import Folding
from ..io.publish import Record, edited, publish
from ..io.tables import read_tsv, tsv_text
from ..model import EXCLUDED, ROLES, OnProgress
from ..schema import FOLDS
from ..study.cohort import read_microbleeds, read_participants
from ..study.joined import joined
from ..study.layout import Study
from ..study.persons import unread
from ..wording import counted

__all__ = ["fold_table", "split"]

REVISION = 1


def split(
    study_folder: Path,
    recipe: Folding | None = None,
    *,
    force: bool = False,
    on_note: Callable[[str], None] = lambda note: None,
    on_progress: OnProgress,
) -> Path:
    """Divide the subjects of a study into folds, see :func:`cmb_toolkit.evaluation.folds.make_folds`.

    Simulated subjects that were added (:mod:`cmb_toolkit.study.joined`) are in the training set of each; how the others
    are divided does not depend on them.

    Parameters
    ----------
    study_folder : Path
    recipe : Folding, optional
    force : bool
        Also where there are folds that were made or changed by hand: these are lost.
    on_note : callable
        Given a line on who is excluded from all folds, and why.

    Returns
    -------
    Path
        The table ``folds.tsv``.

    Raises
    ------
    UsageError
        Also if there are folds that were made or changed by hand.
    MissingError, DataError
    """
    study = Study.open(study_folder)
    table = _subjects(study)
    if study.folds.exists() and edited(study.folds) and not force:
        raise UsageError(
            f"{study.folds}: was made or changed by hand, and other folds would replace it. Go on with these folds "
            "(`cmbtk check` says whether they are right), or make new ones with --force."
        )
    if not table["read"].all():
        names = table["participant_id"][~table["read"]].tolist()
        on_note(
            f"Warning: {counted(len(names), 'patient')} excluded from all folds, because nobody has read "
            f"the scans: {', '.join(names[:10])}{' ...' * (len(names) > 10)}. Without a mark they are not known to "
            f"have no microbleeds. Write `yes` in the column `read` of {study.participants} if they were read."
        )
    recipe = recipe or Folding()
    record = Record("split", recipe.parameters(), (study.participants, study.microbleeds), revision=REVISION)
    if not force and record.is_current(study.folds):
        return study.folds
    on_progress(0, 1, "")
    added = joined(table)
    own = table[~table["participant_id"].isin(added)].reset_index(drop=True)
    try:
        made = make_folds(own, recipe.folds, recipe.validation, recipe.seed)
        if recipe.by_scanner:
            made = pd.concat([made, make_scanner_folds(own, recipe.validation, recipe.seed)], ignore_index=True)
    except DataError as error:
        raise DataError(f"{study.participants}: {error}") from error
    further = [(fold, name, "train") for fold in made["fold"].unique() for name in added]
    text = tsv_text(pd.concat([made, pd.DataFrame(further, columns=made.columns)], ignore_index=True))
    with publish(study.folds, record) as out:
        out.note(columns=FOLDS.described(), content=hashlib.sha256(text.encode()).hexdigest())
        out.write_text(text, "utf-8", newline="\n")
    on_progress(1, 1, "")
    return study.folds


def _subjects(study: Study) -> pd.DataFrame:
    """Participants, how many microbleeds each has, and whether they were read.

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
    table["read"] = ~table["participant_id"].isin(unread(participants, marks["participant_id"]))
    return table


def fold_table(study_folder: Path) -> pd.DataFrame:
    """Count subjects and microbleeds of every fold by role, as the paper's Table 1 does.

    Returns
    -------
    DataFrame
        resolution, fold, then for train, validation and test ``<role> subjects`` and ``<role> microbleeds``, and the
        numbers of ``controls`` and ``excluded``.
    """
    study = Study.open(study_folder)
    merged = read_tsv(study.folds, FOLDS.needed).merge(_subjects(study), on="participant_id", validate="many_to_one")
    rows = []
    for (resolution, fold), group in merged.groupby(["resolution", "fold"], sort=True):
        row: dict[str, object] = {"resolution": resolution, "fold": fold}
        for role in ROLES[:3]:
            mine = group[group["role"] == role]
            row[f"{role} subjects"], row[f"{role} microbleeds"] = len(mine), int(mine["microbleeds"].sum())
        row["controls"] = int((group["role"] == "control").sum())
        row["excluded"] = int((group["role"] == EXCLUDED).sum())
        rows.append(row)
    return pd.DataFrame(rows)
