"""The page on one scan as HTML."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from .changes import change_words, gone, numbers_said
from .content import ScanPage, Shown
from .crops import FIELD_MM, Crop, crops, ring_radius
from .grid import Window, to_voxel, windows, zooms
from .overview import RADIUS_MM, outlines, regions_on, slabs
from .packed import Packed, pack
from .regions import SIDES, counts, groups_said, pattern, unsure, where
from .templates import render
from .words import CLASSES, LIGHTS, class_of, emptiness, likely, number, probability, sizes

__all__ = ["MOST_PICTURED", "scan_page"]

MOST_PICTURED = 50
"""So many lesions have crops: more would make the page larger than a mail takes."""

_THICK_MM = 10.0  # of a minimum-intensity projection in the viewer
_WORLD = ("x_mm", "y_mm", "z_mm")

_TITLES = {"swi": "SWI", "phase": "Phase, paramagnetic bright", "minip": "minIP"}


@dataclass(frozen=True)
class _Line:
    """A lesion in a table of the page: texts, its crops, and where it is on the shown grid."""

    id: int
    slice: int
    place: str
    diameter: str
    volume: str
    probability: str
    calibrated: bool
    score: str
    confidence: str
    network: str
    region: str
    flags: tuple[str, ...]
    voxel: tuple[float, float, float]
    ring: float
    crops: tuple[Crop, ...]


def scan_page(page: ScanPage) -> str:
    """One file that needs nothing else: to read, to send, to print; equal content gives equal bytes.

    Parameters
    ----------
    page : ScanPage

    Returns
    -------
    str
        HTML, below 3 MB.
    """
    shown = page.shown
    thick = max(1, round(_THICK_MM / zooms(shown)[2]))
    seen = windows(shown)
    packed = pack(shown, seen["swi"])
    count = len(page.lesions)
    lesions, rejected = (_lines(table, shown, seen) for table in (page.lesions, page.rejected))
    return render(
        "page.html",
        "viewer.js",
        page=page,
        verdict=LIGHTS[page.light],
        simulated="simulated" in page.trained_on.lower(),
        count=count,
        sizes=sizes([float(value) for value in page.lesions["diameter_mm"]]),
        likely=likely([float(value) for value in page.lesions["probability"]]),
        classes=CLASSES,
        chosen=class_of(count),
        emptiness="" if count else emptiness(page.candidates, page.rejected),
        lesions=lesions,
        rejected=rejected,
        pictured=MOST_PICTURED,
        **_regions(page, seen),
        **_changes(page),
        titles=_TITLES,
        field=FIELD_MM,
        radius=RADIUS_MM,
        slabs=slabs(shown, seen["minip"], {line.id: line.voxel for line in lesions}),
        outlines=outlines(shown, seen),
        packed=packed,
        thick_mm=thick * zooms(shown)[2],
        about=_about(packed, {"finding": lesions, "near miss": rejected}, thick),
    )


def _lines(table: pd.DataFrame, shown: Shown, seen: dict[str, Window]) -> list[_Line]:
    lines = []
    for n, row in enumerate(table.to_dict("records")):
        world = [float(row[axis]) for axis in _WORLD]
        i, j, k = (float(value) for value in to_voxel(shown, world))
        region, border = where(row)
        change = change_words(row)
        calibrated = not math.isnan(row["probability"])
        lines.append(
            _Line(
                int(row["id"]),
                int(row["slice"]),
                ", ".join(f"{axis:.1f}" for axis in world),
                number(row["diameter_mm"], 1, "mm"),
                number(row["volume_mm3"], 1, "mm³"),
                probability(row["probability" if calibrated else "score"]),
                calibrated,
                probability(row["score"]),
                probability(row["confidence"]),
                probability(row["network_probability"]),
                region,
                tuple(words for words in (change, *_words(row["flags"]), border) if words),
                (i, j, k),
                ring_radius(row["diameter_mm"]),
                crops(shown, seen, (i, j, k)) if n < MOST_PICTURED else (),
            )
        )
    return lines


def _regions(page: ScanPage, seen: dict[str, Window]) -> dict[str, Any]:
    """What is said of where the findings lie; nothing where that was not asked for."""
    placement = page.placement
    known = placement is not None and not placement.doubt
    return {
        "placement": placement,
        "groups": groups_said(page.lesions) if known else "",
        "pattern": pattern(page.lesions) if known else "",
        "unsure": unsure(page.lesions) if known else "",
        "sizes_by_region": counts(page.lesions) if known else None,
        "sides": SIDES,
        "atlas": ()
        if placement is None or placement.matrix is None
        else regions_on(page.shown, seen, placement.matrix),
    }


def _changes(page: ScanPage) -> dict[str, Any]:
    """What is said of an earlier scan; nothing where there was none."""
    changes = page.changes
    known = changes is not None and not changes.doubt
    return {
        "changes": changes,
        "changed": numbers_said(changes) if changes is not None and known else "",
        "gone": gone(changes.gone, page.shown) if changes is not None and known else [],
    }


def _words(flags: Any) -> tuple[str, ...]:
    return tuple(flag.strip() for flag in flags.split(";") if flag.strip()) if isinstance(flags, str) else ()


def _about(packed: Packed, lines: Mapping[str, list[_Line]], thick: int) -> dict[str, Any]:
    """What the viewer must know besides the volume."""
    marks = [
        {
            "id": line.id,
            "kind": kind,
            "at": packed.place(line.voxel),
            "radius": line.ring,
            "slice": line.slice,
            "says": line.probability,
        }
        for kind, some in lines.items()
        for line in some
    ]
    return {
        "size": packed.size,
        "mm": [round(value, 5) for value in packed.mm],
        "white": packed.white,
        "slices": packed.slices,
        "world": packed.world,
        "thick": thick,
        "marks": marks,
    }
