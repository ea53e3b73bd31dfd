"""What can be chosen of folds and of counting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..model import ROLES
from ..recipe import Recipe, option
from .rules import RULES, in_words

__all__ = ["Evaluating", "Folding", "Showing"]


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


@dataclass(frozen=True)
class Evaluating(Recipe):
    """What `cmbtk evaluate` is asked for."""

    rule: str = option(
        "centre",
        lambda: (
            "What the pictures and the lines printed here call a hit; all numbers are written under each rule, "
            f"apart. {in_words()}"
        ),
        choices=RULES,
    )
    distance_mm: float = option(3.0, "Distance of the centre rule.", unit="mm", above=0)
    count: Literal["per-lesion", "per-box"] = option(
        "per-lesion",
        "What counts as one finding: the boxes of neighbouring slices together, or every box, as in the paper.",
    )
    link_mm: float = option(
        3.0,
        "For per-lesion, after `cmbtk stage1-detect --merge none`: boxes with centres this near, on the same slice or "
        "neighbouring ones, belong together.",
        unit="mm",
        above=0,
    )
    roles: tuple[str, ...] = option(
        ("test", "control"),
        "Whose scans to count, each role apart; may be given several times.",
        name="role",
        choices=ROLES,
        in_settings=False,
    )
    most_false: int = option(
        24, "Pictures of at most so many false positives, those with the highest score.", name="false-pictures", least=0
    )


@dataclass(frozen=True)
class Showing(Recipe):
    """What is shown of cells that are evaluated."""

    rule: str | None = option(
        None,
        "What counts as a hit in what is shown; tables are written under every rule, apart.",
        choices=RULES,
        otherwise="the rule that the cells were evaluated with",
    )
