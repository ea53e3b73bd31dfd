"""Patches drawn anew: moved, enlarged and with other grey values, so that few microbleeds are not learned by heart.

As for the images of stage 1 (:mod:`cmb_toolkit.darknet.drawing`), the values v in 0..1 of SWI and of phase become
``gain * v**gamma``, with log gamma within +-0.25 and gain within 1 +- 0.15, and get noise of a standard deviation up to
0.02; what is 0 stays 0. In plane a patch is moved by up to a voxel, its edge repeated: candidates lie about a
millimetre off. One of four is enlarged by a factor of up to 2, as large microbleeds are rare.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["vary"]

_SHIFT = 1
_LARGEST = 2.0
_LOG_GAMMA, _GAIN, _NOISE = 0.25, 0.15, 0.02


def vary(patches: NDArray[np.float32], random: np.random.Generator, *, enlarged: float = 0.25) -> NDArray[np.float32]:
    """Every patch otherwise, SWI and phase moved and enlarged alike.

    Parameters
    ----------
    patches : (n, size, 2 * size, size) float32 array
        SWI beside phase, in 0..1.
    random : Generator
    enlarged : float
        Share of the patches that are enlarged, 0..1.

    Returns
    -------
    (n, size, 2 * size, size) float32 array
        In 0..1.
    """
    n, size = patches.shape[:2]
    moved = np.clip(np.arange(size) + random.integers(-_SHIFT, _SHIFT + 1, (2, n, 1)), 0, size - 1)
    halves = patches.reshape(n, size, 2, size, size)
    cubes = halves[np.arange(n)[:, None, None], moved[0][:, :, None], :, moved[1][:, None, :]]  # n, i, j, half, k
    for patch in np.flatnonzero(random.random(n) < enlarged):
        _enlarge(cubes[patch], _LARGEST ** random.random())
    of_half = (n, 1, 1, 2, 1)
    gamma = np.exp(random.uniform(-_LOG_GAMMA, _LOG_GAMMA, of_half)).astype(np.float32)
    gain = random.uniform(1 - _GAIN, 1 + _GAIN, of_half).astype(np.float32)
    noise = random.uniform(0, _NOISE, of_half).astype(np.float32)
    bent = cubes**gamma * gain + noise * random.standard_normal(cubes.shape, np.float32)
    drawn = np.where(cubes == 0, 0, np.clip(bent, 0, 1))  # what is no number stays none
    return np.ascontiguousarray(drawn.transpose(0, 1, 3, 2, 4)).reshape(patches.shape)


def _enlarge(cube: NDArray[np.float32], factor: float) -> None:
    """Show what is around the middle of (size, size, halves, size) so many times as large; what is 0 stays 0."""
    middle = (len(cube) - 1) / 2
    into = {"matrix": np.full(3, 1 / factor), "offset": middle - middle / factor, "mode": "nearest"}
    for half in range(cube.shape[2]):
        here = cube[:, :, half]
        inside = ndimage.affine_transform((here != 0).astype(np.uint8), **into, order=0)
        cube[:, :, half] = ndimage.affine_transform(here, **into, order=1) * inside
