"""Numbers and counts of lesions as a reader wants them said."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from ...wording import counted

__all__ = ["CLASSES", "LIGHTS", "best", "class_of", "emptiness", "likely", "number", "probability", "sizes"]

LIGHTS = {
    "green": "Within the model's range",
    "amber": "Outside the model's range",
    "red": "Far outside the model's range",
}
"""What a light says, so that nobody needs its colour."""

CLASSES = ("0", "1", "2-4", "5-9", "≥ 10")
"""Classes of counts."""

_CLASSES_FROM = (0, 1, 2, 5, 10)


def class_of(count: int) -> int:
    """Which of :data:`CLASSES` a count falls into."""
    return sum(count >= low for low in _CLASSES_FROM) - 1


def number(value: float, digits: int, unit: str = "") -> str:
    """A measured value; a dash where there is none."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}{unit and ' ' + unit}"


def probability(value: float) -> str:
    """Two digits, and never certain; a dash where there is none."""
    if math.isnan(value):
        return "–"
    return "> 0.99" if value > 0.995 else "< 0.01" if value < 0.005 else f"{value:.2f}"


def sizes(diameters: Sequence[float]) -> str:
    """How many are of which size, in words."""
    classes = (
        ("smaller than 5 mm", sum(d < 5 for d in diameters)),
        ("of 5 to 10 mm", sum(5 <= d <= 10 for d in diameters)),
        ("larger than 10 mm", sum(d > 10 for d in diameters)),
        ("not measured", sum(math.isnan(d) for d in diameters)),
    )
    # who looks for small and large ones wants to read 0; the other two are exceptions
    return ", ".join(f"{n} {words}" for place, (words, n) in enumerate(classes) if n or (place < 2 and len(diameters)))


def likely(probabilities: Sequence[float]) -> str:
    """How many of some findings are true by their calibrated probabilities; empty where one has none."""
    if not probabilities or any(math.isnan(value) for value in probabilities):
        return ""
    return f"expected to be true by their probabilities: {sum(probabilities):.1f}"


def best(table: pd.DataFrame) -> tuple[str, float]:
    """The highest of a table's probabilities, or of its scores where nothing was calibrated; NaN of an empty one."""
    for name in ("probability", "score"):
        values = pd.to_numeric(table[name]).dropna()
        if len(values):
            return name, float(values.max())
    return "probability", float("nan")


def emptiness(candidates: int, rejected: pd.DataFrame) -> str:
    """Why there is no finding, a sentence or two."""
    if not candidates:
        return (
            "0 findings: the first stage proposed no candidate at all. Where microbleeds are to be seen, look at the "
            "scan's quality below, and whether it lies within the model's range."
        )
    name, value = best(rejected)
    said = f", the best at {name} {probability(value)}" if not math.isnan(value) else ""
    return f"0 findings; {counted(candidates, 'candidate')}{said}: none reached the threshold."
