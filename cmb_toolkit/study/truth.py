"""Where a study's microbleeds lie on the network images: what the detector learns from and is held against."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import DataError, Problems
from ..imaging.frame import to_image
from ..imaging.recipe import Mode
from ..model import IMAGE_SIZE
from ..stage1.label_boxes import microbleed_boxes
from .cohort import read_microbleeds, read_participants
from .geometry import Geometry, read_geometry
from .layout import Study

__all__ = ["truth_table"]


def truth_table(
    study: Study,
    subjects: Sequence[str],
    *,
    size: int = IMAGE_SIZE,
    mode: Mode = "auto",
    problems: Problems | None = None,
) -> pd.DataFrame:
    """Microbleeds of the subjects and their squares on the network image.

    Parameters
    ----------
    study : Study
    subjects : sequence of str
    size : int
        Side of the network image [px].
    mode : {"auto", "crop", "resize"}
        How planes become images, see :func:`cmb_toolkit.imaging.frame.make_frame`.
    problems : Problems, optional
        Where to gather what is wrong with single subjects, instead of raising it after all were looked at; of these
        the table then has no rows.

    Returns
    -------
    DataFrame
        The rows of microbleeds.tsv of these subjects, in its order, with left, top, right, bottom: the 20 x 20 px
        square of section 2.2.2 [px, 0-based, half open], on slice k. Not clipped: it may reach beyond the image.

    Raises
    ------
    MissingError
        If a subject is not preprocessed.
    DataError
        If a mark names a subject that is not in the study, or lies outside the volume or the image.
    """
    table = read_microbleeds(study)
    strangers = sorted(set(table["participant_id"]) - set(read_participants(study)["participant_id"]))
    if strangers:
        raise DataError(
            f"{study.microbleeds}: marks of {', '.join(strangers)}, not in {study.participants.name}. "
            "Add the subject or remove its marks."
        )
    table = table[table["participant_id"].isin(list(subjects))].reset_index(drop=True)
    gathered = Problems() if problems is None else problems
    boxes = np.full((len(table), 4), np.nan)
    for subject, rows in table.groupby("participant_id", sort=False).indices.items():
        with gathered.of(str(subject)):
            geometry = read_geometry(study, str(subject), size=size, mode=mode)
            marks = table.loc[rows, ["i", "j", "k"]].to_numpy(float)
            _check_marks(study, str(subject), marks, geometry)
            boxes[rows] = microbleed_boxes(geometry.frame, marks[:, :2])
    if problems is None:
        gathered.raise_if_any()
    table[["left", "top", "right", "bottom"]] = boxes
    right: pd.DataFrame = table[~np.isnan(boxes).any(axis=1)].reset_index(drop=True)
    return right


def _check_marks(study: Study, subject: str, marks: NDArray[np.float64], geometry: Geometry) -> None:
    """Refuse marks that are no voxels of the volume or that the image does not show."""
    fit = ((marks >= 0) & (marks < geometry.shape) & (marks == np.rint(marks))).all(axis=1)
    for mark in marks[~fit]:
        raise DataError(
            f"{study.microbleeds}: mark ({', '.join(f'{x:g}' for x in mark)}) of {subject} is no voxel of its volume "
            f"of {' x '.join(map(str, geometry.shape))} (i, j, k from 0, canonical axes). "
            "Correct the mark; `cmbtk check` shows all of them."
        )
    centre = to_image(geometry.frame, marks[:, :2])
    for mark in marks[((centre < 0) | (centre > geometry.frame.size)).any(axis=1)]:
        raise DataError(
            f"{study.microbleeds}: mark ({', '.join(f'{x:g}' for x in mark)}) of {subject} is cut off when planes of "
            f"{geometry.shape[0]} x {geometry.shape[1]} voxels are cropped to {geometry.frame.size} px. "
            "Use a larger --size, or --mode resize."
        )
