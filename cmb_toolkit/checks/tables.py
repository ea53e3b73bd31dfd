"""What is wrong with a study's tables: its participants, its marks, its folds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ..errors import CmbError, DataError
from ..evaluation.folds import SCANNER_FOLD
from ..io.publish import read_record
from ..io.tables import read_tsv
from ..model import EXCLUDED
from ..schema import PARTICIPANTS
from ..study.cohort import read_fold, read_folds, read_microbleeds, wrong_names
from ..study.joined import joined
from ..study.layout import Study
from ..study.persons import same_person_hints, unread
from .problem import Problem, error, some, warning

__all__ = ["check_folds", "check_import", "check_participants", "read_marks"]


def check_import(study: Study, participants: pd.DataFrame) -> Iterator[Problem]:
    """Who is missing because his scans could not be read when the study was imported."""
    left_out = (read_record(study.participants) or {}).get("failed")
    names = [str(name) for name in left_out if name not in participants.index] if isinstance(left_out, list) else []
    if names:
        yield warning(
            f"{study.participants}: `cmbtk import` left out {some(names)}, whose scans could not be read. Mend these "
            "and import again, or go on without."
        )


def check_participants(study: Study, participants: pd.DataFrame) -> Iterator[Problem]:
    """What is wrong with the participants: identifiers, groups, resolutions."""
    where = study.participants
    for subject, problem in wrong_names(study, participants):
        yield error(problem, subject)
    names = [str(name) for name in participants.index if not pd.isna(name)]
    folded = pd.Series([name.casefold() for name in names])
    for name in folded[folded.duplicated()].unique():
        alike = ", ".join(other for other in names if other.casefold() == name)
        yield error(f"{where}: {alike} differ only in capitals and would share files. Rename one.", alike)
    for name, row in participants.iterrows():
        if row["group"] not in ("patient", "control"):
            yield error(f"{where}: group of {name} is {row['group']!r}; expected patient or control.", str(name))
    own = read_tsv(where)
    for hint in same_person_hints(own, own["participant_id"].astype(str).tolist(), PARTICIPANTS.columns):
        yield warning(f"{where}: {hint}.")


def read_marks(study: Study, participants: pd.DataFrame) -> tuple[pd.DataFrame, list[Problem]]:
    """The marks that can be looked for in the volumes, and what is wrong with the table."""
    none = pd.DataFrame({"participant_id": pd.Series(dtype=str), "i": [], "j": [], "k": []})
    try:
        marks = read_microbleeds(study, placed=False)
    except CmbError as reason:
        return none, [error(reason)]
    where, problems = study.microbleeds, []
    numbers = marks[["i", "j", "k"]].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    whole = np.isfinite(numbers).all(axis=1) & (numbers == np.floor(numbers)).all(axis=1)
    for line in np.flatnonzero(~whole):
        content = ", ".join(str(marks.iloc[line][axis]) for axis in "ijk")
        problems.append(
            error(
                f"{where}: line {line + 2}: ({content}) is no voxel; expected three whole numbers i, j, k. Correct it.",
                str(marks.iloc[line]["participant_id"]),
            )
        )
    marks[["i", "j", "k"]] = numbers
    marks = marks[whole]
    known = set(participants.index)
    for name, lines in marks[~marks["participant_id"].isin(known)].groupby("participant_id", dropna=False):
        problems.append(
            error(
                f"{where}: line {', '.join(str(n + 2) for n in lines.index)}: marks of {name}, who is not in "
                f"{study.participants.name}. Add the subject or remove the marks.",
                str(name),
            )
        )
    marks = marks[marks["participant_id"].isin(known)]
    twice = marks[marks.duplicated(["participant_id", "i", "j", "k"])]
    for line, row in twice.iterrows():
        problems.append(
            error(
                f"{where}: line {int(str(line)) + 2}: {row['participant_id']} is marked at ({row['i']:g}, "
                f"{row['j']:g}, {row['k']:g}) a second time. A microbleed is marked once; remove the line.",
                str(row["participant_id"]),
            )
        )
    groups = participants["group"]
    for name in groups.index[groups == "control"].intersection(marks["participant_id"]):
        problems.append(
            error(
                f"{where}: control {name} has marks. Make it a patient in {study.participants.name}, or remove them.",
                str(name),
            )
        )
    nobody = unread(participants, marks["participant_id"])
    if nobody:
        problems.append(
            warning(
                f"{study.participants}: nobody has read the scans of {len(nobody)} of {(groups == 'patient').sum()} "
                f"patients ({some(nobody)}): they are excluded from folds and counts. Write `yes` in the column `read` "
                "for those who were read, or make the healthy ones controls."
            )
        )
    unmarked = groups.index[groups == "patient"].difference([*marks["participant_id"], *nobody])
    if len(unmarked) and "read" not in participants:
        problems.append(
            warning(
                f"{where}: {len(unmarked)} of {(groups == 'patient').sum()} patients have no mark "
                f"({some(list(unmarked))}), and are taken to have been read and to have no microbleed. If nobody has "
                f"read them, write `no` in a column `read` of {study.participants}; if they are healthy, make them "
                "controls."
            )
        )
    return marks, problems


def check_folds(study: Study, participants: pd.DataFrame) -> Iterator[Problem]:
    """What is wrong with the folds, if there are any."""
    if not study.folds.exists():
        return
    try:
        table = read_folds(study)
    except CmbError as reason:
        yield error(reason)
        return
    again = "Run `cmbtk split` again."
    for name in dict.fromkeys(table["fold"]):
        try:
            read_fold(study, name)
        except DataError as reason:
            yield error(f"{study.folds}: {reason}" if str(study.folds) not in str(reason) else reason)
    strangers = sorted(set(table["participant_id"].dropna()) - set(participants.index))
    if strangers:
        yield error(
            f"{study.folds}: {some(strangers)} not in {study.participants.name}. {again}",
        )
    for fold, rows in table.groupby("fold"):
        lacking = sorted(set(participants.index.dropna()) - set(rows["participant_id"]))
        if lacking:
            yield error(f"{study.folds}: {some(lacking)} not in fold {fold}. {again}")
        groups = participants["group"].reindex(rows["participant_id"]).to_numpy()
        wrong = rows[((groups == "control") != (rows["role"] == "control")) & (rows["role"] != EXCLUDED)]
        wrong = wrong[wrong["participant_id"].isin(participants.index)]
        if len(wrong):
            yield error(
                f"{study.folds}: {some(list(wrong['participant_id']))} in fold {fold}: role control and group control "
                f"of {study.participants.name} must go together. {again}"
            )
    crossed = table[~table["fold"].astype(str).str.startswith(SCANNER_FOLD)]
    tests = crossed[crossed["role"] == "test"]["participant_id"].value_counts()
    own = (participants["group"] == "patient") & ~participants["participant_id"].isin(joined(participants))
    patients = [str(name) for name in participants.index[own]]
    odd = sorted(name for name in patients if tests.get(name, 0) > 1)
    if odd:
        yield error(f"{study.folds}: {some(odd)} tested in more than one fold. {again}")
    taken = crossed[crossed["role"] != EXCLUDED]["participant_id"]
    untested = sorted(name for name in set(patients) & set(taken) if name not in tests)
    if untested:
        yield warning(f"{study.folds}: {some(untested)} tested in no fold. {again}")
