"""Many patches, classified a batch at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..model import OnProgress

__all__ = ["in_batches"]


def in_batches(
    classifier: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    patches: NDArray[np.float32],
    *,
    batch: int = 256,
    on_progress: OnProgress | None = None,
) -> NDArray[np.float64]:
    """Probability that each patch is a microbleed.

    Parameters
    ----------
    classifier : callable
    patches : (n, size, 2 size, size) float32 array
        In 0..1; may be a memory map.
    batch : int
        Patches at a time. All batches have one size, as networks are made ready anew for each.
    on_progress : callable, optional

    Returns
    -------
    (n,) array
    """
    n = len(patches)
    batch = min(batch, n)
    probability = np.empty(n)
    for first in range(0, n, batch or 1):
        part = np.asarray(patches[first : first + batch], np.float32)
        filled = np.zeros((batch, *part.shape[1:]), np.float32)
        filled[: len(part)] = part
        probability[first : first + len(part)] = classifier(filled)[: len(part)]
        if on_progress:
            on_progress(first + len(part), n, "patches")
    return probability
