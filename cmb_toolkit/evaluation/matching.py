"""Candidates held against microbleeds under one rule.

Under most rules candidates and microbleeds are paired one to one within a subject: as many pairs as there can be and,
among those, the pairs that lie closest together. Under all rules the numbers of hits, duplicates and false positives
do not depend on the order of the rows, and adding a candidate never loses a microbleed.

Candidates that were put together by :func:`cmb_toolkit.evaluation.merging.merge_boxes` (column ``lesion``) count as
one: a lesion lies where any of its boxes lies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import DataError
from ..wording import plural
from .rules.base import Rule, numbers

__all__ = ["OUTCOMES", "Matching", "Units", "check", "match", "rows_by_subject", "units"]

OUTCOMES: tuple[str, ...] = ("tp", "fp", "duplicate", "merged")
"""What a candidate can turn out to be; ``merged``: another box of its lesion is counted in its place."""


@dataclass(frozen=True)
class Matching:
    """What every candidate and every microbleed turned out to be.

    Attributes
    ----------
    rule : Rule
    candidates : DataFrame
        One row per candidate, in the order and with the index given: ``participant_id``, ``outcome`` (one of
        OUTCOMES), ``microbleed`` (position in the truth table of the microbleed that it hits or duplicates, -1 for
        none).
    truth : DataFrame
        One row per microbleed, likewise: ``participant_id``, ``found``, ``candidate`` (position in the candidates
        table of its hit, -1 where it was missed).
    """

    rule: Rule
    candidates: pd.DataFrame
    truth: pd.DataFrame

    @property
    def outcome(self) -> NDArray[np.str_]:
        """(n,) outcome of every candidate."""
        return self.candidates["outcome"].to_numpy(str)

    @property
    def found(self) -> NDArray[np.bool_]:
        """(m,) whether each microbleed was found."""
        return self.truth["found"].to_numpy(bool)


@dataclass(frozen=True)
class Units:
    """What is counted of one subject: its candidates or, where boxes were put together, its lesions.

    Attributes
    ----------
    near : (u, m) array
        :meth:`~cmb_toolkit.evaluation.rules.base.Rule.closeness` of every unit to every microbleed, of its closest box.
    box : (u, m) integer array
        Row of that box.
    first : (u,) integer array
        First row of every unit; units are in the order of these.
    """

    near: NDArray[np.float64]
    box: NDArray[np.intp]
    first: NDArray[np.intp]


def units(candidates: pd.DataFrame, truth: pd.DataFrame, rule: Rule) -> Units:
    """What is counted of one subject, and how near it is to the microbleeds.

    Parameters
    ----------
    candidates, truth : DataFrame
        Rows of ONE subject; boxes with the same ``lesion``, if there is such a column, are one unit.
    rule : Rule
    """
    near = rule.closeness(candidates, truth)
    rows = np.arange(len(candidates))
    if "lesion" not in candidates:
        return Units(near, np.repeat(rows[:, None], len(truth), axis=1), rows)
    unit = pd.factorize(candidates["lesion"])[0].astype(np.intp)
    members = [np.flatnonzero(unit == n) for n in range(unit.max() + 1)] if len(unit) else []
    box = np.array([mine[near[mine].argmax(axis=0)] for mine in members], np.intp).reshape(len(members), len(truth))
    first = np.array([mine[0] for mine in members], np.intp)
    return Units(np.take_along_axis(near, box, axis=0), box, first)


def match(candidates: pd.DataFrame, truth: pd.DataFrame, rule: Rule) -> Matching:
    """Hold candidates against the truth under one rule.

    Parameters
    ----------
    candidates : DataFrame
        participant_id and the rule's columns. With ``lesion``, boxes of one lesion count as one.
    truth : DataFrame
        The microbleeds, with the same columns. Both tables must be of the same subjects: a subject that is in one
        only has nothing but misses or false positives.
    rule : Rule

    Returns
    -------
    Matching

    Raises
    ------
    DataError
        If a column is missing or a coordinate is not a finite number.
    """
    check(candidates, truth, rule)
    outcome = np.full(len(candidates), "merged", dtype="<U9")
    microbleed = np.full(len(candidates), -1)
    hit = np.full(len(truth), -1)
    marks_of = rows_by_subject(truth)
    for subject, mine in rows_by_subject(candidates).items():
        marks = marks_of.get(subject, np.zeros(0, np.intp))
        counted = units(candidates.iloc[mine], truth.iloc[marks], rule)
        outcome[mine[counted.first]] = "fp"
        if not len(marks):
            continue
        close = (counted.near > 0).any(axis=1)
        if rule.counts_duplicates:
            outcome[mine[counted.first[close]]] = "duplicate"
            target = marks[counted.near[close].argmax(axis=1)]
            microbleed[mine[counted.first[close]]] = target
        a, b = rule.pair(counted.near)
        outcome[mine[counted.first[a]]] = "merged"  # the box that hits stands for its lesion
        microbleed[mine[counted.first[a]]] = -1
        outcome[mine[counted.box[a, b]]] = "tp"
        microbleed[mine[counted.box[a, b]]] = marks[b]
        hit[marks[b[::-1]]] = mine[counted.box[a, b]][::-1]  # of several hits (valdo) the first
    return Matching(
        rule,
        pd.DataFrame(
            {"participant_id": candidates["participant_id"], "outcome": outcome, "microbleed": microbleed},
            index=candidates.index,
        ),
        pd.DataFrame(
            {"participant_id": truth["participant_id"], "found": hit >= 0, "candidate": hit}, index=truth.index
        ),
    )


def rows_by_subject(frame: pd.DataFrame) -> dict[str, NDArray[np.intp]]:
    """Positions of every subject's rows."""
    return {str(name): np.asarray(rows) for name, rows in frame.groupby("participant_id", sort=False).indices.items()}


def check(candidates: pd.DataFrame, truth: pd.DataFrame, rule: Rule) -> None:
    """Look whether both tables have what a rule needs.

    Raises
    ------
    DataError
        As :func:`match`.
    """
    for what, frame in (("candidates", candidates), ("truth", truth)):
        _check(what, frame, rule)


def _check(what: str, frame: pd.DataFrame, rule: Rule) -> None:
    columns = ("participant_id", *rule.columns)
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise DataError(
            f"{what} table: {plural(len(missing), 'column')} {', '.join(missing)} missing; the {rule.label} needs it."
        )
    values: NDArray[Any] = numbers(frame, columns[1:])
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        raise DataError(
            f"{what} table: row {row + 1} (subject {frame['participant_id'].iloc[row]}) has a coordinate that is not "
            f"a finite number; the {rule.label} needs {', '.join(columns[1:])}."
        )
