"""One number for a curve of sensitivity against false positives: the average sensitivity at seven rates (CPM).

The competition performance metric of the LUNA16 challenge: sensitivity at 1/8, 1/4, 1/2, 1, 2, 4 and 8 false positives
a subject, averaged. At each rate the greatest sensitivity counts that a threshold reaches with that many false
positives or fewer; nothing is interpolated between thresholds. A curve that ends before a rate keeps its last
sensitivity there: its lowest threshold is a point like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .intervals import draw, interval, wilson
from .metrics import froc_steps
from .rules.base import Rule

__all__ = ["RATES", "Cpm", "cpm"]

RATES: tuple[float, ...] = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)
"""False positives a subject at which the sensitivity is taken."""

_Integers = NDArray[np.integer[Any]]

_CHUNK = 4_000_000
"""Numbers held at once while the bootstrap draws."""


@dataclass(frozen=True)
class Cpm:
    """The average sensitivity of a curve.

    Attributes
    ----------
    value : float
        Average over RATES, 0..1; NaN where there is no microbleed.
    low, high : float
        95 % bootstrap interval over persons.
    sensitivity : tuple of float
        At each of RATES.
    """

    value: float
    low: float
    high: float
    sensitivity: tuple[float, ...]


def cpm(
    candidates: pd.DataFrame,
    truth: pd.DataFrame,
    rule: Rule,
    subjects: Sequence[str],
    score: str = "confidence",
    *,
    persons: Mapping[str, str] | None = None,
    samples: int = 1000,
    seed: int = 0,
) -> Cpm:
    """Average sensitivity at RATES, with an interval by drawing persons with replacement.

    Parameters
    ----------
    candidates, truth, rule, subjects, score
        As for :func:`cmb_toolkit.evaluation.metrics.froc`.
    persons : mapping, optional
        Subject -> person, where some are scans of one.
    samples, seed
        As for :func:`cmb_toolkit.evaluation.intervals.bootstrap`: the same seed draws the same persons. Samples without
        a microbleed are left out.
    """
    steps = froc_steps(candidates, truth, rule, subjects, score)
    names = list(subjects)
    marks = truth["participant_id"].value_counts().reindex(names, fill_value=0).to_numpy(int)
    place = pd.Index(names).get_indexer(pd.Index(steps["participant_id"]))
    own = _sensitivities(steps, place, marks, np.ones((1, len(names)), int))[0]
    low = high = float("nan")
    if names:
        person = pd.factorize(pd.Series(names).replace(dict(persons or {})))[0]
        draws = draw(person.max() + 1, samples, seed)
        times = np.stack([(draws == n).sum(axis=1) for n in person], axis=1)
        parts = np.array_split(times, max(1, samples * len(steps) // _CHUNK))
        drawn = np.concatenate([_sensitivities(steps, place, marks, part) for part in parts])
        low, high = interval(drawn.mean(axis=1))
        if low == high:
            low, high = wilson(low, len(set(person[marks > 0])))
    return Cpm(float(own.mean()), low, high, tuple(float(each) for each in own))


def _sensitivities(steps: pd.DataFrame, place: _Integers, marks: _Integers, times: _Integers) -> NDArray[np.float64]:
    """Sensitivity at each of RATES when subject n is there `times[:, n]` times.

    Parameters
    ----------
    steps : DataFrame
        From :func:`froc_steps`, s rows.
    place : (s,) integer array
        Subject of each step, 0..n-1.
    marks : (n,) integer array
        Microbleeds of each subject.
    times : (d, n) integer array

    Returns
    -------
    (d, 7) array
        NaN where there is no microbleed.
    """
    scores = steps["score"].to_numpy(float)
    last = np.append(scores[1:] != scores[:-1], True) if len(scores) else np.zeros(0, bool)
    weight = times[:, place]
    found, false = (
        np.pad(np.cumsum(weight * steps[name].to_numpy(int), axis=1)[:, last], ((0, 0), (1, 0)))
        for name in ("tp", "fp")
    )
    subjects, microbleeds = times.sum(axis=1), times @ marks
    at = [(false <= rate * subjects[:, None]).sum(axis=1) - 1 for rate in RATES]
    hits = np.stack([found[np.arange(len(times)), column] for column in at], axis=1)
    whole = microbleeds[:, None].astype(float)
    sensitivity: NDArray[np.float64] = np.divide(hits, whole, out=np.full(hits.shape, np.nan), where=whole > 0)
    return sensitivity
