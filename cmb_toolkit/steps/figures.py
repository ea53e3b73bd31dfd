"""``figures``: loss curves, sensitivity against false positives, and montages of a study's cells, in one folder."""

from __future__ import annotations

import shutil
from itertools import groupby
from pathlib import Path

from ..errors import MissingError
from ..evaluation.recipe import Showing
from ..io.publish import Record, publish
from ..io.tables import read_tsv
from ..model import OnProgress
from ..report.figures import draw_losses
from ..study.curves import draw_group_froc
from ..study.layout import Cell, Study
from ..study.results import read_result, shown_rule

__all__ = ["figures"]

REVISION = 1


def figures(
    study: Path, recipe: Showing | None = None, *, on_progress: OnProgress = lambda done, total, what: None
) -> Path:
    """Draw what the cells of a study hold: losses where something was trained, curves where something was evaluated.

    Parameters
    ----------
    study : Path
    recipe : Showing, optional
        Its rule is that of the curves of sensitivity against false positives, by default that of the evaluations. A
        montage shows the rule its cell was evaluated with.
    on_progress : callable
        Called after each figure.

    Returns
    -------
    Path
        The folder ``figures/`` of the study.

    Raises
    ------
    MissingError
        If no cell has anything to draw.
    """
    recipe = recipe or Showing()
    opened = Study.open(study)
    cells = opened.cells()
    sources = [path for cell in cells for path in _sources(cell) if path.is_file()]
    if not sources:
        raise MissingError(
            f"{opened.root}: nothing to draw yet. Train a cell with `cmbtk stage1-train` or evaluate one with "
            "`cmbtk evaluate` first."
        )
    evaluated = [cell for cell in cells if cell.metrics.is_file()]
    rule = recipe.rule or shown_rule(evaluated)
    asked = {"rule": rule, "cells": [cell.name for cell in cells]}
    record = Record("figures", asked, tuple(sources), revision=REVISION)
    if record.is_current(opened.figures):
        return opened.figures
    drawn = [cell for cell in evaluated if (cell.evaluation / "montage.png").is_file()]  # it comes last there
    trained = [cell for cell in cells if cell.yolo_history.is_file() or cell.cnn_history.is_file()]
    with publish(opened.figures, record) as folder:
        folder.mkdir()
        jobs = [(_losses, cell) for cell in trained] + [(_montage, cell) for cell in drawn]
        for done, (draw, cell) in enumerate(jobs, 1):
            draw(cell, folder)
            on_progress(done, len(jobs) + 1, cell.name)
        _frocs(evaluated, rule, folder)
        on_progress(len(jobs) + 1, len(jobs) + 1, "curves")
    return opened.figures


def _sources(cell: Cell) -> tuple[Path, ...]:
    return (
        cell.yolo_history,
        cell.cnn_history,
        cell.metrics,
        cell.evaluation / "froc.tsv",
        cell.evaluation / "montage.png",
    )


def _losses(cell: Cell, folder: Path) -> None:
    stage1 = read_tsv(cell.yolo_history, ["iteration", "loss", "avg_loss"]) if cell.yolo_history.is_file() else None
    stage2 = read_tsv(cell.cnn_history, ["epoch", "loss", "val_loss"]) if cell.cnn_history.is_file() else None
    draw_losses(stage1, stage2, cell.name, folder / f"losses_{cell.name}.png")


def _montage(cell: Cell, folder: Path) -> None:
    shutil.copyfile(cell.evaluation / "montage.png", folder / f"montage_{cell.name}.png")


def _frocs(cells: list[Cell], rule: str, folder: Path) -> None:
    """One figure per resolution, input and repeat, with its folds and all of them together."""
    results = sorted(((read_result(cell), cell) for cell in cells), key=lambda each: each[0].group)
    for (resolution, input_name, repeat), group in groupby(results, key=lambda each: each[0].group):
        again, suffix = (f", repeat {repeat}", f"_repeat-{repeat}") if repeat > 1 else ("", "")
        title = f"{resolution}, {input_name}{again}: sensitivity against false positives, test subjects"
        draw_group_froc(list(group), rule, title, folder / f"froc_{resolution}_{input_name}{suffix}_{rule}.png")
