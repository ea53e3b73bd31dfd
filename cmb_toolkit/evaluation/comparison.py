"""Two detectors on the same subjects, and one detector trained several times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import DataError
from ..model import Counts
from .intervals import (
    NOTHING,
    SAME,
    Interval,
    by_person,
    counted_persons,
    draw,
    interval,
    poisson,
    pooled_rates,
    wilson,
)

__all__ = ["RATES", "Comparison", "compare", "pool_seeds"]

RATES: tuple[str, ...] = ("sensitivity", "precision", "f1", "fp_per_subject")
"""Rates of :class:`cmb_toolkit.model.Counts` that are compared."""


@dataclass(frozen=True)
class Comparison:
    """What two sides come to on the same test subjects.

    Attributes
    ----------
    names : (str, str)
        What is compared.
    folds : tuple of str
        Folds that both sides have.
    subjects, microbleeds : int
        Of their test sets.
    label : str
        The rule in words.
    stages : mapping
        ``stage1`` and ``overall``, where both sides have them -> table of :func:`compare`.
    """

    names: tuple[str, str]
    folds: tuple[str, ...]
    subjects: int
    microbleeds: int
    label: str
    stages: Mapping[str, pd.DataFrame]


def compare(
    first: pd.DataFrame, second: pd.DataFrame, *, samples: int = 1000, level: float = 0.95, seed: int = 0
) -> pd.DataFrame:
    """Differences of the pooled rates of two detectors, with intervals by drawing persons with replacement.

    The same persons are drawn for both, so that what makes a person hard for both does not widen the interval. Where
    every sample says the same, the interval reaches as far to both sides as could have been missed: as far as that of 0
    of as many persons.

    Parameters
    ----------
    first, second : DataFrame
        From :func:`cmb_toolkit.evaluation.metrics.per_subject`, of the same subjects under the same rule; with
        ``person_id`` where a person has several scans.
    samples, level, seed
        As for :func:`cmb_toolkit.evaluation.intervals.bootstrap`.

    Returns
    -------
    DataFrame
        rate, first, second, difference (second - first), low, high; NaN where a rate has no denominator.

    Raises
    ------
    DataError
        If the tables are not of the same subjects with the same microbleeds.
    """
    one, other = (table.set_index("participant_id", drop=False).sort_index() for table in (first, second))
    if not one.index.is_unique or not one.index.equals(other.index):
        different = sorted(set(one.index) ^ set(other.index)) or sorted(set(one.index[one.index.duplicated()]))
        raise DataError(
            f"a comparison needs the same subjects once on both sides; {', '.join(different[:5])} "
            "is not. Compare cells of the same fold."
        )
    if (one["microbleeds"] != other["microbleeds"]).any():
        subject = str(one.index[(one["microbleeds"] != other["microbleeds"]).to_numpy()][0])
        here, there = (int(table["microbleeds"][subject]) for table in (one, other))
        raise DataError(
            f"{subject} has {here} microbleeds on one side and {there} on the other. "
            "Evaluate both cells again with the present marks."
        )
    if one.empty:
        raise DataError("there is no subject to compare on.")
    numbers = [by_person(table) for table in (one, other)]
    draws = draw(len(numbers[0]), samples, seed)
    own = [pooled_rates(each[None]) for each in numbers]
    drawn = [pooled_rates(each[draws]) for each in numbers]
    rows = []
    for rate in RATES:
        a, b = (float(each[rate][0]) for each in own)
        low, high = interval(drawn[1][rate] - drawn[0][rate], level)
        if high - low <= SAME:
            low, high = _alike(rate, b - a, numbers, level)
        rows.append((rate, a, b, b - a, low, high))
    return pd.DataFrame(rows, columns=["rate", "first", "second", "difference", "low", "high"])


def _alike(rate: str, difference: float, numbers: Sequence[NDArray[np.float64]], level: float) -> Interval:
    """Of a difference that is the same in every sample."""
    if rate == "fp_per_subject":
        if len(numbers[0]) == 1 and any(each[:, 1].any() for each in numbers):
            return NOTHING
        reach = poisson(0, float(numbers[0][:, 3].sum()), level)[1]
        return difference - reach, difference + reach
    reach = wilson(0, max(counted_persons(each)[rate] for each in numbers), level)[1]
    return max(difference - reach, -1.0), min(difference + reach, 1.0)


def pool_seeds(results: Sequence[Counts]) -> pd.DataFrame:
    """Rates of the same cell trained with different seeds.

    Parameters
    ----------
    results : sequence of Counts
        Of the same subjects, one for each seed.

    Returns
    -------
    DataFrame
        rate, mean, low, high (the least and the greatest), seeds (in how many the rate has a denominator).

    Raises
    ------
    DataError
        If the results are of different numbers of subjects, or there is none.
    """
    if len({result.subjects for result in results}) != 1:
        listed = ", ".join(str(result.subjects) for result in results) or "none"
        raise DataError(f"results of several seeds must be of the same subjects; found numbers of subjects: {listed}.")
    rows = []
    for rate in RATES:
        values = np.array([getattr(result, rate) for result in results])
        known = values[np.isfinite(values)]
        summary = (known.mean(), known.min(), known.max()) if len(known) else (float("nan"),) * 3
        rows.append((rate, *map(float, summary), len(known)))
    return pd.DataFrame(rows, columns=["rate", "mean", "low", "high", "seeds"])
