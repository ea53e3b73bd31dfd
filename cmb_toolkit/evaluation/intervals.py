"""What a rate could as well have been with other persons: 95 % intervals by drawing persons with replacement.

Persons are drawn, not microbleeds nor scans, because those of one person are not independent. Where all persons are
alike (nothing found, everything found, one person only) every sample says the same, and the width 0 of its interval
would claim to know the rate. There the interval is Wilson's, of a share of as many trials as there are persons with
something to count, or the exact one of a Poisson count; 0 of n is then 0 to about 3 / n, not 0 to 0.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaincinv, ndtri

__all__ = [
    "NOTHING",
    "SAME",
    "Interval",
    "bootstrap",
    "by_person",
    "counted_persons",
    "draw",
    "interval",
    "persons_of",
    "poisson",
    "pooled_rates",
    "wilson",
]

Interval = tuple[float, float]

NOTHING: Interval = (math.nan, math.nan)

SAME = 1e-12
"""Samples no further apart than this say the same."""


def bootstrap(table: pd.DataFrame, *, samples: int = 1000, level: float = 0.95, seed: int = 0) -> dict[str, Interval]:
    """Percentile intervals by drawing persons with replacement.

    Parameters
    ----------
    table : DataFrame
        From :func:`cmb_toolkit.evaluation.metrics.per_subject`; with ``person_id`` where a person has several scans.
    samples : int
    level : float
        Probability that the interval should cover.
    seed : int

    Returns
    -------
    dict
        ``sensitivity``, ``precision``, ``f1`` and ``fp_per_subject`` -> (low, high). NaN where there is nothing to
        draw from, and for the false positives of one person alone; samples without a denominator are left out.
    """
    numbers = by_person(table)
    if not len(numbers):
        return dict.fromkeys(("sensitivity", "precision", "f1", "fp_per_subject"), NOTHING)
    rates = pooled_rates(numbers[draw(len(numbers), samples, seed)])
    persons = counted_persons(numbers)
    found = {}
    for name, values in rates.items():
        low, high = interval(values, level)
        if high - low <= SAME:
            low, high = wilson(low, persons[name], level) if name in persons else _alike(numbers, level)
        found[name] = (low, high)
    return found


def by_person(table: pd.DataFrame) -> NDArray[np.float64]:
    """tp, fp, fn and the number of scans of each person, in the order of their first scans.

    Parameters
    ----------
    table : DataFrame
        As :func:`bootstrap` takes it.

    Returns
    -------
    (n, 4) array
    """
    numbers = table[["tp", "fp", "fn"]].assign(scans=1)
    if "person_id" in table:
        numbers = numbers.groupby(persons_of(table).to_numpy(), sort=False).sum()
    return numbers.to_numpy(float)


def persons_of(table: pd.DataFrame) -> pd.Series[str]:
    """Who each row of a table of subjects is: its ``person_id``, or where it has none the subject itself."""
    subjects = table["participant_id"]
    return table["person_id"].fillna(subjects) if "person_id" in table else subjects


def draw(persons: int, samples: int, seed: int) -> NDArray[np.integer]:
    """Numbers of the persons in each sample, (samples, persons): equal seeds draw equal persons."""
    return np.random.default_rng(seed).integers(persons, size=(samples, persons))


def pooled_rates(numbers: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Rates of persons together, for many sets of persons at once.

    Parameters
    ----------
    numbers : (s, n, 4) array
        As :func:`by_person` has them, of each of n > 0 persons in each of s sets.

    Returns
    -------
    dict
        As :func:`bootstrap` has it -> (s,) array, NaN without a denominator.
    """
    tp, fp, fn, scans = numbers.sum(axis=1).T
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "sensitivity": tp / (tp + fn),
            "precision": tp / (tp + fp),
            "f1": 2 * tp / (2 * tp + fp + fn),
            "fp_per_subject": fp / scans,
        }


def interval(values: NDArray[np.float64], level: float = 0.95) -> Interval:
    """Percentiles that hold the middle part `level` of the values that are finite; NaN where none is."""
    usable = values[np.isfinite(values)]
    if not len(usable):
        return NOTHING
    low, high = np.quantile(usable, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def counted_persons(numbers: NDArray[np.float64]) -> dict[str, int]:
    """How many persons each of the shares is made of: those with something in its denominator."""
    tp, fp, fn, _ = numbers.T
    sums = {"sensitivity": tp + fn, "precision": tp + fp, "f1": tp + fp + fn}
    return {name: int((sum_ > 0).sum()) for name, sum_ in sums.items()}


def wilson(share: float, trials: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of a share, 0..1, of `trials` independent trials; NaN where there is none."""
    if not trials or math.isnan(share):
        return NOTHING
    z2 = float(ndtri((1 + level) / 2)) ** 2
    centre = share + z2 / (2 * trials)
    half = math.sqrt(z2 * (share * (1 - share) / trials + z2 / (4 * trials**2)))
    low, high = ((centre + side * half) / (1 + z2 / trials) for side in (-1, 1))
    return (low if share > 0 else 0.0), (high if share < 1 else 1.0)


def poisson(count: float, scans: float, level: float = 0.95) -> Interval:
    """Garwood's exact interval of a rate per scan when `count` were counted in `scans`."""
    low = float(gammaincinv(count, (1 - level) / 2)) if count else 0.0
    return low / scans, float(gammaincinv(count + 1, (1 + level) / 2)) / scans


def _alike(numbers: NDArray[np.float64], level: float) -> Interval:
    """Of the false positives per scan where all persons have equally many."""
    _, fp, _, scans = numbers.sum(axis=0)
    return NOTHING if len(numbers) == 1 and fp else poisson(fp, scans, level)
