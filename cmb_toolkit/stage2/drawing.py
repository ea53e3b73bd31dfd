"""Patches drawn anew: moved by a voxel and with other grey values, so that few microbleeds are not learned by heart.

As for the images of stage 1 (:mod:`cmb_toolkit.darknet.drawing`), the values v in 0..1 of SWI and of phase become
``gain * v**gamma``, with log gamma within +-0.25 and gain within 1 +- 0.15, and get noise of a standard deviation up to
0.02; what is 0 stays 0. In plane a patch is moved by up to a voxel, its edge repeated: candidates lie about a
millimetre off.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["vary"]

_SHIFT = 1
_LOG_GAMMA, _GAIN, _NOISE = 0.25, 0.15, 0.02


def vary(patches: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Every patch otherwise, SWI and phase moved alike.

    Parameters
    ----------
    patches : (n, size, 2 * size, size) float32 array
        SWI beside phase, in 0..1.
    random : Generator

    Returns
    -------
    (n, size, 2 * size, size) float32 array
        In 0..1.
    """
    n, size = patches.shape[:2]
    moved = np.clip(np.arange(size) + random.integers(-_SHIFT, _SHIFT + 1, (2, n, 1)), 0, size - 1)
    halves = patches.reshape(n, size, 2, size, size)
    cubes = halves[np.arange(n)[:, None, None], moved[0][:, :, None], :, moved[1][:, None, :]]  # n, i, j, half, k
    of_half = (n, 1, 1, 2, 1)
    gamma = np.exp(random.uniform(-_LOG_GAMMA, _LOG_GAMMA, of_half)).astype(np.float32)
    gain = random.uniform(1 - _GAIN, 1 + _GAIN, of_half).astype(np.float32)
    noise = random.uniform(0, _NOISE, of_half).astype(np.float32)
    bent = cubes**gamma * gain + noise * random.standard_normal(cubes.shape, np.float32)
    drawn = np.where(cubes == 0, 0, np.clip(bent, 0, 1))  # what is no number stays none
    return np.ascontiguousarray(drawn.transpose(0, 1, 3, 2, 4)).reshape(patches.shape)
