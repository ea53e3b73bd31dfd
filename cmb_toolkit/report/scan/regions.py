"""Where the findings lie, as the page says it: the pattern, the counts of each region, the atlas on the scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...regions.atlas import GROUP_OF, GROUPS
from ...regions.placing import BORDER_MM

__all__ = ["SIDES", "Placement", "Row", "Sizes", "by_group", "counts", "groups_said", "pattern", "unsure", "where"]

SIDES = ("left", "right", "midline")

_SMALL_MM, _LARGE_MM = 5.0, 10.0


@dataclass(frozen=True, eq=False)
class Placement:
    """How the scan lies on the template.

    Attributes
    ----------
    doubt : str
        Why no region is known; empty where they are.
    similarity : float or None
        Mutual information of scan and template [nat]; None where it was not laid on it.
    matrix : (4, 4) array or None
        From the scan's world to the template's [mm].
    """

    doubt: str
    similarity: float | None = None
    matrix: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Row:
    """A line of the table of counts.

    Attributes
    ----------
    name : str
        Of a region or a group.
    is_group : bool
        The sum of the lines below.
    cells : tuple of tuple of int
        For each class of sizes the number on each of :data:`SIDES`.
    """

    name: str
    is_group: bool
    cells: tuple[tuple[int, ...], ...]

    @property
    def total(self) -> int:
        """Of all sizes and sides."""
        return sum(map(sum, self.cells))


@dataclass(frozen=True)
class Sizes:
    """The table of counts.

    Attributes
    ----------
    classes : tuple of str
        Of sizes (BOMBS); those of another size or none only where there are such.
    rows : tuple of Row
        The three groups of MARS with their regions, and where there are such those of no region.
    """

    classes: tuple[str, ...]
    rows: tuple[Row, ...]


def by_group(lesions: pd.DataFrame) -> dict[str, int]:
    """How many lie in each group, as MARS lists them for a reader: lobar first."""
    return {group: int((lesions["group"] == group).sum()) for group in reversed(GROUPS)}


def pattern(lesions: pd.DataFrame) -> str:
    """In which groups the findings lie: ``strictly lobar`` (or deep, or infratentorial), ``mixed``, or nothing.

    Parameters
    ----------
    lesions : DataFrame
        Findings, with ``group``; those of no region do not count.
    """
    there = [group for group, count in by_group(lesions).items() if count]
    return "mixed" if len(there) > 1 else f"strictly {there[0]}" if there else ""


def unsure(lesions: pd.DataFrame) -> str:
    """What makes the pattern unsure, in words; empty where nothing does.

    Parameters
    ----------
    lesions : DataFrame
        Findings, with the columns of :data:`cmb_toolkit.schema.PLACED`.
    """
    other = lesions["next_region"].map(GROUP_OF)
    near = int((lesions["border"].eq(True) & other.notna() & (other != lesions["group"])).sum())
    lost = int(lesions["group"].isna().sum())
    words = [f"{near} within {BORDER_MM:g} mm of another group"] if near else []
    return ", ".join(words + ([f"{lost} in no region"] if lost else []))


def counts(lesions: pd.DataFrame) -> Sizes:
    """Findings by region, class of size and side.

    Parameters
    ----------
    lesions : DataFrame
        With ``region``, ``side`` and ``diameter_mm``.
    """
    diameter = lesions["diameter_mm"].astype(float)
    classes = {
        f"< {_SMALL_MM:g} mm": diameter < _SMALL_MM,
        f"{_SMALL_MM:g}-{_LARGE_MM:g} mm": (diameter >= _SMALL_MM) & (diameter <= _LARGE_MM),
        "other": diameter.isna() | (diameter > _LARGE_MM),
    }
    if not classes["other"].any():
        del classes["other"]

    def row(name: str, there: pd.Series[bool], is_group: bool) -> Row:
        cells = tuple(
            tuple(int((there & sized & (lesions["side"] == side)).sum()) for side in SIDES)
            for sized in classes.values()
        )
        return Row(name, is_group, cells)

    rows = []
    for group, regions in reversed(GROUPS.items()):
        rows.append(row(group, lesions["region"].isin(regions), True))
        rows += [row(region, lesions["region"] == region, False) for region in regions]
    nowhere = lesions["region"].isna()
    if nowhere.any():
        rows.append(row("no region", nowhere, True))
    return Sizes(tuple(classes), tuple(rows))


def where(row: Mapping[Any, Any]) -> tuple[str, str]:
    """A finding's region and side in words, and what it borders on; both empty where it is not known."""
    if not isinstance(row.get("region"), str):
        return "", ""
    beside = f"at the border of {row['next_region']}" if row["border"] == 1 else ""
    said = f"{row['region']}, midline" if row["side"] == "midline" else f"{row['side']} {row['region']}"
    return said, beside


def groups_said(lesions: pd.DataFrame) -> str:
    """How many lie in each group, as a line."""
    return ", ".join(f"{count} {group}" for group, count in by_group(lesions).items())
