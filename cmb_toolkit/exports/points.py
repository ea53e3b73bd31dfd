"""A list of points as 3D Slicer reads and writes it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from .base import Export

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Points"]

_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
"""By this text Slicer knows the format."""


@dataclass(frozen=True)
class Points(Export):
    """A point for each finding, named by its id."""

    name: ClassVar[str] = "points"
    ending: ClassVar[str] = ".mrk.json"

    def write(self, findings: pd.DataFrame, like: Path, path: Path) -> None:
        points = [
            {
                "id": str(row["id"]),
                "label": str(row["id"]),
                "description": f"{row['candidate_id']}, probability {row['probability']:.3g}"
                + ("" if row["kept"] else ", not kept"),
                # world positions are RAS here, LPS there
                "position": [0.0 - row["x_mm"], 0.0 - row["y_mm"], float(row["z_mm"])],
                "selected": bool(row["kept"]),
                "locked": False,
                "visibility": True,
                "positionStatus": "defined",
            }
            for row in findings.to_dict("records")
        ]
        markup = {"type": "Fiducial", "coordinateSystem": "LPS", "coordinateUnits": "mm", "controlPoints": points}
        path.write_text(json.dumps({"@schema": _SCHEMA, "markups": [markup]}, indent=2) + "\n", "utf-8")
