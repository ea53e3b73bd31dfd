"""Which microbleeds are found, and what the false positives are.

Sensitivity by what the truth knows of a microbleed: apparent diameter, contrast, region. On scans whose truth lists
everything that looks like a microbleed (simulated ones), false positives are named by what lies there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion
from scipy.spatial import cKDTree

from .rules.base import Rule

__all__ = ["BINS", "NEAR_MM", "RIM_MM", "natures", "rim_voxels", "strata"]

BINS: dict[str, tuple[float, ...]] = {"diameter_mm": (2, 3, 4, 5), "contrast": (0.5, 0.75, 0.9)}
"""Limits between strata; a value equal to a limit belongs to the upper stratum. ``region`` is taken as it is."""

NEAR_MM = 3.0
"""A false positive is the nearest listed thing if that is no further than this [mm]."""

RIM_MM = 2.0
"""Else it is the brain's edge, if the rim of the brain mask is no further than this [mm]."""


def natures(
    points: NDArray[np.float64], things: NDArray[np.float64], kinds: Sequence[str], rim: NDArray[np.float64]
) -> NDArray[np.str_]:
    """What lies at each point.

    Parameters
    ----------
    points : (n, 3) array
        World coordinates [mm].
    things : (m, 3) array
        Where the known things lie [mm].
    kinds : sequence of m str
        What they are.
    rim : (r, 3) array
        Points on the rim of the brain mask [mm].

    Returns
    -------
    (n,) array of str
        The kind of the nearest thing within NEAR_MM, else ``edge`` within RIM_MM of the rim, else ``other``.
    """
    nature = np.full(len(points), "other", dtype=object)
    for places, reach, names in ((rim, RIM_MM, ["edge"] * len(rim)), (things, NEAR_MM, list(kinds))):
        if len(places) and len(points):
            distance, nearest = cKDTree(places).query(points)
            close = distance <= reach
            nature[close] = np.array(names, dtype=object)[np.asarray(nearest)[close]]
    return nature.astype(str)


def rim_voxels(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Voxels of a mask with a neighbour (of six) outside it; where the volume ends there is no rim.

    Parameters
    ----------
    mask : (i, j, k) bool array

    Returns
    -------
    (r, 3) integer array
    """
    return np.argwhere(mask & ~binary_erosion(mask, border_value=1))


def strata(
    candidates: pd.DataFrame,
    microbleeds: pd.DataFrame,
    subjects: Mapping[str, Sequence[str]],
    rules: Sequence[Rule],
) -> pd.DataFrame:
    """Counts by stratum.

    Parameters
    ----------
    candidates : DataFrame
        participant_id, ``<rule>_<stage>`` (outcomes) and, where it is known, ``nature``.
    microbleeds : DataFrame
        participant_id, ``<rule>_<stage>`` (what found it, NaN where missed) and what is known of ``diameter_mm``,
        ``contrast`` and ``region``.
    subjects : mapping
        Role -> subjects.
    rules : sequence of Rule

    Returns
    -------
    DataFrame
        rule, role, stage, by, stratum, microbleeds, found, false_positives. Rows by ``diameter_mm``, ``contrast``
        and ``region`` have microbleeds and found, those by ``nature`` false_positives; the others are NaN.
    """
    rows: list[dict[str, Any]] = []
    for rule in rules:
        for role, names in subjects.items():
            marks, boxes = (frame[frame["participant_id"].isin(list(names))] for frame in (microbleeds, candidates))
            for stage in ("stage1", "overall"):
                column = f"{rule.name}_{stage}"
                if column not in candidates:
                    continue
                head = {"rule": rule.name, "role": role, "stage": stage}
                for by, stratum in _strata_of(marks):
                    counted = (
                        marks.loc[stratum.index, column].notna().groupby(stratum, observed=True).agg(["size", "sum"])
                    )
                    for name, (size, found) in zip(counted.index, counted.to_numpy(int), strict=True):
                        rows.append(head | {"by": by, "stratum": str(name), "microbleeds": size, "found": found})
                if "nature" in boxes:
                    false = boxes.loc[boxes[column] == "fp", "nature"].value_counts().sort_index()
                    for name, number in false.items():
                        rows.append(head | {"by": "nature", "stratum": str(name), "false_positives": int(number)})
    columns = ["rule", "role", "stage", "by", "stratum", "microbleeds", "found", "false_positives"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[5:], "Int64"))


def _strata_of(marks: pd.DataFrame) -> list[tuple[str, pd.Series[Any]]]:
    """Stratum of every microbleed of which it is known, by each of the properties that the truth has."""
    found: list[tuple[str, pd.Series[Any]]] = []
    for by, limits in BINS.items():
        if by in marks and marks[by].notna().any():
            names = [f"<{limits[0]:g}", *(f"{a:g}-{b:g}" for a, b in pairwise(limits)), f">={limits[-1]:g}"]
            edges = [-np.inf, *limits, np.inf]
            known = marks[by].dropna().astype(float)
            found.append((by, pd.Series(pd.cut(known, edges, right=False, labels=names))))
    if "region" in marks and marks["region"].notna().any():
        found.append(("region", marks["region"].dropna().astype(str)))
    return found
