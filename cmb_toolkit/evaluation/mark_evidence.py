"""Whether marks lie where microbleeds are, told from how dark their spots are; also of three or four marks.

Each mark has a rank: the share of the brain's spots that are as dark (see :func:`cmb_toolkit.imaging.darkness.ranks`).
Marks that were counted wrong are random spots, whose ranks are uniform; ranks of right ones are near 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

__all__ = [
    "CHANCE",
    "DARK_RANK",
    "Better",
    "Shift",
    "better_way",
    "chance_of_ranks",
    "shifted",
    "too_few_dark",
    "touching",
]

DARK_RANK = 0.1
"""A mark is on a dark spot where fewer of the brain's spots than this are as dark."""

CHANCE = 0.01
"""What would happen by chance less often than this is named."""

_CLEARLY = 100.0  # how many times less likely by chance the other way must be than the given one
_RIGHT_SHARE = 0.8  # of marks that are right on dark spots at the least; simulated ones reach 0.9 to 1
_ODD_SHARE = 0.7
_OFF_SHARE = 1 / 3  # of right marks, read to a voxel, have the middle of their spot a voxel off in a given direction
_DIRECTIONS = 26


@dataclass(frozen=True)
class Better:
    """Another way of counting that explains the marks clearly better than the given one.

    Attributes
    ----------
    way : str
    dark : int
        Marks that would lie on dark spots.
    chance : float
        How often random spots would do as well, all ways that were tried taken into account.
    """

    way: str
    dark: int
    chance: float


@dataclass(frozen=True)
class Shift:
    """Marks that all lie a voxel off their spots.

    Attributes
    ----------
    step : (int, int, int)
        From the marks to their spots along i, j, k.
    marks : int
        How many have the middle of their spot that way along every axis of the step.
    chance : float
        How often this many or more would, if the marks were right; all 26 directions taken into account.
    """

    step: tuple[int, int, int]
    marks: int
    chance: float


def chance_of_ranks(ranks: ArrayLike) -> float:
    """How often random spots would together be as dark (Fisher's combination of independent ranks); 1 without marks."""
    found = np.asarray(ranks, float)
    return float(stats.chi2.sf(-2 * np.log(found).sum(), 2 * found.size)) if found.size else 1.0


def better_way(given: ArrayLike, others: Mapping[str, NDArray[np.float64]], *, groups: int = 1) -> Better | None:
    """Find the way of counting that explains the marks clearly better than what was given, if there is one.

    It must put most marks on dark spots, which random spots would do in fewer than one of a hundred cases (times the
    ways and the groups of marks that are looked at), and a hundred times less often than those of the given way.

    Parameters
    ----------
    given : (n,) array-like
        Ranks of the marks where they are.
    others : mapping
        Way -> (n,) ranks. Of ways that explain them about as well the first is named.
    groups : int
        How many groups of marks are looked at with the same question.
    """
    tried = max(1, len(others)) * groups
    chances = {way: chance_of_ranks(ranks) for way, ranks in others.items()}
    if not chances:
        return None
    least = min(chances.values())
    way = next(way for way, chance in chances.items() if chance <= max(3 * least, 1e-300))
    dark, chance = int((others[way] <= DARK_RANK).sum()), min(1.0, chances[way] * tried)
    convincing = chance < CHANCE and dark >= _ODD_SHARE * len(others[way])
    if not convincing or chance_of_ranks(given) < _CLEARLY * chance:
        return None
    return Better(way, dark, chance)


def too_few_dark(ranks: ArrayLike, *, groups: int = 1) -> float | None:
    """How often so few marks would lie on dark spots if they were right, where that is suspicious; else None."""
    found = np.asarray(ranks, float)
    dark = int((found <= DARK_RANK).sum())
    if not found.size or dark >= _ODD_SHARE * found.size:
        return None
    chance = min(1.0, float(stats.binom.cdf(dark, found.size, _RIGHT_SHARE)) * groups)
    return chance if chance < CHANCE else None


def shifted(offsets: ArrayLike, ranks: ArrayLike, *, groups: int = 1) -> Shift | None:
    """Whether marks lie a voxel off dark spots, all the same way.

    Parameters
    ----------
    offsets : (n, 3) array-like of int
        From each mark to the middle of its spot, -1, 0 or 1 along i, j and k, or along any other three directions.
    ranks : (n,) array-like
        Of these middles.
    groups : int
        How many groups of marks are looked at with the same question.
    """
    found = np.asarray(offsets, int).reshape(-1, 3)
    if not len(found) or (np.asarray(ranks) <= DARK_RANK).mean() < _ODD_SHARE:
        return None
    step = np.sign(np.median(found, axis=0)) * (np.abs(np.median(found, axis=0)) > 0.5)
    moved = np.flatnonzero(step)
    if not moved.size:
        return None
    agree = found[:, moved] == step[moved]
    chance = float(stats.binom.sf(agree.sum() - 1, agree.size, _OFF_SHARE)) * _DIRECTIONS * groups
    if chance >= CHANCE:
        return None
    i, j, k = (int(n) for n in step)
    return Shift((i, j, k), int(agree.all(axis=1).sum()), chance)


def touching(voxels: ArrayLike) -> tuple[int, int]:
    """How many marks of one subject touch another, and in how many groups they lie.

    Parameters
    ----------
    voxels : (n, 3) array-like of int
        They touch where they are at most a voxel apart along every axis.
    """
    points = np.unique(np.asarray(voxels, int).reshape(-1, 3), axis=0)
    if len(points) < 2:
        return 0, 0
    pairs = KDTree(points).query_pairs(1.5, p=np.inf, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs), bool), pairs.T), shape=(len(points), len(points)))
    _, labels = connected_components(graph, directed=False)
    sizes = np.bincount(labels)
    return int(sizes[sizes > 1].sum()), int((sizes > 1).sum())
