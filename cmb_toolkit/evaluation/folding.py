"""How subjects are divided into folds."""

from __future__ import annotations

from dataclasses import dataclass

from ..recipe import Recipe, option

__all__ = ["Folding"]


@dataclass(frozen=True)
class Folding(Recipe):
    """What `cmbtk split` is asked for."""

    folds: int = option(5, "How many folds; the paper has 5.", least=2)
    validation: float = option(
        0.2,
        "Part of each fold's training subjects kept aside to choose epochs and thresholds on; 0: none.",
        least=0,
        most=0.5,
    )
    by_scanner: bool = option(
        False,
        "Add a fold for each scanner: trained on its patients, tested on those of the others (the paper's Table 8).",
        in_settings=False,
        silent=True,
    )
    seed: int = option(0, "Equal seeds and subjects give equal folds.", in_settings=False)
