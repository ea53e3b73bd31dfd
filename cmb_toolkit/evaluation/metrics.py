"""Counts, curves and thresholds from hits and misses; rates come from the counts (paper, equations 3 to 6).

Every function takes the list of subjects that were looked at, because a subject without any candidate still counts
in false positives per subject.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import DataError
from ..model import Counts
from .matching import Matching, check, rows_by_subject, units
from .rules.base import Rule

__all__ = [
    "counts",
    "froc",
    "froc_steps",
    "per_subject",
    "pool_froc",
]


_STEPS = ("tp", "fp", "duplicates")


def per_subject(matching: Matching, subjects: Sequence[str]) -> pd.DataFrame:
    """Hits and misses of every subject.

    Parameters
    ----------
    matching : Matching
    subjects : sequence of str
        Every subject that was looked at, those without candidates included.

    Returns
    -------
    DataFrame
        participant_id, microbleeds, candidates, tp, fn, fp, duplicates; one row per subject in the order given.
        Boxes that were merged into another are in none of these. Under ``valdo`` tp counts every hit, which are more
        than the microbleeds found (microbleeds - fn) where several are equally near.

    Raises
    ------
    DataError
        If a candidate or a microbleed belongs to none of the subjects, or a subject is listed twice.
    """
    names = pd.Index(list(subjects), name="participant_id")
    _check_subjects(names, matching.candidates, matching.truth)
    subject = names.get_indexer(pd.Index(matching.candidates["participant_id"]))
    outcome = matching.candidates["outcome"].to_numpy()
    marked = names.get_indexer(pd.Index(matching.truth["participant_id"]))
    missed = ~matching.truth["found"].to_numpy(bool)
    tp, fp, duplicates, microbleeds, fn = (
        np.bincount(rows, minlength=len(names))
        for rows in (*(subject[outcome == each] for each in ("tp", "fp", "duplicate")), marked, marked[missed])
    )
    return pd.DataFrame(
        {
            "participant_id": names,
            "microbleeds": microbleeds,
            "candidates": tp + fp + duplicates,
            "tp": tp,
            "fn": fn,
            "fp": fp,
            "duplicates": duplicates,
        }
    )


def _check_subjects(names: pd.Index, candidates: pd.DataFrame, truth: pd.DataFrame) -> None:
    if not names.is_unique:
        raise DataError(f"subject {names[names.duplicated()][0]} is listed twice among the subjects to count.")
    for what, frame in (("candidate", candidates), ("microbleed", truth)):
        strangers = set(frame["participant_id"]) - set(names)
        if strangers:
            raise DataError(
                f"a {what} belongs to {min(strangers)}, which is none of the {len(names)} subjects counted. "
                "Select the rows of the subjects first."
            )


def counts(matching: Matching, subjects: Sequence[str]) -> Counts:
    """Pooled counts over `subjects` (all of them, those without a candidate included); duplicates are in none."""
    table = per_subject(matching, subjects)
    return Counts(int(table["tp"].sum()), int(table["fp"].sum()), int(table["fn"].sum()), subjects=len(table))


def froc(
    candidates: pd.DataFrame, truth: pd.DataFrame, rule: Rule, subjects: Sequence[str], score: str = "confidence"
) -> pd.DataFrame:
    """Sensitivity against false positives per subject, for every threshold that changes anything.

    Each point is exactly what :func:`match` and :func:`counts` give for the candidates with ``score >= threshold``,
    down to the lowest threshold, at which all candidates are counted. Candidates of equal score come in together.

    Parameters
    ----------
    candidates, truth : DataFrame
        As for :func:`match`; candidates also have the column `score`.
    rule : Rule
    subjects : sequence of str
        Every subject that was looked at.
    score : str
        ``confidence`` (stage 1) or ``probability`` (stage 2).

    Returns
    -------
    DataFrame
        threshold (falling), sensitivity, fp_per_subject, tp, fp, duplicates. The first row has threshold infinity:
        no candidate at all. Sensitivity is NaN where there is no microbleed. Here tp is the number of microbleeds
        found, under every rule.
    """
    steps = froc_steps(candidates, truth, rule, subjects, score)
    scores = steps["score"].to_numpy(float)
    last = np.append(scores[1:] != scores[:-1], True) if len(scores) else np.zeros(0, bool)
    sums = {name: np.concatenate([[0], steps[name].cumsum().to_numpy(int)[last]]) for name in _STEPS}
    return _curve(np.concatenate([[np.inf], scores[last]]), sums, len(truth), len(subjects))


def froc_steps(
    candidates: pd.DataFrame, truth: pd.DataFrame, rule: Rule, subjects: Sequence[str], score: str = "confidence"
) -> pd.DataFrame:
    """What each candidate (or lesion) adds to the counts when they come in by falling score.

    Parameters
    ----------
    candidates, truth, rule, subjects, score
        As for :func:`froc`.

    Returns
    -------
    DataFrame
        participant_id, score (falling), tp (microbleeds found), fp, duplicates; the sums down to a score are the
        counts at that threshold. Where a nearer candidate takes a microbleed over (``valdo``) it adds the false
        positive that the former becomes.

    Raises
    ------
    DataError
        If a score is not a finite number, or what :func:`match` and :func:`per_subject` raise.
    """
    check(candidates, truth, rule)
    _check_subjects(pd.Index(list(subjects)), candidates, truth)
    values = candidates[score].to_numpy(float)
    if not np.isfinite(values).all():
        raise DataError(f"candidates table: {score} holds a value that is not a finite number.")
    marks_of = rows_by_subject(truth)
    parts = [pd.DataFrame({"participant_id": pd.Series(dtype=str), "score": pd.Series(dtype=float)})]
    for subject, mine in rows_by_subject(candidates).items():
        marks = marks_of.get(subject, np.zeros(0, np.intp))
        counted = units(candidates.iloc[mine], truth.iloc[marks], rule)
        scores = values[mine[counted.first]]
        order = np.argsort(-scores, kind="stable")
        steps = pd.DataFrame(rule.steps(counted.near[order]), columns=list(_STEPS))
        if not rule.counts_duplicates:
            steps["fp"] += steps["duplicates"]
            steps["duplicates"] = 0
        parts.append(steps.assign(participant_id=subject, score=scores[order]))
    table = pd.concat(parts, ignore_index=True).reindex(columns=["participant_id", "score", *_STEPS])
    table = table.sort_values("score", ascending=False, kind="stable", ignore_index=True)
    return table.astype(dict.fromkeys(_STEPS, int))


def pool_froc(curves: Sequence[pd.DataFrame], microbleeds: int, subjects: int) -> pd.DataFrame:
    """One curve from those of several folds, all at the same threshold (as the paper's totals are).

    Parameters
    ----------
    curves : sequence of DataFrame
        From :func:`froc`.
    microbleeds, subjects : int
        How many there are in all folds together.

    Returns
    -------
    DataFrame
        As from :func:`froc`.
    """
    thresholds = np.unique(np.concatenate([[np.inf], *(curve["threshold"].to_numpy(float) for curve in curves)]))[::-1]
    sums = {name: np.zeros(len(thresholds), int) for name in ("tp", "fp", "duplicates")}
    for curve in curves:
        # at a threshold between two of its own, a curve stands where its next higher one put it
        row = np.searchsorted(-curve["threshold"].to_numpy(float), -thresholds, side="right") - 1
        for name in sums:
            sums[name] += curve[name].to_numpy(int)[row]
    return _curve(thresholds, sums, microbleeds, subjects)


def _curve(
    thresholds: NDArray[np.float64], sums: dict[str, NDArray[np.int_]], microbleeds: int, subjects: int
) -> pd.DataFrame:
    nan = np.full(len(thresholds), np.nan)
    return pd.DataFrame(
        {
            "threshold": thresholds,
            "sensitivity": sums["tp"] / microbleeds if microbleeds else nan,
            "fp_per_subject": sums["fp"] / subjects if subjects else nan,
            **sums,
        }
    )
