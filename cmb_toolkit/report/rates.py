"""What rates and stages are called in tables, and how a rate is written."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RATES", "STAGE_TITLES", "Rate"]


@dataclass(frozen=True)
class Rate:
    """The heading of a rate, what it is multiplied by, and its digits after the point."""

    heading: str
    scale: int
    digits: int


RATES = {
    "sensitivity": Rate("Sensitivity (%)", 100, 1),
    "precision": Rate("Precision (%)", 100, 1),
    "f1": Rate("F1 (%)", 100, 1),
    "fp_per_subject": Rate("FPavg", 1, 2),
}

STAGE_TITLES = {
    "stage1": "Stage 1, candidates",
    "stage2": "Stage 2, among what stage 1 found",
    "overall": "Both stages together",
}
