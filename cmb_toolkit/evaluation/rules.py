"""When a candidate counts as a microbleed: four named rules that are never mixed.

``paper``
    A microbleed is found when a box on its labelled slice has IoU > 0.8 (strictly) with its 20x20 box (Al-masni et
    al. 2020, section 2.5). Every other box is a false positive, a second box on the same lesion or the same lesion
    seen one slice further included: the paper counts boxes.
``centre``
    A microbleed is found when a candidate's centre lies no further than `distance_mm` from its point, in 3-D
    millimetres (a distance equal to it still counts). Further candidates as near to a microbleed are *duplicates*:
    one lesion is usually seen on two or three slices, which is neither a second hit nor a false alarm. They are
    counted and shown apart. Every other candidate is a false positive.
``overlap``
    A microbleed is found when a candidate's box and its 20x20 box share any area, on the labelled slice or at most
    `slices` slices away from it. Further candidates that do are duplicates, as under ``centre``.
``valdo``
    The rule of the VALDO 2021 challenge, task 2, applied to centres: a candidate belongs to the microbleed nearest to
    it, if that is nearer than 5 mm (strictly). Of several candidates of one microbleed the nearest is a hit (of
    several equally near ones each), the others are false positives: they do not fall through to the second nearest
    microbleed, even if nobody else finds it.

Under the first three rules candidates and microbleeds are paired one to one within a subject: as many pairs as there
can be and, among those, the pairs that lie closest together (greatest overlap). Under all rules the numbers of hits,
duplicates and false positives do not depend on the order of the rows, and adding a candidate never loses a microbleed.

Candidates that were put together by :func:`cmb_toolkit.evaluation.merging.merge_boxes` (column ``lesion``) count as
one: a lesion lies where any of its boxes lies; for ``valdo``, which knows only centroids, at the mean of their centres.
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

__all__ = [
    "OUTCOMES",
    "RULES",
    "VALDO_MM",
    "WITH_DUPLICATES",
    "Matching",
    "Rule",
    "Units",
    "closeness",
    "match",
    "rows_by_subject",
    "units",
]

RULES: tuple[str, ...] = ("paper", "centre", "overlap", "valdo")
"""Names of the rules."""

OUTCOMES: tuple[str, ...] = ("tp", "fp", "duplicate", "merged")
"""What a candidate can turn out to be; ``merged``: another box of its lesion is counted in its place."""

WITH_DUPLICATES: tuple[str, ...] = ("centre", "overlap")
"""Rules under which a further candidate at a microbleed is no false positive."""

VALDO_MM = 5.0
"""Distance that a candidate of the VALDO rule must be nearer than [mm]."""

_BOX = ("left", "top", "right", "bottom")
_AXES = ("x_mm", "y_mm", "z_mm")
_COLUMNS = {"paper": ("k", *_BOX), "centre": _AXES, "overlap": ("k", *_BOX), "valdo": _AXES}


@dataclass(frozen=True)
class Rule:
    """A hit rule.

    Attributes
    ----------
    name : str
        One of RULES.
    distance_mm : float
        Greatest distance that still counts [mm], inclusive; used by ``centre`` only.
    iou : float
        Overlap that must be exceeded; used by ``paper`` only.
    slices : int
        Greatest distance from the labelled slice [slices], inclusive; used by ``overlap`` only.

    Raises
    ------
    UsageError
        If the name is unknown or a limit is out of range.
    """

    name: Literal["paper", "centre", "overlap", "valdo"] = "centre"
    distance_mm: float = 3.0
    iou: float = 0.8
    slices: int = 0

    def __post_init__(self) -> None:
        if self.name not in RULES:
            raise UsageError(f"rule {self.name!r} is not known; choose one of {', '.join(RULES)}.")
        if not 0 < self.distance_mm < float("inf"):
            raise UsageError(f"rule distance {self.distance_mm} mm: must be above 0 and finite, for example 3.")
        if not 0 <= self.iou < 1:
            raise UsageError(f"rule IoU {self.iou}: must be from 0 to below 1; the paper's is 0.8.")
        if self.slices < 0:
            raise UsageError(f"rule slices {self.slices}: must be 0 (the labelled slice) or more.")

    @property
    def label(self) -> str:
        """The rule in words, to stand beside every number made with it."""
        further = f" or up to {self.slices} beside it" if self.slices else ""
        return {
            "paper": f"paper rule: IoU > {self.iou:g} on the labelled slice",
            "centre": f"centre rule: within {self.distance_mm:g} mm",
            "overlap": f"overlap rule: boxes overlap on the labelled slice{further}",
            "valdo": f"VALDO rule: nearest microbleed, nearer than {VALDO_MM:g} mm",
        }[self.name]


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
        1 - distance / (2 distance_mm). For ``valdo`` only the microbleed nearest to a candidate is not 0 (of several
        equally near ones the first by x, y, z), and distances are told apart to the last bit.
    """
    if rule.name in ("paper", "overlap"):
        shared = iou(_numbers(candidates, _BOX), _numbers(truth, _BOX))
        apart = np.abs(_numbers(candidates, ["k"]) - _numbers(truth, ["k"]).T)
        limit, slices = (rule.iou, 0) if rule.name == "paper" else (0.0, rule.slices)
        return np.where((apart <= slices) & (shared > limit), shared, 0.0)
    points, marks = _numbers(candidates, _AXES), _numbers(truth, _AXES)
    if rule.name == "centre":
        distance = _distance(points, marks)
        return np.where(distance <= rule.distance_mm, 1 - distance / (2 * rule.distance_mm), 0.0)
    distance = _distance(_lesion_centres(candidates, points), marks)
    order = np.lexsort(marks.T[::-1])
    nearest = order[distance[:, order].argmin(axis=1)] if len(marks) else np.zeros(len(points), int)
    belongs = (nearest[:, None] == np.arange(len(marks))) & (distance < VALDO_MM)
    # by rank: equal for equal distances only, which a difference from the limit would not be after rounding
    rank = np.unique(distance, return_inverse=True)[1].reshape(distance.shape)
    return np.where(belongs, 1 / (1 + rank), 0.0)


@dataclass(frozen=True)
class Units:
    """What is counted of one subject: its candidates or, where boxes were put together, its lesions.

    Attributes
    ----------
    near : (u, m) array
        :func:`closeness` of every unit to every microbleed, of its closest box.
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
    near = closeness(candidates, truth, rule)
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
        participant_id and, for ``paper`` and ``overlap``, k, left, top, right, bottom [px on the network image]; for
        ``centre`` and ``valdo``, x_mm, y_mm, z_mm (world). With ``lesion``, boxes of one lesion count as one.
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
        if rule.name in WITH_DUPLICATES:
            outcome[mine[counted.first[close]]] = "duplicate"
            target = marks[counted.near[close].argmax(axis=1)]
            microbleed[mine[counted.first[close]]] = target
        a, b = _winners(counted.near) if rule.name == "valdo" else _pairs(counted.near)
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


def _pairs(near: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """One-to-one pairs (rows, columns): as many as possible, then the greatest total closeness."""
    # a pair is worth more than the closeness of all pairs together, so that the number of pairs comes first
    worth = np.where(near > 0, near + min(near.shape) + 1, 0.0)
    a, b = linear_sum_assignment(worth, maximize=True)
    real = near[a, b] > 0
    return a[real], b[real]


def _winners(near: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For every column the rows that are nearest to it: several where they are equally near."""
    best = near.max(axis=0, initial=0)
    rows, columns = np.nonzero((near == best) & (near > 0))
    return rows, columns


def _distance(points: NDArray[np.float64], marks: NDArray[np.float64]) -> NDArray[np.float64]:
    offset = points[:, None] - marks[None]
    distance: NDArray[np.float64] = np.sqrt((offset**2).sum(axis=2))
    return distance


def _lesion_centres(candidates: pd.DataFrame, points: NDArray[np.float64]) -> NDArray[np.float64]:
    if "lesion" not in candidates:
        return points
    means = pd.DataFrame(points).groupby(candidates["lesion"].to_numpy()).transform("mean")
    return np.asarray(means, float)


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
