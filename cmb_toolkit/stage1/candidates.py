"""From boxes on slices to candidates on the subject's voxel grid."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..imaging.frame import to_voxel
from ..model import Frame

__all__ = ["COLUMNS", "candidate_table", "merge_slices", "strongest"]

COLUMNS = (
    "candidate_id",
    "participant_id",
    "role",
    "i",
    "j",
    "k",
    "x_mm",
    "y_mm",
    "z_mm",
    "left",
    "top",
    "right",
    "bottom",
    "confidence",
)


def candidate_table(
    detections: pd.DataFrame,
    frames: Mapping[str, Frame],
    affines: Mapping[str, NDArray[np.float64]],
    *,
    merge_mm: float | None = None,
) -> pd.DataFrame:
    """Put boxes back on their subjects' grids.

    Parameters
    ----------
    detections : DataFrame
        participant_id, role, k, left, top, right, bottom [px on the network image, 0-based, half open], confidence.
    frames : mapping of participant_id to Frame
    affines : mapping of participant_id to (4, 4) array
        From voxel indices on canonical axes to world coordinates [mm].
    merge_mm : float, optional
        Distance for :func:`merge_slices` [mm]; None keeps every box, as the paper does.

    Returns
    -------
    DataFrame
        The columns of :data:`COLUMNS`: i and j are fractional voxel indices of the box's centre. Subjects in
        ascending order, within each the strongest first, numbered in that order.
    """
    order = ["participant_id", "confidence", "k", "top", "left"]
    table = detections.sort_values(order, ascending=[True, False, True, True, True], kind="stable", ignore_index=True)
    places = np.empty((len(table), 2))
    world = np.empty((len(table), 3))
    for subject, rows in table.groupby("participant_id", sort=False).indices.items():
        part = table.iloc[rows]
        centre = np.stack([(part["left"] + part["right"]) / 2, (part["top"] + part["bottom"]) / 2], axis=1)
        places[rows] = to_voxel(frames[str(subject)], centre)
        voxels = np.column_stack([places[rows], part["k"]])
        affine = affines[str(subject)]
        world[rows] = voxels @ affine[:3, :3].T + affine[:3, 3]
    table[["i", "j"]] = places
    table[["x_mm", "y_mm", "z_mm"]] = world
    if merge_mm is not None:
        table = merge_slices(table, merge_mm)
    number = table.groupby("participant_id", sort=False).cumcount() + 1
    table["candidate_id"] = [f"{s}_cand-{n:04d}" for s, n in zip(table["participant_id"], number, strict=True)]
    return table[list(COLUMNS)]


def merge_slices(table: pd.DataFrame, distance_mm: float) -> pd.DataFrame:
    """Keep one candidate where several stand for the same spot on neighbouring slices.

    Greedy, strongest first: a candidate within `distance_mm` (in 3D) of a kept stronger one of the same subject goes.

    Parameters
    ----------
    table : DataFrame
        participant_id, x_mm, y_mm, z_mm, confidence.
    distance_mm : float
        Distance between centres [mm].

    Returns
    -------
    DataFrame
        The kept rows in their order; equal confidences are taken in the order of the table.
    """
    kept = np.zeros(len(table), bool)
    for rows in table.groupby("participant_id", sort=False).indices.values():
        part = table.iloc[rows]
        points = part[["x_mm", "y_mm", "z_mm"]].to_numpy(float)
        kept[rows] = strongest(points, part["confidence"].to_numpy(float), distance_mm)
    return table[kept].reset_index(drop=True)


def strongest(points: NDArray[np.floating], scores: NDArray[np.floating], distance_mm: float) -> NDArray[np.bool_]:
    """Which points stay when, the strongest first, each one removes those within `distance_mm` of it.

    Parameters
    ----------
    points : (n, 3) array
        [mm]
    scores : (n,) array
        Equal ones are taken in their order.
    distance_mm : float

    Returns
    -------
    (n,) bool array
    """
    kept = np.zeros(len(points), bool)
    if len(points):
        near = cKDTree(points).query_ball_point(points, distance_mm)
        free = np.ones(len(points), bool)
        for n in np.argsort(-scores, kind="stable"):
            if free[n]:
                kept[n] = True
                free[near[n]] = False
    return kept
