"""``tables``: the results of every evaluated cell of a study, by fold and in all, as TSV and Markdown."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pandas as pd

from ..evaluation.results import STAGES, CellResult
from ..evaluation.rules import RULES
from ..evaluation.summary import result_rows
from ..io.publish import Record, publish
from ..io.tables import read_tsv, write_tsv
from ..model import OnProgress
from ..paper.result_tables import audit_page, result_page
from ..report.screen import Page
from ..schema import RESULTS
from ..study.layout import Cell, Study
from ..study.results import evaluated_cells, read_result, shown_rule

__all__ = ["read_page", "tables"]

REVISION = 2


def tables(study: Path, *, on_progress: OnProgress = lambda done, total, what: None) -> Path:
    """Write the result tables of a study, under every rule apart.

    Parameters
    ----------
    study : Path
        A study with at least one evaluated cell.
    on_progress : callable
        Called after each rule.

    Returns
    -------
    Path
        The folder ``tables/``: ``results_<rule>.md``, ``<stage>_<rule>.tsv`` and the audit of the paper's numbers.

    Raises
    ------
    MissingError, DataError, StorageError
    """
    opened = Study.open(study)
    cells = evaluated_cells(opened)
    pages = {rule: read_page(study, rule) for rule in RULES}
    record = Record(
        step="tables",
        parameters={"cells": [cell.name for cell in opened.cells()]},
        sources=tuple(cell.metrics for cell in cells),
        revision=REVISION,
    )
    if record.is_current(opened.tables):
        return opened.tables
    results, subjects = [read_result(cell) for cell in cells], _subjects(cells)
    with publish(opened.tables, record) as folder:
        folder.mkdir()
        folder.note(columns=RESULTS.described())
        for n, (rule, page) in enumerate(pages.items(), 1):
            (folder / f"results_{rule}.md").write_text(page.markdown(), "utf-8")
            for stage in STAGES:
                rows = _by_group(results, subjects, rule, stage)
                if len(rows):
                    write_tsv(rows, folder / f"{stage}_{rule}.tsv")
            on_progress(n, len(pages), rule)
        (folder / "paper_audit.md").write_text(audit_page().markdown(), "utf-8")
    return opened.tables


def read_page(study: Path, rule: str | None = None) -> Page:
    """The tables of a study under one rule, by default that of its evaluations, to be shown."""
    opened = Study.open(study)
    cells = evaluated_cells(opened)
    page = result_page([read_result(cell) for cell in cells], _subjects(cells), rule or shown_rule(cells))
    waiting = sorted({cell.name for cell in opened.cells()} - {cell.name for cell in cells})
    return replace(page, notes=(*page.notes, f"Not evaluated yet: {', '.join(waiting)}.")) if waiting else page


def _subjects(cells: list[Cell]) -> pd.DataFrame:
    columns = ["rule", "role", "stage", "participant_id", "tp", "fn", "fp"]
    return pd.concat(
        [read_tsv(cell.evaluation / "subjects.tsv", columns).assign(cell=cell.name) for cell in cells],
        ignore_index=True,
    )


def _by_group(results: list[CellResult], subjects: pd.DataFrame, rule: str, stage: str) -> pd.DataFrame:
    groups = groupby(sorted(results, key=lambda each: each.group), key=lambda each: each.group)
    parts = [result_rows(list(group), subjects, rule, stage) for _, group in groups]
    return pd.concat([part for part in parts if len(part)] or [pd.DataFrame()], ignore_index=True)
