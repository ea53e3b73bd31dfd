"""Where methods of earlier work look: unless told otherwise, at as many false positives as the paper's Table 9 prints.

Of those that a second stage follows, of their first one: it learns from what the first wrongly finds.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..recipe import option
from .recipe import LearnedSearch

__all__ = ["ChenSearch", "DouSearch", "HongSearch", "KuijfSearch", "LiuSearch", "WangSearch"]


def _printed(count: float) -> float:
    """So many false positives a subject."""
    value: float = option(
        count,
        "For auto: the lowest threshold that leaves at most so many false positives per validation subject; by default "
        "as many as the paper's Table 9 prints.",
        above=0,
    )
    return value


@dataclass(frozen=True)
class DouSearch(LearnedSearch):
    """Of Dou et al. 2016, before the 3D-CNN."""

    most_false: float = _printed(282.8)


@dataclass(frozen=True)
class KuijfSearch(LearnedSearch):
    """Of Kuijf et al. 2012, before a human looked."""

    most_false: float = _printed(17.17)


@dataclass(frozen=True)
class LiuSearch(LearnedSearch):
    """Of Liu et al. 2019, before the 3D-ResNet."""

    most_false: float = _printed(276.8)


@dataclass(frozen=True)
class ChenSearch(LearnedSearch):
    """Of Chen et al. 2019, before the 3D-ResNet."""

    most_false: float = _printed(231.88)


@dataclass(frozen=True)
class WangSearch(LearnedSearch):
    """Of Wang et al. 2019, who count patches."""

    most_false: float = _printed(11.8)


@dataclass(frozen=True)
class HongSearch(LearnedSearch):
    """Of Hong et al. 2019, who count patches."""

    most_false: float = _printed(3.4)
