"""The score from which on candidates are kept, chosen on validation subjects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..errors import DataError
from .metrics import froc
from .rules.base import Rule

__all__ = ["choose_threshold"]

_CURE = "Give the threshold yourself, or take more validation subjects."


def choose_threshold(
    candidates: pd.DataFrame,
    truth: pd.DataFrame,
    rule: Rule,
    subjects: Sequence[str],
    score: str = "confidence",
    *,
    sensitivity: float | None = None,
    most_false: float | None = None,
) -> float:
    """Choose a threshold: by the sensitivity that is wanted, by the false positives that are allowed, or by F1.

    Parameters
    ----------
    candidates, truth, rule, score
        As for :func:`cmb_toolkit.evaluation.metrics.froc`.
    subjects : sequence of str
        Validation subjects; candidates and microbleeds of others are not looked at.
    sensitivity : float, optional
        The highest threshold that finds this share (0..1) of what the candidates lie on.
    most_false : float, optional
        The lowest threshold with at most so many false positives per subject, which hangs on many of them and not on
        one faint microbleed. With `sensitivity`: no threshold lower than this.

    Returns
    -------
    float
        Keep ``score >= threshold``. With neither, the one with the greatest F1: the middle of the range of those that
        keep the same candidates, to six digits.

    Raises
    ------
    DataError
        If there is no microbleed or no candidate to choose by, or none is found within the budget.
    """
    candidates, truth = (table[table["participant_id"].isin(list(subjects))] for table in (candidates, truth))
    for table, what in ((truth, "a microbleed to find"), (candidates, "a candidate")):
        if table.empty:
            raise DataError(f"no validation subject has {what}, so there is no threshold of {score} to choose. {_CURE}")
    curve = froc(candidates, truth, rule, subjects, score).iloc[1:]
    limits = []
    if sensitivity is not None:
        if not curve["tp"].any():
            raise DataError(
                f"no candidate lies on a microbleed of the {len(subjects)} validation subjects, so there is no "
                f"threshold of {score} to choose. {_CURE}"
            )
        limits.append(_first(curve, curve["sensitivity"].clip(upper=sensitivity * curve["sensitivity"].max())))
    if most_false is not None:
        within = curve[curve["fp_per_subject"] <= most_false]
        if not within["tp"].any():
            raise DataError(
                f"no microbleed of the {len(subjects)} validation subjects is found at {most_false:g} false positives "
                f"a subject or fewer. Look at the loss curves, train longer, allow more false positives, or give the "
                f"threshold of {score} yourself."
            )
        limits.append(float(within["threshold"].min()))
    if limits:
        return max(limits)
    upper = _first(curve, 2 * curve["tp"] / (curve["tp"] + curve["fp"] + len(truth)))
    below = candidates[score][candidates[score] < upper]
    return float(f"{(upper + (below.max() if len(below) else 0.0)) / 2:.6g}")


def _first(curve: pd.DataFrame, goal: pd.Series[float]) -> float:
    """The threshold with the greatest gain; the highest of equals has the fewest false positives."""
    return float(curve["threshold"].to_numpy()[int(np.argmax(goal.to_numpy()))])
