"""What tables of rates say: each quantity with its heading, where it stands, and how it is written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..report.table import Entry

__all__ = ["F1", "FN", "FPAVG", "PRECISION", "SENSITIVITY", "STAGE1", "STAGE2", "TP", "Measure"]


@dataclass(frozen=True)
class Measure:
    """A quantity: its heading, its column in our rows and in the printed tables, and how it is written."""

    name: str
    ours: str
    printed: str
    scale: float = 1
    digits: int = 0

    def cell(self, line: Mapping[str, Any]) -> Entry:
        """What stands in a table of a row of :func:`cmb_toolkit.evaluation.summary.result_rows`."""
        value = float(line[self.ours])
        if math.isnan(value):
            return Entry("\N{EN DASH}")
        low, high = (float(line.get(f"{self.ours}_{end}", math.nan)) for end in ("low", "high"))
        interval = None if math.isnan(low) else (self._bound(low), self._bound(high))
        return Entry(f"{self.scale * value:.{self.digits}f}", interval)

    def _bound(self, value: float) -> str:
        digits = 1 if self.scale == 100 or value >= 9.95 else 2
        return f"{self.scale * value:.{digits}f}"


TP = Measure("TPs", "tp", "tp")
FN = Measure("FNs", "fn", "fn")
SENSITIVITY = Measure("Sensitivity (%)", "sensitivity", "sensitivity_percent", 100, 2)
PRECISION = Measure("Precision (%)", "precision", "precision_percent", 100, 2)
F1 = Measure("F1 (%)", "f1", "f1_percent", 100, 2)
FPAVG = Measure("FPavg", "fp_per_subject", "fp_per_subject", 1, 2)

STAGE1 = (TP, FN, SENSITIVITY, FPAVG)
STAGE2 = (TP, FN, SENSITIVITY, PRECISION, F1, FPAVG)
