"""Synthetic patches: dark balls that are bright on phase (microbleeds) among dark tubes (veins)."""

import numpy as np
import pytest


def _patches(n, seed):
    rng = np.random.default_rng(seed)
    grid = np.indices((16, 16, 16)) - 8.0
    labels = (np.arange(n) % 3 == 0).astype(int)
    patches = np.empty((n, 16, 32, 16), np.float32)
    for patch, label in zip(patches, labels, strict=True):
        place = grid - rng.uniform(-1.5, 1.5, (3, 1, 1, 1))
        along = 0.0
        if not label:
            direction = rng.standard_normal(3)
            along = np.tensordot(direction / np.linalg.norm(direction), place, 1) ** 2
        distance = np.sqrt(np.maximum((place**2).sum(axis=0) - along, 0))
        dark = 1 / (1 + np.exp(3 * (distance - rng.uniform(1.2, 3))))
        patch[:, :16] = 0.7 - 0.5 * dark
        patch[:, 16:] = 0.5 + 0.2 * dark
    return np.clip(patches + rng.normal(0, 0.05, patches.shape), 0, 1).astype(np.float32), labels


@pytest.fixture(scope="session")
def make_patches():
    """``make_patches(n, seed)`` -> patches (n, 16, 32, 16), labels (n,): a third are microbleeds."""
    return _patches
