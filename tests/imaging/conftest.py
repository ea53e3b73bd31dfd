"""A small head with known brain, veins and background field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

ZOOMS = (1.8, 1.8, 3.0)


@dataclass(frozen=True)
class Head:
    magnitude: NDArray[np.float32]
    phase: NDArray[np.float32]  # wrapped, paramagnetic positive
    brain: NDArray[np.bool_]
    zooms: tuple[float, float, float]


def make_head(slices: int = 44, offset_mm: float = 0.0, seed: int = 0) -> Head:
    """An ellipsoid of tissue in a dark skull and a bright scalp, with vessels across the slices and a smooth field.

    `offset_mm` is the height of the middle slice above the middle of the brain.
    """
    rng = np.random.default_rng(seed)
    shape = (112, 128, slices)
    x, y, z = (
        ((np.arange(n) - (n - 1) / 2) * v).reshape([-1 if a == b else 1 for b in range(3)])
        for a, (n, v) in enumerate(zip(shape, ZOOMS, strict=True))
    )
    z = z + offset_mm

    def inside(margin: float) -> NDArray[np.bool_]:
        return np.asarray((x / (64 + margin)) ** 2 + (y / (82 + margin)) ** 2 + (z / (58 + margin)) ** 2 < 1)

    brain, skull, scalp = inside(0), inside(7), inside(13)
    signal = np.where(brain, 1.0, np.where(skull, 0.08, np.where(scalp, 0.8, 0.0)))
    texture = ndimage.gaussian_filter(rng.standard_normal(shape), 2)
    signal = signal + np.where(brain, 0.08 * texture / texture.std(), 0)
    phase = 6 * np.exp(-((x - 20) ** 2 + (y - 70) ** 2 + z**2) / 900) + 0.03 * x + 0.02 * y + 0 * z
    vessels = np.zeros(shape, bool)
    for i, j in zip(rng.integers(30, 82, 150), rng.integers(30, 98, 150), strict=True):
        k = rng.integers(0, max(1, slices - 8))
        vessels[i, j, k : k + 8] = True
    vessels &= inside(-15)
    signal = np.where(vessels, 0.45, signal)
    phase = phase + np.where(vessels, 0.9, 0)
    image = signal * np.exp(1j * phase)
    image = image + 0.03 * (rng.standard_normal(shape) + 1j * rng.standard_normal(shape))
    return Head(np.abs(image).astype(np.float32), np.angle(image).astype(np.float32), brain, ZOOMS)


@pytest.fixture(scope="session")
def head() -> Head:
    return make_head()


@pytest.fixture(scope="session")
def slab() -> Head:
    return make_head(slices=10, offset_mm=12.0)
