"""The large arteries of the brain through landmarks of the anatomy's frame.

Fresh blood flows into the slab and has not been saturated, so arteries are bright in a gradient echo; oxygenated blood
has hardly any susceptibility of its own.
"""

from __future__ import annotations

import itertools

import numpy as np

from .anatomy import Head
from .vessels import Landmark, Vessel, through_landmarks

__all__ = ["BENDS", "grow_arteries"]

_MIDLINE: dict[str, tuple[list[Landmark], tuple[float, float]]] = {
    "basilar": ([(0, -14, -50), (0, -9, -40), (0, -8, -30), (0, -7, -20)], (1.6, 1.3)),
}
_PAIRED: dict[str, tuple[list[Landmark], tuple[float, float]]] = {
    "vertebral": ([(16, -36, -72), (11, -30, -62), (5, -20, -54), (0, -14, -50)], (1.5, 1.4)),
    "internal carotid": (
        [(24, -8, -60), (23, 2, -48), (17, -2, -42), (13, 6, -34), (14, 10, -26), (13, 5, -18)],
        (2.3, 1.9),
    ),
    "middle cerebral": ([(13, 5, -18), (22, 6, -17), (32, 5, -13), (39, 0, -5), (42, -12, 3)], (1.5, 1.0)),
    "insular, upper": ([(37, 2, -8), (41, 10, 0), (42, 16, 8), (50, 20, 15), (58, 18, 22)], (0.9, 0.45)),
    "insular, lower": ([(42, -12, 3), (43, -22, 9), (49, -32, 14), (58, -40, 18)], (0.9, 0.45)),
    "anterior cerebral": (
        [(13, 5, -18), (6, 14, -15), (2, 24, -10), (1.5, 38, -2), (1.5, 42, 12), (1.5, 34, 22), (1.5, 10, 34),
         (1.5, -14, 37), (2, -32, 38)],
        (1.2, 0.5),
    ),
    "posterior cerebral": (
        [(0, -7, -20), (9, -9, -17), (18, -20, -13), (18, -36, -8), (14, -56, 0), (11, -74, 4)],
        (1.2, 0.5),
    ),
}  # fmt: skip

BENDS: dict[str, float] = {
    "basilar": 0.25,
    "vertebral": 0.3,
    "internal carotid": 0.6,
    "middle cerebral": 0.4,
    "insular, upper": 0.25,
    "insular, lower": 0.25,
    "anterior cerebral": 0.3,
    "posterior cerebral": 0.2,
}
"""Chance that a piece of the artery is a flow void."""


def grow_arteries(rng: np.random.Generator, head: Head) -> list[Vessel]:
    """Draw the arteries of a head: the circle of Willis without its communicating arteries, and what leaves it."""
    arteries = []
    for sides, named in (((1,), _MIDLINE), ((-1, 1), _PAIRED)):
        for side in sides:
            for name, (landmarks, (first, last)) in named.items():
                moved = [np.array(p, float) * (side, 1, 1) + rng.normal(0, 0.8, 3) for p in landmarks]
                length = float(sum(np.linalg.norm(b - a) for a, b in itertools.pairwise(moved)))
                n = max(8, round(length / 0.5))
                line = through_landmarks([(float(p[0]), float(p[1]), float(p[2])) for p in moved], n, 6)
                width = rng.uniform(0.85, 1.15)
                arteries.append(Vessel(head.pose.to_scanner(line), width * np.linspace(first, last, n), name))
    return arteries
