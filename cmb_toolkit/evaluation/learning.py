"""What a detector finds while it learns: its figures at one look, and what they say of the training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.special import bdtrc

from .matching import match
from .metrics import froc
from .rules.centre import Centre

__all__ = ["BUDGETS", "by_heart", "found_by_chance", "look_figures", "told_from_chance"]

BUDGETS = (20, 50, 100)
"""False positives per subject at which a detector is looked at: fewer and more than the paper's 52."""

_GAP = 0.1
_ERRORS = 2.0
_CHANCE = 0.01


def look_figures(
    candidates: pd.DataFrame,
    truth: pd.DataFrame,
    subjects: Sequence[str],
    slice_mm: Mapping[str, float],
    *,
    distance_mm: float = 3.0,
) -> dict[str, float]:
    """Microbleeds found within each of :data:`BUDGETS`, and how far off their candidates are.

    Parameters
    ----------
    candidates : DataFrame
        participant_id, k, x_mm, y_mm, z_mm, confidence.
    truth : DataFrame
        Microbleeds: participant_id, k, x_mm, y_mm, z_mm.
    subjects : sequence of str
        Every subject that was looked at.
    slice_mm : mapping of participant_id to float
        From slice to slice [mm].
    distance_mm : float
        Of the centre rule [mm].

    Returns
    -------
    dict
        ``found_20`` ... (microbleeds), and of those found within the largest budget the root mean square of the
        distance from candidate to mark, ``error_mm`` in space and ``error_in_plane_mm`` without its part across the
        slices; NaN where none is found.
    """
    rule = Centre(distance_mm)
    curve = froc(candidates, truth, rule, subjects)
    within = {budget: curve[curve["fp_per_subject"] <= budget] for budget in BUDGETS}
    figures: dict[str, float] = {f"found_{budget}": int(rows["tp"].max()) for budget, rows in within.items()}
    threshold = float(within[max(BUDGETS)]["threshold"].min())
    kept = candidates[candidates["confidence"] >= threshold]
    hits = match(kept, truth, rule).truth
    rows = hits["candidate"].to_numpy()[hits["found"].to_numpy(bool)]
    marks, found = truth[hits["found"].to_numpy(bool)], kept.iloc[rows]
    axes = ["x_mm", "y_mm", "z_mm"]
    apart = ((found[axes].to_numpy(float) - marks[axes].to_numpy(float)) ** 2).sum(axis=1)
    thick = marks["participant_id"].map(slice_mm).to_numpy(float)
    across = ((found["k"].to_numpy(float) - marks["k"].to_numpy(float)) * thick) ** 2
    for name, square in (("error_mm", apart), ("error_in_plane_mm", np.clip(apart - across, 0, None))):
        figures[name] = float(np.sqrt(square.mean())) if len(square) else math.nan
    return figures


def by_heart(found_train: int, train: int, found_validation: int, validation: int) -> bool:
    """Whether more is found of what was trained on than of other microbleeds, by far and by more than chance.

    By more than ten points, and more than two standard errors of the difference of two shares.

    Parameters
    ----------
    found_train, train, found_validation, validation : int
        Microbleeds found, and all, of training subjects and of others.
    """
    if not train or not validation:
        return False
    gap = found_train / train - found_validation / validation
    pooled = (found_train + found_validation) / (train + validation)
    return gap > _GAP and gap > _ERRORS * math.sqrt(pooled * (1 - pooled) * (1 / train + 1 / validation))


def found_by_chance(volume_mm3: float, slice_mm: float, candidates: float, *, distance_mm: float = 3.0) -> float:
    """Probability that one of so many candidates hits a microbleed where they lie anywhere on any slice.

    Parameters
    ----------
    volume_mm3 : float
        All slices: area of the plane times distance times number.
    slice_mm : float
        From slice to slice [mm].
    candidates : float
        In the volume.
    distance_mm : float
        Within which a candidate hits, in space [mm].
    """
    heights = np.arange(-int(distance_mm / slice_mm), int(distance_mm / slice_mm) + 1) * slice_mm
    near = float(np.pi * (distance_mm**2 - heights**2).sum()) * slice_mm
    return 1 - math.pow(1 - min(near / volume_mm3, 1.0), candidates)


def told_from_chance(found: int, chances: Sequence[float]) -> bool:
    """Whether more microbleeds were found than candidates placed anywhere would find (1 in 100).

    Parameters
    ----------
    found : int
    chances : sequence of float
        :func:`found_by_chance` of every microbleed that could be found.
    """
    return bool(bdtrc(found - 1, len(chances), float(np.mean(chances))) < _CHANCE) if chances else True
