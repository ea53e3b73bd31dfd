"""Where microbleeds find room, and which of them a radiologist could have marked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import UsageError
from .anatomy import Head
from .lesions import Lesion, MicrobleedSites, draw_microbleed
from .scene import PlacedLesion, Scene

__all__ = ["place_microbleeds"]

SEPARATION_MM = 12.0
"""Least distance between the centres of two microbleeds: nearer ones would be read as one (boxes are 10 mm wide)."""
MIMIC_SEPARATION_MM = 6.0
_EDGE_SLICES = 2
"""A microbleed's slice has at least so many slices on both sides, because inputs average over neighbours."""
_DRAWS = 60
"""Most tries for each microbleed; about every second one can be seen and has room."""


def place_microbleeds(
    rng: np.random.Generator, scene: Scene, head: Head, mimics: Sequence[Lesion], wanted: int
) -> list[PlacedLesion]:
    """Draw microbleeds until so many are found that a radiologist could have marked."""
    if not wanted:
        return []
    protocol = scene.protocol
    grid, (i, j) = scene.grid, scene.box
    depth = protocol.matrix[2]
    low = (grid.axis(0)[i.start], grid.axis(1)[j.start], grid.axis(2)[_EDGE_SLICES])
    high = (grid.axis(0)[i.stop - 1], grid.axis(1)[j.stop - 1], grid.axis(2)[depth - 1 - _EDGE_SLICES])
    sites = MicrobleedSites.of(head, low, high)
    found: list[PlacedLesion] = []
    for _ in range(_DRAWS * wanted):
        lesion = draw_microbleed(rng, sites, scene.radius)
        if any(_distance(lesion, other.lesion) < SEPARATION_MM for other in found):
            continue
        if any(_distance(lesion, m) < MIMIC_SEPARATION_MM + m.extent for m in mimics):
            continue
        placed = scene.appearance(lesion, [*mimics, *(p.lesion for p in found), lesion])
        if (
            placed is not None
            and placed.contrast >= scene.least_contrast
            and placed.snr >= scene.least_snr
            and _EDGE_SLICES <= placed.voxel[2] < depth - _EDGE_SLICES
        ):
            found.append(placed)
            if len(found) == wanted:
                return found
    raise UsageError(
        f"only {len(found)} of {wanted} microbleeds found room in a {protocol.name} volume, {SEPARATION_MM:g} mm apart "
        "and visible. Ask for fewer (--microbleeds)."
    )


def _distance(first: Lesion, second: Lesion) -> float:
    return float(np.linalg.norm(np.subtract(first.centre, second.centre)))
