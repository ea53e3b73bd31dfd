"""Who is in a study: its participants, their marks, and their roles in a fold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from ..errors import DataError, Problems, UsageError
from ..io.tables import read_tsv
from ..model import EXCLUDED, ROLES, Fold
from ..names import FOLD, RESOLUTION, SCANNER, SUBJECT, shown
from ..schema import FOLDS, MICROBLEEDS, PARTICIPANTS, WORLD
from .joined import held_out, joined, wrong_marks
from .layout import Study
from .persons import split_persons, unread, with_persons, wrong_persons

__all__ = [
    "ALL_FOLD",
    "NO_FOLD",
    "choose_resolution",
    "choose_resolutions",
    "read_fold",
    "read_folds",
    "read_microbleeds",
    "read_participants",
    "roles_in",
    "unread_in",
    "wrong_names",
]

ALL_FOLD = "all"
"""Instead of a fold: everybody is learned from. The validation subjects are those of the table's first fold, its test
subjects are trained on, and nobody is tested; a fold of this name comes first."""

NO_FOLD = "none"
"""Instead of a fold: nobody is trained on, every patient is a test subject and every healthy one a control, without the
simulated ones that were added. What is found in patients nobody has read is not counted."""


def read_participants(study: Study, *, named: bool = True) -> pd.DataFrame:
    """The participants, indexed by ``participant_id``, with ``person_id`` as :mod:`cmb_toolkit.study.persons` knows it.

    Parameters
    ----------
    study : Study
    named : bool
        Refuse what :func:`wrong_names` finds; False leaves it to the caller.

    Raises
    ------
    DataError
        If the table is empty, names a subject twice, or holds a name that is none.
    """
    frame = read_tsv(study.participants, PARTICIPANTS.needed)
    if frame.empty:
        raise DataError(f"{study.participants}: holds no subject. Add scans with `cmbtk import` or `cmbtk simulate`.")
    twice = frame["participant_id"][frame["participant_id"].duplicated()].unique()
    if len(twice):
        raise DataError(
            f"{study.participants}: {', '.join(map(shown, twice))} stands more than once. Keep one line per subject."
        )
    frame = frame.set_index("participant_id", drop=False)
    if named:
        problems = Problems()
        for _, problem in wrong_names(study, frame):
            problems.add(problem)
        for name, group in frame["group"].items():
            if group not in ("patient", "control"):
                problems.add(f"{study.participants}: {name}: group {shown(group)}: expected patient or control.")
        problems.raise_if_any()
    return with_persons(frame)


def wrong_names(study: Study, participants: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Names in the table that must not reach a path, a command line or a page.

    Yields
    ------
    (str, str)
        The subject (empty where it has no name) and what to say.
    """
    cure = "Rename the subject in every table."
    for line, (_, row) in enumerate(participants.iterrows(), 2):
        name = row["participant_id"]
        if not SUBJECT.fits(name):
            problem = SUBJECT.problem(name, f"{study.participants}: line {line}", cure)
            yield ("" if pd.isna(name) else str(name)), problem
            continue
        for column, grammar in (("resolution", RESOLUTION), ("scanner", SCANNER)):
            if not grammar.fits(row[column]) and not (column == "scanner" and pd.isna(row[column])):
                yield name, grammar.problem(row[column], f"{study.participants}: {name}")
    for subject, problem in (*wrong_persons(participants), *wrong_marks(participants)):
        yield subject, f"{study.participants}: {problem}"


def read_microbleeds(study: Study, *, placed: bool = True) -> pd.DataFrame:
    """The truth points: participant_id, i, j, k (0-based, canonical axes), x_mm, y_mm, z_mm and what else is known.

    Parameters
    ----------
    study : Study
    placed : bool
        Refuse points whose world position is not given: no distance to them can be told.
    """
    table = read_tsv(study.microbleeds, MICROBLEEDS.needed, may_lack=() if placed else WORLD)
    between = (table[["i", "j"]] % 1 != 0).any(axis=1)
    if placed and between.any():
        line = int(between.to_numpy().argmax())
        place = ", ".join(f"{x:g}" for x in table.loc[line, ["i", "j", "k"]])
        raise DataError(
            f"{study.microbleeds}: line {line + 2}: a mark at ({place}) is no voxel; expected whole numbers (i, j, k "
            "from 0, canonical axes). Correct the mark; `cmbtk check` shows all of them."
        )
    return table


def unread_in(study: Study) -> list[str]:
    """Patients of the study whose scans nobody has read."""
    return unread(read_participants(study), read_microbleeds(study)["participant_id"])


def read_folds(study: Study) -> pd.DataFrame:
    """The table of folds: fold (text), participant_id, role.

    Raises
    ------
    MissingError
        If the study is not divided yet.
    DataError
        If a fold or a subject has a name that is none.
    """
    frame = read_tsv(study.folds, FOLDS.needed, cure="Run `cmbtk split` on this study first.")
    frame["fold"] = frame["fold"].map(lambda name: name if pd.isna(name) else str(name))
    for fold in frame["fold"].unique():
        FOLD.check(fold, study.folds, cure="Rename it in the table, or run `cmbtk split` again.")
    for subject in frame["participant_id"].unique():
        SUBJECT.check(subject, study.folds, cure="Rename the subject in every table.")
    return frame


def read_fold(study: Study, name: str) -> Fold:
    """The subjects of one fold by role.

    Raises
    ------
    DataError
        If the fold is not in the table, a role is unknown, or a subject or two scans of one person stand in two roles.
    """
    frame = read_folds(study)
    rows = frame[frame["fold"] == name]
    if rows.empty:
        known = ", ".join(sorted(frame["fold"].unique()))
        raise DataError(
            f"{study.folds}: no fold {shown(name)}; found {known}. Choose one of these or run `cmbtk split` again."
        )
    roles = (*ROLES, EXCLUDED)
    unknown = sorted(set(rows["role"].astype(str)) - set(roles))
    if unknown:
        raise DataError(
            f"{study.folds}: fold {name}: role {shown(unknown[0])} is none of {', '.join(roles)}. Correct it, or run "
            "`cmbtk split` again."
        )
    fold = Fold(name, **{role: tuple(rows["participant_id"][rows["role"] == role]) for role in roles})
    participants = read_participants(study)
    persons = dict(zip(participants["participant_id"], participants["person_id"], strict=True))
    split = split_persons({role: getattr(fold, role) for role in ROLES}, persons)
    if split:
        raise DataError(
            f"{study.folds}: fold {name} has scans of one person in several sets:\n"
            + "\n".join(split[:10] + ["..."] * (len(split) > 10))
            + "\nWhat is learned from one is known of the others. Give all scans of a person one role, or some of them "
            f"`{EXCLUDED}`."
        )
    for role, names in held_out(participants, {role: getattr(fold, role) for role in ROLES}).items():
        raise DataError(
            f"{study.folds}: fold {name} has simulated subjects in the role {role}: {', '.join(names[:10])}. They were "
            "added to be learned from, and say nothing about people. Give them the role train, or run `cmbtk split` "
            "again."
        )
    return fold


def choose_resolution(participants: pd.DataFrame, wanted: str | None) -> str:
    """The resolution asked for, or the only one there is.

    Raises
    ------
    UsageError
        If there are several and none is chosen, or there is no such one.
    """
    return choose_resolutions(participants, [] if wanted is None else [wanted])[0]


def choose_resolutions(participants: pd.DataFrame, wanted: Sequence[str]) -> list[str]:
    """The resolutions asked for, to be taken together, or the only one there is.

    Raises
    ------
    UsageError
        As :func:`choose_resolution`, and if together they would be called like another resolution.
    """
    known = sorted(set(participants["resolution"].astype(str)))
    if not wanted:
        if len(known) > 1:
            raise UsageError(f"the study holds the resolutions {', '.join(known)}; choose one with --resolution.")
        return known
    for name in wanted:
        if name not in known:
            raise UsageError(f"no subject has the resolution {shown(name)}; the study holds {', '.join(known)}.")
    chosen = list(dict.fromkeys(wanted))
    if len(chosen) > 1 and "+".join(chosen) in known:
        raise UsageError(
            f"{' and '.join(chosen)} together would be called like the resolution {'+'.join(chosen)}. "
            "Rename that one in the participants' table."
        )
    return chosen


def _of_all(study: Study) -> Fold:
    """Everybody to learn from, see :data:`ALL_FOLD`."""
    named = read_folds(study)["fold"]
    if (named == ALL_FOLD).any():
        return read_fold(study, ALL_FOLD)
    first = read_fold(study, str(named.iloc[0]))
    return Fold(ALL_FOLD, (*first.train, *first.test), first.validation, (), first.control, first.excluded)


def roles_in(study: Study, name: str, participants: pd.DataFrame) -> Fold:
    """The fold, or :data:`NO_FOLD` or :data:`ALL_FOLD`, of the given participants alone; each must have a role.

    Raises
    ------
    DataError
        If one has none, the table of folds is not right, or it takes a patient whom nobody has read for one without
        microbleeds.
    """
    subjects: list[str] = participants["participant_id"].tolist()
    if name == NO_FOLD:
        added = set(joined(participants))
        participants = participants[~participants["participant_id"].isin(added)]
        subjects = participants["participant_id"].tolist()
        healthy = (participants["group"] == "control").tolist()
        patients = tuple(s for s, control in zip(subjects, healthy, strict=True) if not control)
        return Fold(name, (), (), patients, tuple(s for s in subjects if s not in patients))
    fold = _of_all(study) if name == ALL_FOLD else read_fold(study, name)
    left = [subject for subject in subjects if fold.role(subject) is None]
    if left:
        raise DataError(
            f"{study.folds}: fold {name} has no role for {', '.join(left)}. "
            "Run `cmbtk split` again, or give each of them a role."
        )
    taken = [subject for subject in unread_in(study) if subject in subjects and fold.role(subject) != EXCLUDED]
    if taken:
        raise DataError(
            f"{study.folds}: fold {name} has roles for patients whose scans nobody has read: {', '.join(taken[:10])}"
            f"{' ...' * (len(taken) > 10)}. Without marks they are not known to have no microbleeds. Write `yes` in "
            f"the column `read` of {study.participants.name} for those who were read; give the others the role "
            f"`{EXCLUDED}`, or run `cmbtk split` again."
        )
    known = set(subjects)
    return Fold(name, **{role: tuple(s for s in getattr(fold, role) if s in known) for role in (*ROLES, EXCLUDED)})
