"""The boxes that a cell's candidates were put together from, where they are to be counted or labelled one by one."""

from __future__ import annotations

import pandas as pd

from ..errors import DataError
from ..io.publish import read_record
from ..io.tables import read_tsv
from ..schema import DETECTIONS
from .layout import Cell

__all__ = ["as_boxes", "boxes_of", "is_merged"]


def is_merged(cell: Cell) -> bool:
    """Whether a candidate of this cell is a lesion, of one box or more; else every box is one."""
    record = read_record(cell.candidates) or {}
    return bool(record.get("parameters", {}).get("merge") == "auto")


def boxes_of(cell: Cell, candidates: pd.DataFrame) -> pd.DataFrame:
    """The boxes of these candidates, of a cell that :func:`is_merged`.

    Returns
    -------
    DataFrame
        :data:`cmb_toolkit.schema.DETECTIONS`, in the table's order.

    Raises
    ------
    MissingError, DataError
        If the table of boxes is gone, or is not that of these candidates.
    """
    table = read_tsv(cell.detections, DETECTIONS.needed)
    mine = table[table["candidate_id"].isin(candidates["candidate_id"])].reset_index(drop=True)
    if set(mine["candidate_id"]) != set(candidates["candidate_id"]):
        raise DataError(
            f"{cell.detections}: lacks boxes of candidates in {cell.candidates.name}. Run `cmbtk stage1-detect` again."
        )
    return mine


def as_boxes(cell: Cell, candidates: pd.DataFrame) -> pd.DataFrame:
    """Every box as a candidate of its own, with what is known of the candidate that it belongs to.

    Parameters
    ----------
    cell : Cell
        One that :func:`is_merged`.
    candidates : DataFrame
        Some of its candidates, with ``probability`` and ``kept`` where stage 2 has run.

    Raises
    ------
    MissingError, DataError
        As :func:`boxes_of`.
    """
    boxes = boxes_of(cell, candidates)
    further = [name for name in ("probability", "kept") if name in candidates]
    boxes = boxes.merge(candidates[["candidate_id", *further]], on="candidate_id", how="left", validate="many_to_one")
    number = boxes.groupby("candidate_id", sort=False).cumcount() + 1
    names = [f"{name}_box-{n}" for name, n in zip(boxes["candidate_id"], number, strict=True)]
    return boxes.assign(candidate_id=names)
