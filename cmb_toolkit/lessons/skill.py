"""Whether a network has learned anything, by what it finds of the scans that it learned from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import DataError
from ..evaluation.learning import found_by_chance, told_from_chance
from .brains import Brain
from .loop import Found

__all__ = ["MOST", "check_skill"]

MOST = 200
"""Places of a scan that need be looked at, the likeliest."""

_LOOKED_AT, _ALLOWED, _HIT_MM = 6, 20, 3.0


def check_skill(look: Callable[[Brain], Found], brains: Sequence[Brain]) -> dict[str, Any]:
    """What a network finds of the first scans that it learned from.

    Parameters
    ----------
    look : callable
        What it finds in a brain.
    brains : sequence of Brain

    Returns
    -------
    dict
        ``microbleeds`` and ``found`` of them at :data:`_ALLOWED` false positives a scan.

    Raises
    ------
    DataError
        If that is no more than places drawn anywhere would find.
    """
    looked = [brain for brain in brains if len(brain.marks)][:_LOOKED_AT]
    hits: list[float] = []
    false: list[float] = []
    chances: list[float] = []
    for brain in looked:
        places, heights = look(brain)
        away = np.linalg.norm((places[:, None] - brain.marks[None]) * brain.spacing, axis=2)
        hits += [float(heights[near].max()) for near in (away <= _HIT_MM).T if near.any()]
        false += [float(height) for height in heights[(away > _HIT_MM).all(1)]]
        volume = float(brain.mask.sum() * np.prod(brain.spacing))
        chances += [found_by_chance(volume, brain.spacing[2], _ALLOWED)] * len(brain.marks)
    ranked = sorted(false, reverse=True)
    most = _ALLOWED * len(looked)
    least = ranked[most] if len(ranked) > most else 0.0
    found = sum(height > least for height in hits)
    if not told_from_chance(found, chances):
        raise DataError(
            f"the network found {found} of {len(chances)} microbleeds of its own training subjects at {_ALLOWED} false "
            "positives a subject, no more than places drawn anywhere would find: it has learned nothing, and is not "
            "kept. Train with more --steps or another --seed."
        )
    return {"microbleeds": len(chances), "found": found}
