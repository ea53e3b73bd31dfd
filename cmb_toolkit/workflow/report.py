"""The report of an experiment: its settings, said to the step that writes it."""

from __future__ import annotations

from pathlib import Path

from ..errors import UsageError
from ..model import OnProgress
from .experiment import Experiment

__all__ = ["report"]


def report(experiment: Experiment, *, on_progress: OnProgress = lambda done, total, what: None) -> Path:
    """Write the paper's tables with this study's numbers beside the printed ones.

    Parameters
    ----------
    experiment : Experiment
    on_progress : callable
        Called after each table and figure.

    Returns
    -------
    Path
        The study's folder ``report``.

    Raises
    ------
    UsageError, MissingError, DataError, StorageError
    """
    from ..paper.report import paper_report

    settings = experiment.settings
    if set(settings.resolutions) != {"HR", "LR"}:
        raise UsageError("the report needs to know what both HR and LR are called: see the settings' [resolutions].")
    return paper_report(
        experiment.study.root,
        resolutions=settings.resolutions,
        rule=str(settings.step("evaluate").get("rule", "centre")),
        input_name=settings.input,
        best_fold=settings.best_fold,
        on_progress=on_progress,
    )
