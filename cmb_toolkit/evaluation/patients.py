"""Results by patient: means and medians over subjects beside the pooled rates, errors of the count, burden classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

__all__ = ["CLASSES", "Average", "averages", "burden_classes"]

CLASSES: dict[str, tuple[float, float]] = {"0": (0, 0), "1-4": (1, 4), ">=5": (5, float("inf"))}
"""Classes of patients by number of microbleeds, both limits inclusive."""


@dataclass(frozen=True)
class Average:
    """Mean and median over the subjects for whom a value is defined, and how many these are."""

    mean: float
    median: float
    subjects: int


def averages(table: pd.DataFrame) -> dict[str, Average]:
    """Mean and median over subjects.

    Parameters
    ----------
    table : DataFrame
        From :func:`cmb_toolkit.evaluation.metrics.per_subject`.

    Returns
    -------
    dict
        ``sensitivity`` and ``f1`` over subjects with a microbleed (where nothing was found F1 is 0), ``precision``
        over subjects with a finding, ``fp`` (false positives) and ``count_error`` over all subjects. The count error
        of a subject is the difference between the microbleeds it has and the findings that count, hits and false
        positives, regardless of its sign (AED, the absolute error of the VALDO challenge).
    """
    tp, fp, fn, marks = (table[name].to_numpy(float) for name in ("tp", "fp", "fn", "microbleeds"))
    with np.errstate(invalid="ignore", divide="ignore"):
        values = {
            "sensitivity": (marks - fn) / marks,
            "precision": tp / (tp + fp),
            "f1": np.where(marks > 0, 2 * tp / (2 * tp + fp + fn), np.nan),
            "fp": fp,
            "count_error": np.abs(marks - (tp + fp)),
        }
    result = {}
    for name, each in values.items():
        known = each[np.isfinite(each)]
        mean, median = (float(known.mean()), float(np.median(known))) if len(known) else (float("nan"), float("nan"))
        result[name] = Average(mean, median, len(known))
    return result


def burden_classes(table: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Subjects by their class in truth and by the class that the findings put them in.

    Parameters
    ----------
    table : DataFrame
        From :func:`cmb_toolkit.evaluation.metrics.per_subject`.

    Returns
    -------
    dict
        Class by microbleeds -> class by findings (hits and false positives) -> number of subjects.
    """
    marks, findings = table["microbleeds"].to_numpy(), (table["tp"] + table["fp"]).to_numpy()
    return {
        true: {
            counted: int(((marks >= low) & (marks <= high) & (findings >= least) & (findings <= most)).sum())
            for counted, (least, most) in CLASSES.items()
        }
        for true, (low, high) in CLASSES.items()
    }
