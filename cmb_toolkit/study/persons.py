"""Whose the scans are and which somebody has read: the columns person_id, session_id and read of participants.tsv.

All three may be missing. A person is then known by the subject's name, ``sub-01`` of ``sub-01_ses-2``, and every scan
counts as read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import pandas as pd

from ..names import PERSON, SESSION, SUBJECT, nfc, safe_id, shown, split_session
from ..wording import plural

__all__ = [
    "READ",
    "of_several_scans",
    "person_of",
    "same_person_hints",
    "split_persons",
    "unread",
    "with_persons",
    "wrong_persons",
]

READ = ("yes", "no")
"""What the column ``read`` may hold, besides n/a: read if the subject has a mark or is a control."""

_PERSON_WORDS = frozenset(
    {"case", "caseid", "individual", "mrn", "participant", "patient", "patientid", "patientnumber", "person", "pid"}
    | {"personid", "probandid", "proband", "subj", "subject", "subjectid", "subjectnumber", "subid"}
)
"""Headings, without capitals and signs, under which tables say who somebody is."""


def person_of(subject: str) -> str:
    """Who a subject is by its name alone."""
    return split_session(subject)[0]


def with_persons(participants: pd.DataFrame) -> pd.DataFrame:
    """The table with a complete column person_id, and session_id where it has one or a name has.

    A person_id that is given holds for all subjects whose names say the same person; where none is given the name
    decides. ``01`` and ``sub-01`` are one person.

    Parameters
    ----------
    participants : DataFrame
        With participant_id, in which :func:`wrong_persons` finds nothing.
    """
    names = participants["participant_id"].astype(str)
    named = names.map(person_of)
    given = _given(participants).astype(object)
    said = given.dropna().groupby(named).first()
    table = participants.assign(person_id=given.fillna(named.map(said)).fillna(named))
    sessions = names.map(lambda name: split_session(name)[1])
    if "session_id" in table:
        table["session_id"] = table["session_id"].astype(object).fillna(sessions)
    elif sessions.notna().any():
        table["session_id"] = sessions
    return table


def wrong_persons(participants: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """What cannot be right in the three columns.

    Yields
    ------
    (str, str)
        The subject and what to say.
    """
    for _, row in participants.iterrows():
        name = row["participant_id"]
        for column, grammar in (("person_id", PERSON), ("session_id", SESSION)):
            if not pd.isna(row.get(column)) and not grammar.fits(row[column]):
                yield str(name), grammar.problem(row[column], name, "Correct it, or write n/a.")
        session, said = split_session(str(name))[1], row.get("session_id")
        if session and SESSION.fits(said) and str(said).removeprefix("ses-") != session:
            yield str(name), f"{name}: session_id {shown(said)} is not the session of its name, {session}. Correct one."
        if not pd.isna(row.get("read")) and row["read"] not in READ:
            yield (
                str(name),
                f"{name}: read is {shown(row['read'])}; expected yes (somebody has looked for microbleeds in this "
                "scan), no, or n/a (yes if it has marks or is a control's).",
            )
    named = participants["participant_id"].map(lambda name: person_of(str(name)))
    given = _given(participants)
    for person, persons in given.dropna().groupby(named):
        if persons.nunique() > 1:
            listed = ", ".join(f"{name} is {who}" for name, who in zip(persons.index, persons, strict=True))
            yield (
                str(person),
                f"person_id: {listed}; by their names they are scans of one person, {person}. Give them one person_id, "
                "or rename those of another person in every table.",
            )


def _given(participants: pd.DataFrame) -> pd.Series[str]:
    """The column person_id, as names of subjects where it can be, so that ``01`` is ``sub-01``."""
    names = participants["participant_id"]
    if "person_id" not in participants:
        return pd.Series(None, index=participants.index, dtype=object)
    given = participants["person_id"].map(lambda name: name if pd.isna(name) else safe_id(str(name)) or str(name))
    return given.set_axis(participants.index).where(names.map(SUBJECT.fits).to_numpy())


def of_several_scans(participants: pd.DataFrame) -> dict[str, str] | None:
    """Subject -> person where some subjects are scans of one person, else None.

    Parameters
    ----------
    participants : DataFrame
        From :func:`with_persons`.
    """
    persons = dict(zip(participants["participant_id"].astype(str), participants["person_id"].astype(str), strict=True))
    return persons if len(set(persons.values())) < len(persons) else None


def unread(participants: pd.DataFrame, marked: Iterable[str]) -> list[str]:
    """Patients whose scans nobody has read, so that without a mark they are not known to have no microbleed.

    Parameters
    ----------
    participants : DataFrame
        participant_id, group and, where some were not read, read.
    marked : iterable of str
        Subjects with marks.
    """
    if "read" not in participants:
        return []
    names, said = participants["participant_id"], participants["read"]
    patient = participants["group"] == "patient"
    no = patient & ((said == "no") | (said.isna() & ~names.isin(list(marked))))
    return [str(name) for name in names[no]]


def split_persons(roles: Mapping[str, Iterable[str]], persons: Mapping[str, str]) -> list[str]:
    """Persons who stand in several sets, each with their scans and the sets.

    Parameters
    ----------
    roles : mapping
        Set -> subjects in it.
    persons : mapping
        Subject -> person; of others the name decides.
    """
    found: dict[str, dict[str, str]] = {}
    for role, subjects in roles.items():
        for subject in subjects:
            found.setdefault(persons.get(subject, person_of(subject)), {})[subject] = role
    return [
        f"{person}: {', '.join(f'{subject} ({role})' for subject, role in sorted(scans.items()))}"
        for person, scans in sorted(found.items())
        if len(set(scans.values())) > 1
    ]


def same_person_hints(frame: pd.DataFrame, names: Sequence[str], taken: Mapping[str, str]) -> Iterator[str]:
    """Columns that are not taken over and seem to say that several scans are of the same person.

    A column is such a one if its heading is a word for a person, or if each of its values begins the name of its
    subject; and if a value stands on several lines of subjects that are not known to be one person.

    Parameters
    ----------
    frame : DataFrame
        As it was given.
    names : sequence of str
        The subjects, line by line.
    taken : mapping
        Columns that are taken over.
    """
    if "person_id" in frame:
        return
    bare = [name.removeprefix("sub-").casefold() for name in names]
    for column in frame.columns:
        if column in taken:
            continue
        values = [None if pd.isna(value) else nfc(str(value)).strip() for value in frame[column]]
        word = re.sub(r"[^a-z]", "", str(column).casefold())
        starts = [
            value is not None and len(value) > 1 and name.startswith(value.removeprefix("sub-").casefold())
            for value, name in zip(values, bare, strict=True)
        ]
        if word not in _PERSON_WORDS and not all(starts):
            continue
        scans: dict[str, list[str]] = {}
        for value, name in zip(values, names, strict=True):
            if value is not None:
                scans.setdefault(value, []).append(name)
        alike = [mine for mine in scans.values() if len({split_session(name)[0] for name in mine}) > 1]
        if alike:
            shown_ = "; ".join(", ".join(mine[:3]) + " ..." * (len(mine) > 3) for mine in alike[:3])
            yield (
                f"column {shown(str(column))}, which is not taken over, seems to say that {len(alike)} "
                f"{plural(len(alike), 'person')} {'have' if len(alike) > 1 else 'has'} several scans ({shown_}"
                f"{'; ...' * (len(alike) > 3)}). Scans of the same person under different names would be trained and "
                "tested on: call the column person_id, or name the scans sub-01_ses-1, sub-01_ses-2"
            )
