"""From boxes on slices to candidates on the subject's voxel grid."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..imaging.frame import to_voxel
from ..model import Frame
from ..schema import BOX, CANDIDATES, WORLD
from .lesions import lesion_numbers

__all__ = ["candidate_table", "place_boxes", "strongest"]

_MEANS = ["i", "j", *WORLD, *BOX]


def place_boxes(
    detections: pd.DataFrame,
    frames: Mapping[str, Frame],
    affines: Mapping[str, NDArray[np.float64]],
    *,
    by_lesion: bool = False,
) -> pd.DataFrame:
    """Put boxes back on their subjects' grids and say which candidate each one belongs to.

    Parameters
    ----------
    detections : DataFrame
        participant_id, role, k, left, top, right, bottom [px on the network image, 0-based, half open], confidence.
    frames : mapping of participant_id to Frame
    affines : mapping of participant_id to (4, 4) array
        From voxel indices on canonical axes to world coordinates [mm].
    by_lesion : bool
        Boxes of one lesion (:func:`cmb_toolkit.stage1.lesions.lesion_numbers`) are one candidate; else every box is
        one, as in the paper.

    Returns
    -------
    DataFrame
        The boxes with i, j (fractional voxel indices of their centres, none outside the volume), x_mm, y_mm, z_mm and
        candidate_id. Subjects in ascending order, within each the strongest box first; candidates are numbered in the
        order of their strongest.
    """
    order = ["participant_id", "confidence", "k", "top", "left", "bottom", "right"]
    ascending = [name != "confidence" for name in order]
    table = detections.sort_values(order, ascending=ascending, kind="stable", ignore_index=True)
    places = np.empty((len(table), 2))
    world = np.empty((len(table), 3))
    number = np.empty(len(table), np.intp)
    for subject, rows in table.groupby("participant_id", sort=False).indices.items():
        part = table.iloc[rows]
        centre = np.stack([(part["left"] + part["right"]) / 2, (part["top"] + part["bottom"]) / 2], axis=1)
        frame = frames[str(subject)]
        # a box on the very rim, or in what pads the image, has its middle in no voxel
        places[rows] = np.clip(to_voxel(frame, centre), 0, np.array(frame.shape) - 1)
        voxels = np.column_stack([places[rows], part["k"]])
        affine = affines[str(subject)]
        world[rows] = voxels @ affine[:3, :3].T + affine[:3, 3]
        number[rows] = np.arange(len(rows))
        if by_lesion:
            spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
            confidence = part["confidence"].to_numpy(float)
            number[rows] = lesion_numbers(
                places[rows] * spacing[:2], part["k"].to_numpy(int), confidence, float(spacing[2])
            )
    table[["i", "j"]] = places
    table[[*WORLD]] = world
    table["candidate_id"] = [f"{s}_cand-{n + 1:04d}" for s, n in zip(table["participant_id"], number, strict=True)]
    return table


def candidate_table(boxes: pd.DataFrame) -> pd.DataFrame:
    """One row per candidate.

    Parameters
    ----------
    boxes : DataFrame
        From :func:`place_boxes`.

    Returns
    -------
    DataFrame
        The columns of :data:`cmb_toolkit.schema.CANDIDATES`, the strongest of each subject first. A candidate of
        several boxes lies, and has
        its box, at their mean, weighted by confidence; its confidence is their greatest; k is the slice nearest to its
        place (x_mm, y_mm, z_mm are of the place itself), ``boxes`` their number, and ``first_k`` and ``last_k`` the
        slices from which on and up to which they lie.
    """
    grouped = boxes.groupby("candidate_id", sort=False)
    table = boxes.drop_duplicates("candidate_id").set_index("candidate_id")
    table["boxes"], table["first_k"], table["last_k"] = grouped.size(), grouped["k"].min(), grouped["k"].max()
    several = table.index[table["boxes"] > 1]
    rows = boxes[boxes["candidate_id"].isin(several)]
    weighted = rows[["k", *_MEANS]].mul(rows["confidence"], axis=0).groupby(rows["candidate_id"]).sum()
    means = weighted.div(rows.groupby("candidate_id")["confidence"].sum(), axis=0).reindex(several)
    table.loc[several, _MEANS] = means[_MEANS]
    table.loc[several, "k"] = np.floor(means["k"] + 0.5).astype(int)
    return table.reset_index()[CANDIDATES.names]


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
