"""``add-simulated``: simulated subjects of the study's own protocol, to learn from besides its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from nibabel.affines import voxel_sizes

from ..errors import CmbError, DataError, MissingError, UsageError
from ..io.nifti import read_grid
from ..io.orient import canonical_grid
from ..io.publish import read_record, write_text
from ..io.tables import read_tsv, tsv_text
from ..schema import VOLUMES
from ..study.cohort import read_microbleeds, read_participants
from ..study.joined import COLUMN, PREFIX, joined
from ..study.layout import Study
from ..study.places import located, relative

__all__ = ["add_simulated"]

_ALIKE = 0.05


def add_simulated(study: Path, simulated: Path, *, on_note: Callable[[str], None] = lambda note: None) -> list[str]:
    """Put the patients of a simulated study into the tables of another one, to be learned from in every fold.

    Their scans stay where they are; `cmbtk preprocess` makes their volumes as it does the others'. Those that were
    added before are replaced. Controls are left out, as nothing is learned from them.

    Parameters
    ----------
    study : Path
        The study that is to learn from them; its participants.tsv and microbleeds.tsv grow.
    simulated : Path
        Made by `cmbtk simulate`.
    on_note : callable
        Given a line where their voxels are not those of the study's scans.

    Returns
    -------
    list of str
        Their names in the study: those that they had, after :data:`cmb_toolkit.study.joined.PREFIX`.

    Raises
    ------
    UsageError, MissingError, DataError, StorageError
        Among others if they are not simulated by their own records, or none has a resolution of the study's.
    """
    own, other = Study.open(study), Study.open(simulated)
    if own.root.resolve() == other.root.resolve():
        raise UsageError(f"{study}: is the simulated study itself. Name the study that is to learn from it first.")
    record = read_record(other.participants)
    if record is None or record["step"] != "simulate":
        raise DataError(
            f"{other.participants}: not written by `cmbtk simulate`, so that nobody can say whether these scans are "
            "simulated. Scans of people are imported (`cmbtk import`), and tested on as well."
        )
    people, theirs = read_participants(own), read_participants(other)
    before = joined(people)
    people = people[~people["participant_id"].isin(before)]
    known = sorted(set(people["resolution"].astype(str)))
    theirs = theirs[(theirs["group"] == "patient") & theirs["resolution"].isin(known)]
    if theirs.empty:
        raise DataError(
            f"{other.participants}: no patient has a resolution of this study's: {', '.join(known)}. Simulate one "
            "(`cmbtk simulate --resolution`), or write the simulated subjects' resolution as this study has it."
        )
    renamed = {name: PREFIX + name.removeprefix("sub-") for name in theirs["participant_id"].astype(str)}
    taken = sorted(set(renamed.values()) & set(people["participant_id"]))
    if taken:
        raise DataError(f"{own.participants}: {', '.join(taken[:5])} stand there already. Rename them in every table.")
    for resolution in sorted(set(theirs["resolution"])):
        for line in _other_voxels(own, people, other, theirs, str(resolution)):
            on_note(f"Warning: {line}.")
    marks = read_microbleeds(other)
    marks = marks[marks["participant_id"].isin(list(renamed))]
    table = read_tsv(own.participants)
    rows = theirs.drop(columns=[c for c in ("person_id", "session_id") if c in theirs]).reset_index(drop=True)
    for column in VOLUMES:
        if column in rows:
            rows[column] = [
                path if pd.isna(path) else relative(own.root, located(other, str(path))) for path in rows[column]
            ]
    rows = rows.assign(participant_id=rows["participant_id"].map(renamed), **{COLUMN: "yes"})
    if "read" in table:
        rows["read"] = "yes"
    columns = [*table.columns, *([] if COLUMN in table else [COLUMN])]
    rows = rows.reindex(columns=columns)
    own_marks = read_microbleeds(own)
    own_marks = own_marks[~own_marks["participant_id"].isin(before)]
    marks = marks.assign(participant_id=marks["participant_id"].map(renamed)).reindex(columns=own_marks.columns)
    table = table[~table["participant_id"].isin(before)].reindex(columns=columns)
    # the participants come last: marks of nobody are refused, and the same command again puts it right
    write_text(own.microbleeds, tsv_text(_stacked(own_marks, marks)))
    write_text(own.participants, tsv_text(_stacked(table, rows)))
    return sorted(renamed.values())


def _stacked(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Both tables' rows; whole numbers stay whole where the other has nothing."""
    return pd.concat([part.astype(object) for part in (first, second)], ignore_index=True)


def _other_voxels(own: Study, people: pd.DataFrame, other: Study, theirs: pd.DataFrame, resolution: str) -> list[str]:
    """Say where the voxels of the first scans of a resolution, one of either study, are not alike."""
    sizes = []
    for study, table in ((own, people), (other, theirs)):
        paths = table.loc[table["resolution"] == resolution].get("magnitude", pd.Series(dtype=object)).dropna()
        if paths.empty:
            return []
        try:
            grid = read_grid(located(study, str(paths.iloc[0])))
        except (CmbError, MissingError):
            return []  # `cmbtk check` and `cmbtk preprocess` say what is wrong with it
        _, affine = canonical_grid(grid.shape, grid.affine)
        sizes.append(voxel_sizes(affine))
    if (np.abs(sizes[1] - sizes[0]) <= _ALIKE * sizes[0]).all():
        return []
    real, made = (" x ".join(f"{size:.3g}" for size in each) for each in sizes)
    return [f"{resolution}: voxels of this study are {real} mm, of the simulated one {made} mm"]
