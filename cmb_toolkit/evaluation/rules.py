"""When a candidate counts as a microbleed: two named rules that are never mixed.

``paper``
    A microbleed is found when a box on its labelled slice has IoU > 0.8 (strictly) with its 20x20 box (Al-masni et
    al. 2020, section 2.5). Every other box is a false positive, a second box on the same lesion or the same lesion
    seen one slice further included: the paper counts boxes.
``centre``
    A microbleed is found when a candidate's centre lies no further than `distance_mm` from its point, in 3-D
    millimetres (a distance equal to it still counts). Further candidates as near to a microbleed are *duplicates*:
    one lesion is usually seen on two or three slices, which is neither a second hit nor a false alarm. They are
    counted and shown apart. Every other candidate is a false positive.

Under both rules candidates and microbleeds are paired one to one within a subject: as many pairs as there can be and,
among those, the pairs that lie closest together (greatest overlap). The numbers of hits, duplicates and false
positives therefore do not depend on the order of the rows, and adding a candidate never loses a hit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ..boxes import iou
from ..errors import DataError, UsageError

__all__ = ["OUTCOMES", "RULES", "Matching", "Rule", "closeness", "match", "rows_by_subject"]

RULES: tuple[str, ...] = ("paper", "centre")
"""Names of the rules."""

OUTCOMES: tuple[str, ...] = ("tp", "fp", "duplicate")
"""What a candidate can turn out to be."""

_COLUMNS = {"paper": ("k", "left", "top", "right", "bottom"), "centre": ("x_mm", "y_mm", "z_mm")}


@dataclass(frozen=True)
class Rule:
    """A hit rule.

    Attributes
    ----------
    name : str
        ``paper`` or ``centre``.
    distance_mm : float
        Greatest distance that still counts [mm], inclusive; used by ``centre`` only.
    iou : float
        Overlap that must be exceeded; used by ``paper`` only.

    Raises
    ------
    UsageError
        If the name is unknown or a limit is out of range.
    """

    name: Literal["paper", "centre"] = "centre"
    distance_mm: float = 3.0
    iou: float = 0.8

    def __post_init__(self) -> None:
        if self.name not in RULES:
            raise UsageError(f"rule {self.name!r} is not known; choose one of {', '.join(RULES)}.")
        if not 0 < self.distance_mm < float("inf"):
            raise UsageError(f"rule distance {self.distance_mm} mm: must be above 0 and finite, for example 3.")
        if not 0 <= self.iou < 1:
            raise UsageError(f"rule IoU {self.iou}: must be from 0 to below 1; the paper's is 0.8.")

    @property
    def label(self) -> str:
        """The rule in words, to stand beside every number made with it."""
        if self.name == "paper":
            return f"paper rule: IoU > {self.iou:g} on the labelled slice"
        return f"centre rule: within {self.distance_mm:g} mm"


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


def closeness(candidates: pd.DataFrame, truth: pd.DataFrame, rule: Rule) -> NDArray[np.float64]:
    """How near every candidate is to every microbleed of the same subject, under a rule.

    Parameters
    ----------
    candidates, truth : DataFrame
        Rows of ONE subject.
    rule : Rule

    Returns
    -------
    (n, m) array
        0 where the pair does not count as a hit, otherwise in 0..1 and greater for nearer: the IoU, or
        1 - distance / (2 distance_mm).
    """
    if rule.name == "paper":
        overlap = iou(_numbers(candidates, ["left", "top", "right", "bottom"]), _numbers(truth, _COLUMNS["paper"][1:]))
        same_slice = _numbers(candidates, ["k"]) == _numbers(truth, ["k"]).T
        return np.where(same_slice & (overlap > rule.iou), overlap, 0.0)
    axes = _COLUMNS["centre"]
    offset = _numbers(candidates, axes)[:, None] - _numbers(truth, axes)[None]
    distance = np.sqrt((offset**2).sum(axis=2))
    return np.where(distance <= rule.distance_mm, 1 - distance / (2 * rule.distance_mm), 0.0)


def match(candidates: pd.DataFrame, truth: pd.DataFrame, rule: Rule) -> Matching:
    """Hold candidates against the truth under one rule.

    Parameters
    ----------
    candidates : DataFrame
        participant_id and, for ``paper``, k, left, top, right, bottom [px on the network image]; for ``centre``,
        x_mm, y_mm, z_mm (world).
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
    for what, frame in (("candidates", candidates), ("truth", truth)):
        _check(what, frame, rule)
    outcome = np.full(len(candidates), "fp", dtype="<U9")
    microbleed = np.full(len(candidates), -1)
    hit = np.full(len(truth), -1)
    rows = rows_by_subject(candidates)
    for subject, marks in rows_by_subject(truth).items():
        if subject not in rows:
            continue
        mine = rows[subject]
        near = closeness(candidates.iloc[mine], truth.iloc[marks], rule)
        a, b = _pairs(near)
        hit[marks[b]] = mine[a]
        if rule.name == "centre":
            close = near.max(axis=1) > 0
            outcome[mine[close]] = "duplicate"
            microbleed[mine[close]] = marks[near[close].argmax(axis=1)]
        outcome[mine[a]] = "tp"
        microbleed[mine[a]] = marks[b]
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


def _pairs(near: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """One-to-one pairs (rows, columns): as many as possible, then the greatest total closeness."""
    # a pair is worth more than the closeness of all pairs together, so that the number of pairs comes first
    worth = np.where(near > 0, near + min(near.shape) + 1, 0.0)
    a, b = linear_sum_assignment(worth, maximize=True)
    real = near[a, b] > 0
    return a[real], b[real]


def _check(what: str, frame: pd.DataFrame, rule: Rule) -> None:
    columns = ("participant_id", *_COLUMNS[rule.name])
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise DataError(
            f"{what} table: column{'s' * (len(missing) > 1)} {', '.join(missing)} missing; the {rule.label} needs it."
        )
    values: NDArray[Any] = _numbers(frame, columns[1:])
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        raise DataError(
            f"{what} table: row {row + 1} (subject {frame['participant_id'].iloc[row]}) has a coordinate that is not "
            f"a finite number; the {rule.label} needs {', '.join(columns[1:])}."
        )


def _numbers(frame: pd.DataFrame, columns: list[str] | tuple[str, ...]) -> NDArray[np.float64]:
    values: NDArray[np.float64] = frame[list(columns)].to_numpy(float)
    return values
