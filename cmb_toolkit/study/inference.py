"""How a cell's steps looked at scans, apart from its networks: what another scan must be looked at with as well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..io.publish import record_of
from .layout import Cell

__all__ = ["Inference", "read_inference"]


@dataclass(frozen=True)
class Inference:
    """Parameters of detecting, cropping and classifying.

    Attributes
    ----------
    nms : float
        Overlap (IoU) of two boxes from which the weaker is left out; 1, none is, of a method that looks at clean scans.
    settings : mapping
        Of such a method its own.
    separation_mm : float
        Of candidates nearer than this [mm] such a method keeps the strongest; 0 of a detector on slices.
    patch_scale : str
        How a volume's values become 0..1 before patches are cut.
    shrink_from : float
        Of what looks so large or larger [mm] patches are cut from the scan shrunk to half; 0: of nothing.
    by : str
        What a finding is kept by: ``both`` stages' probability or ``stage2``'s alone.
    """

    nms: float
    settings: Mapping[str, Any]
    separation_mm: float
    patch_scale: str
    shrink_from: float
    by: str


def read_inference(cell: Cell) -> Inference:
    """What a cell's candidates, patches and findings were made with, by their records.

    Raises
    ------
    MissingError
        If one of them is not there or not complete.
    """
    detected, cropped, classified = (
        record_of(target)["parameters"] for target in (cell.candidates, cell.patches, cell.findings)
    )
    return Inference(
        float(detected.get("nms", 1.0)),
        detected.get("recipe", {}),
        float(detected.get("separation_mm", 0.0)),
        cropped["scale"],
        float(cropped.get("shrink_from", 0.0)),
        classified.get("by", "stage2"),
    )
