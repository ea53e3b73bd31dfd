"""The training of a method of stage 1 on the training subjects of a cell."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..detectors import DETECTORS
from ..errors import DataError
from ..io.nifti import check_same_grid, read_mask, read_volume
from ..io.publish import Record, publish
from ..keras_settings import keras_engine
from ..machine import stopwatch
from ..model import OnProgress
from ..report.figures import draw_lessons
from ..study.cohort import read_microbleeds
from ..study.layout import Cell, Study
from ..study.made_from import marks_digests
from .base import Learner, Marked

__all__ = ["learned"]

REVISION = 1


def learned(
    study: Study, cell: Cell, learner: Learner, subjects: Sequence[str], method: str, *, on_progress: OnProgress
) -> Path:
    """Train a cell's network on its training subjects, unless that is done.

    Parameters
    ----------
    study, cell
    learner : Learner
    subjects : sequence of str
        Those to learn from; no other is read.
    method : str
    on_progress : callable

    Returns
    -------
    Path
        The network.

    Raises
    ------
    MissingError, DataError, StorageError
        Among others if nobody is there to learn from.
    """
    command = DETECTORS[method].command
    if not subjects:
        raise DataError(f"{cell.folder}: has no training subjects, which `cmbtk {command}` learns from. Choose a fold.")
    marks = read_microbleeds(study)
    marks = marks[marks["participant_id"].isin(list(subjects))]
    files = [(*(study.volume(subject, name) for name in learner.volumes), study.mask(subject)) for subject in subjects]
    record = Record(
        command,
        {"recipe": asdict(learner), "roles": {"train": list(subjects)}, "marks": marks_digests(marks)},
        tuple(path for paths in files for path in paths),
        keras_engine(),
        REVISION,
    )
    if record.is_current(cell.network):
        return cell.network
    timed = stopwatch()
    with publish(cell.network, record) as out:
        noted: Mapping[str, Any] = learner.learn(
            _scans(study, learner, subjects, marks),
            out,
            checkpoint=cell.scratch / cell.network.name,
            key=json.dumps([record.parameters, keras_engine()], sort_keys=True),
            on_progress=on_progress,
        )
        out.note(work=timed(len(subjects)), **noted)
        if history := noted.get("history"):
            with publish(cell.network_loss, record) as picture:
                draw_lessons(pd.DataFrame(history), f"{cell.name}: training of {method}", picture)
    return cell.network


def _scans(study: Study, learner: Learner, subjects: Sequence[str], marks: pd.DataFrame) -> Iterator[Marked]:
    for subject in subjects:
        volumes = {name: read_volume(study.volume(subject, name)) for name in learner.volumes}
        first, *others = volumes.values()
        for volume in others:
            check_same_grid(first, volume)
        mine = marks.loc[marks["participant_id"] == subject, ["i", "j", "k"]].to_numpy(float)
        arrays = {name: np.asarray(volume.data) for name, volume in volumes.items()}
        yield Marked(arrays, read_mask(study.mask(subject), first), first.zooms, mine)
