"""White matter lesions of small vessel disease: caps and bands round the ventricles, patches deeper in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .anatomy import Head
from .grid import PeriodicNoise

__all__ = ["with_white_matter_lesions"]

_PATCH_MM = 18.0
_PERIVENTRICULAR_MM = 9.0
"""How fast lesions become rarer away from the ventricles."""
_EDGE = 0.3


def with_white_matter_lesions(rng: np.random.Generator, head: Head, volume_ml: float) -> Head:
    """Turn so much white matter of the cerebrum into lesions: those places where a smooth random field is highest and
    the ventricle near.

    They hold more water and less myelin: slightly bright in a gradient echo, with hardly any phase.
    """
    white = head.fractions["white matter"]
    where = np.flatnonzero((white > 0.5) & (head.cerebrum < -5) & (head.cerebrum < head.cerebellum))
    voxel_ml = float(np.prod(head.grid.spacing)) / 1000
    wanted = min(round(volume_ml / voxel_ml), len(where))
    if not wanted:
        return head
    noise = PeriodicNoise.make(rng, 64, 3.0, _PATCH_MM, 0.4).on(head.grid)
    score = noise - head.ventricle / np.float32(_PERIVENTRICULAR_MM)
    threshold = np.partition(score.flat[where], -wanted)[-wanted]
    share = np.zeros_like(white)
    share.flat[where] = np.clip((score.flat[where] - threshold) / np.float32(_EDGE) + np.float32(0.5), 0, 1)
    lesion = share * white
    return replace(head, fractions={**head.fractions, "white matter": white - lesion, "white matter lesion": lesion})
