"""``experiment report``: the paper's tables and figures from a study's cells, beside the paper's printed values.

The folder ``report/`` of the study holds::

    index.html               everything on one page that needs nothing else
    tables/table-1.md ...    tables 1 to 9, each as Markdown, TSV and LaTeX
    figures/figure-2.png ... figures 2 to 7; the paper's figure 1 is a drawing of the method

Further tables and figures, which the paper does not have, lie beside them under their names.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import pandas as pd

from .. import __version__
from ..errors import MissingError, UsageError
from ..io.publish import Record, publish
from ..io.tables import read_tsv
from ..model import OnProgress
from ..report.page import Picture, Section, html_page
from ..report.table import Table, plain_table
from ..study.cell import read_setup
from ..study.cohort import read_microbleeds, read_participants
from ..study.curves import draw_group_froc, whole_curve
from ..study.layout import Cell, Study
from ..study.results import evaluated_cells, shown_rule
from .audit import audit
from .curves import draw_methods, draw_scanners, draw_thresholds
from .further_tables import further_tables
from .method_table import decided_by, method_table, methods_of
from .pictures import draw_channels, draw_healthy, draw_masks, draw_outcomes
from .results import default_resolutions, study_results
from .scenes import Scenes
from .settings import Settings
from .tables import StudyResults, overview, paper_tables

__all__ = ["paper_report", "report_by"]

REVISION = 3

_SOURCES = ("metrics.json", "subjects.tsv", "candidates.tsv", "microbleeds.tsv", "froc.tsv")

_TITLES = {
    2: "Brain masks",
    3: "Magnitude, phase and SWI of a microbleed, and lines through it",
    4: "Threshold of stage 1 against sensitivity and false positives, every fold",
    5: "What stage 1 finds, takes for microbleeds, and misses",
    6: "Candidates on healthy subjects, before and after stage 2",
    7: "Stage 1 on every subject, by resolution and scanner",
}

_SIMULATED = (
    "Simulated scans. These numbers show that the software works from end to end. They say nothing about its "
    "performance on patients, and are no reproduction of the paper's results."
)

_METHODS = "methods"

_NO_PICTURE = "this study does not have what it shows yet."


def paper_report(
    study: Path,
    *,
    resolutions: Mapping[str, str] | None = None,
    rule: str | None = None,
    input_name: str = "swi+cphase-averaged",
    best_fold: Literal["validation", "paper"] = "validation",
    on_progress: OnProgress = lambda done, total, what: None,
) -> Path:
    """Write the report of a study beside the paper.

    Parameters
    ----------
    study : Path
        A study with at least one evaluated cell. What other cells would show is said to be not run.
    resolutions : mapping, optional
        ``HR`` and ``LR`` -> the study's names, for example ``{"HR": "slab", "LR": "slab-lr"}``; by default the same
        names, else the one ending in ``lr`` is LR.
    rule : str, optional
        Rule that hits are counted by, by default that of the evaluations; ``paper`` is the paper's.
    input_name : str
        Input of tables 3 to 9 and of the figures.
    best_fold : {"validation", "paper"}
        Whose weights the healthy subjects are looked at with (table 7, figure 6): the fold with the greatest F1 on
        its validation subjects, or the folds that the paper took for their sensitivity on the test subjects.
    on_progress : callable
        Called after each table and figure.

    Returns
    -------
    Path
        The study's folder ``report``; ``index.html`` in it.

    Raises
    ------
    UsageError, MissingError, DataError, StorageError
    """
    opened = Study.open(study)
    cells = evaluated_cells(opened)
    rule = rule or shown_rule(cells)
    chosen = dict(resolutions) if resolutions is not None else default_resolutions(opened)
    tables = [opened.participants, opened.microbleeds, *([opened.folds] if opened.folds.is_file() else [])]
    record = Record(
        "report",
        {
            "resolutions": chosen,
            "rule": rule,
            "input": input_name,
            "best_fold": best_fold,
            "cells": [cell.name for cell in cells],
        },
        (*tables, *(cell.evaluation / name for cell in cells for name in _SOURCES)),
        revision=REVISION,
    )
    if record.is_current(opened.report):
        return opened.report
    results = study_results(opened, cells, resolutions=chosen, input_name=input_name, rule=rule, best_fold=best_fold)
    numbered, further = dict(enumerate(paper_tables(results), 1)), further_tables(results)
    methods = [table for table in (method_table(results),) if table]
    pictures = _pictures(opened, results, on_progress)
    sections = _sections(numbered, methods, further, pictures, results)
    with publish(opened.report, record) as folder:
        for name in ("tables", "figures"):
            (folder / name).mkdir(parents=True)
        for table in (*numbered.values(), *methods, *further):
            for ending, text in ((".md", table.markdown()), (".tsv", table.tsv()), (".tex", table.latex())):
                (folder / "tables" / f"{table.name}{ending}").write_text(text, "utf-8", newline="\n")
        for picture in pictures.values():
            if picture.png:
                (folder / "figures" / f"{picture.name}.png").write_bytes(picture.png)
        page = html_page(
            f"{opened.name}: cerebral microbleeds, beside Al-masni et al. 2020",
            f"Hits are counted by the {results.label}. The tables and figures of the paper (NeuroImage: Clinical 28, "
            "102464) from the cells of this study, with the paper's printed values beside them.",
            _facts(opened, results),
            sections,
            warning=_SIMULATED if results.simulated else "",
            footer=f"Written by cmb_toolkit {__version__}. Research use only, not a medical device.",
        )
        (folder / "index.html").write_text(page, "utf-8", newline="\n")
    return opened.report


def report_by(settings: Settings, study: Path, *, on_progress: OnProgress = lambda done, total, what: None) -> Path:
    """Write the report of a study as an experiment's settings want it; see :func:`paper_report`."""
    if set(settings.resolutions) != {"HR", "LR"}:
        raise UsageError("the report needs to know what both HR and LR are called: see the settings' [resolutions].")
    return paper_report(
        study,
        resolutions=settings.resolutions,
        input_name=settings.input,
        best_fold=settings.best_fold,
        on_progress=on_progress,
    )


def _facts(study: Study, results: StudyResults) -> list[tuple[str, str]]:
    people = read_participants(study)
    facts = []
    for name, ours in results.resolutions.items():
        mine = people[people["resolution"] == ours]
        patients = int((mine["group"] != "control").sum())
        marks = int(read_microbleeds(study)["participant_id"].isin(mine.index).sum())
        text = f"{patients} patients with {marks} microbleeds, {len(mine) - patients} healthy controls"
        facts.append((name if name == ours else f"{name} is {ours}", text if len(mine) else "no scans"))
    inputs = ", ".join(sorted({cell.input for cell in results.cells}))
    facts.append(("Cells evaluated", f"{len(results.cells)} (inputs: {inputs})"))
    facts.append(("Healthy subjects", f"looked at with the weights of {results.best_how}"))
    return facts


def _sections(
    tables: Mapping[int, Table],
    methods: Sequence[Table],
    further: Sequence[Table],
    pictures: Mapping[int | str, Picture],
    results: StudyResults,
) -> list[Section]:
    curves = {key: picture for key, picture in pictures.items() if isinstance(key, str) and picture.png}
    compared = [curves.pop(_METHODS)] if _METHODS in curves else []
    return [
        Section("whole", "In one look", (overview(results),)),
        Section("data", "Data", (tables[1], pictures[2])),
        Section("inputs", "Inputs of stage 1", (pictures[3], tables[2])),
        Section("resolutions", "Resolutions", (tables[3],)),
        Section("stage-1", "Stage 1: candidates", (pictures[4], tables[4], pictures[5])),
        Section("stage-2", "Stage 2: false positives out", (tables[5], tables[6])),
        Section("healthy", "Healthy subjects", (tables[7], pictures[6])),
        Section("scanners", "Scanners", (pictures[7], tables[8])),
        Section("earlier-work", "Earlier work", (tables[9], *methods, *compared)),
        Section("beyond", "Beyond the paper", (*curves.values(), *further)),
        Section("slips", "The paper's slips", (_slips(),), _ABOUT_SLIPS),
    ]


_ABOUT_SLIPS = (
    "Printed values that the paper's own counts contradict. They stand as printed in every table, with a footnote; "
    "nothing is corrected in silence.",
)


def _slips() -> Table:
    checks = audit()
    rows = checks.loc[checks["verdict"] == "slip", ["where", "quantity", "printed", "recomputed", "from"]]
    names = {"where": "Where", "quantity": "Value", "printed": "Printed", "recomputed": "Recomputed", "from": "From"}
    return plain_table(
        "slips", "Printed values beside what the paper's own counts give", rows.rename(columns=names), words=2
    )


def _pictures(study: Study, results: StudyResults, on_progress: OnProgress) -> dict[int | str, Picture]:
    cells = {
        name: [study.cell_named(each.cell) for each in results.select(ours, results.input)]
        for name, ours in results.resolutions.items()
    }
    some = next((cell for mine in cells.values() for cell in mine), None)
    setup = read_setup(some) if some else None
    scenes = Scenes(study, setup.size, setup.mode) if setup else Scenes(study)
    drawings: dict[int | str, Callable[[Path], str]] = {
        2: lambda out: _draw_masks(scenes, results, out),
        3: lambda out: _draw_channels(study, scenes, results, cells, out),
        4: lambda out: _draw_thresholds(results, cells, out),
        5: lambda out: _draw_outcomes(scenes, results, cells, out),
        6: lambda out: _draw_healthy(study, scenes, results, out),
        7: lambda out: _draw_scanners(study, results, out),
    }
    drawings |= {name: partial(_draw_froc, results, name, mine) for name, mine in cells.items()}
    drawings[_METHODS] = partial(_draw_methods, study, results)
    pictures: dict[int | str, Picture] = {}
    with tempfile.TemporaryDirectory() as folder:
        for key, draw in drawings.items():
            path = Path(folder) / f"{key}.png"
            try:
                caption = draw(path)
            except MissingError:  # volumes may be deleted once a cell is evaluated
                caption = _NO_PICTURE
            png = path.read_bytes() if path.is_file() else b""
            if isinstance(key, int):
                name, label, title = f"figure-{key}", f"Figure {key}", _TITLES[key]
            else:
                name, label, title = f"froc-{key}", key, "Sensitivity against false positives"
            pictures[key] = Picture(name, label, title, caption, png)
            on_progress(len(pictures), len(drawings), name)
    return pictures


def _draw_froc(results: StudyResults, name: str, cells: Sequence[Cell], out: Path) -> str:
    members = list(zip(results.select(results.resolutions[name], results.input), cells, strict=True))
    draw_group_froc(members, results.rule, f"{name}: sensitivity against false positives, test subjects", out)
    return "Left, candidates of stage 1 by confidence; right, what both stages leave, by probability."


def _draw_methods(study: Study, results: StudyResults, out: Path) -> str:
    curves: dict[str, dict[str, pd.DataFrame]] = {}
    for name, ours in results.resolutions.items():
        for method, cells in methods_of(results, ours):
            members = [(cell, study.cell_named(cell.cell)) for cell in cells]
            curve = whole_curve(members, results.rule, decided_by(cells))
            if len(curve):
                curves.setdefault(name, {})[method] = curve
    curves = {name: mine for name, mine in curves.items() if len(mine) > 1}
    if not curves:
        return _NO_PICTURE
    draw_methods(curves, f"Test subjects of the folds that each has, {results.label}", out)
    return "By the score that decides: both stages' where there are two. yolo is the paper's method."


def _draw_masks(scenes: Scenes, results: StudyResults, out: Path) -> str:
    rows = {name: scenes.masks(ours) for name, ours in results.resolutions.items()}
    rows = {name: row for name, row in rows.items() if row}
    if not rows:
        return _NO_PICTURE
    draw_masks(rows, out)
    return (
        f"White: contour of the brain mask on the scans as they came. Green: microbleeds, 20 x 20 px of the network "
        f"image. Every slice is of another subject; rows: {', '.join(rows)}."
    )


def _draw_channels(
    study: Study, scenes: Scenes, results: StudyResults, cells: Mapping[str, list[Cell]], out: Path
) -> str:
    place = _seen_best([*cells["HR"], *cells["LR"]], results.rule) or _first_mark(study, results)
    if place is None:
        return _NO_PICTURE
    draw_channels(*scenes.channels(place), out)
    return (
        "(a) to (c) one slice with a microbleed in the box. (d) to (f) values along the horizontal line through the "
        "box's middle, each channel from its subject's minimum to its maximum: phase is bright where SWI is dark (d), "
        "its complement is dark as well (e), and averaged over three slices both channels become smoother (f), which "
        "is the paper's input. Microbleed of " + place[0] + "."
    )


def _seen_best(cells: list[Cell], rule: str) -> tuple[str, float, float, int] | None:
    """The mark of the test subjects that stage 1 found with the highest confidence, in the first cell with one."""
    for cell in cells:
        marks = read_tsv(cell.evaluation / "microbleeds.tsv", ["participant_id", "i", "j", "k", f"{rule}_stage1"])
        candidates = read_tsv(cell.evaluation / "candidates.tsv", ["candidate_id", "confidence"])
        hits = marks.merge(
            candidates[["candidate_id", "confidence"]], left_on=f"{rule}_stage1", right_on="candidate_id"
        )
        if len(hits):
            best = hits.sort_values("confidence", ascending=False, kind="stable").iloc[0]
            return str(best["participant_id"]), float(best["i"]), float(best["j"]), int(best["k"])
    return None


def _first_mark(study: Study, results: StudyResults) -> tuple[str, float, float, int] | None:
    people = read_participants(study)
    mine = people[people["resolution"].isin(list(results.resolutions.values()))].index
    for line in read_microbleeds(study).to_dict("records"):
        subject = str(line["participant_id"])
        if subject in mine and study.swi(subject).is_file() and study.phase(subject).is_file():
            return subject, float(line["i"]), float(line["j"]), int(line["k"])
    return None


def _draw_thresholds(results: StudyResults, cells: Mapping[str, list[Cell]], out: Path) -> str:
    curves, chosen = [], {}
    for name, mine in cells.items():
        for cell, result in zip(mine, results.select(results.resolutions[name], results.input), strict=True):
            columns = ["rule", "role", "stage", "threshold", "sensitivity", "fp_per_subject"]
            table = read_tsv(cell.evaluation / "froc.tsv", columns)
            own = (table["rule"] == results.rule) & (table["role"] == "test") & (table["stage"] == "stage1")
            curves.append(table[own].assign(resolution=name, fold=result.fold))
            if "stage1" in result.thresholds:
                chosen[name, result.fold] = result.thresholds["stage1"].value
    if not any(map(len, curves)):
        return _NO_PICTURE
    draw_thresholds(pd.concat(curves, ignore_index=True), chosen, f"Test subjects; hits by the {results.label}.", out)
    return (
        "Each line is the test set of one fold. Lines begin at the threshold in use (dot), below which no box was "
        "kept. They show all thresholds; reading one off them would be choosing it on the test subjects."
    )


def _draw_outcomes(scenes: Scenes, results: StudyResults, cells: Mapping[str, list[Cell]], out: Path) -> str:
    parts = {name: scenes.outcomes(mine, results.rule) for name, mine in cells.items() if mine}
    if not parts:
        return _NO_PICTURE
    draw_outcomes(parts, out)
    return (
        f"SWI around candidates and microbleeds, 40 mm wide, with the highest confidences first and every subject in "
        f"turn. Yellow: box of stage 1. Green: microbleed. Number: confidence. Hits by the {results.label}."
    )


def _draw_healthy(study: Study, scenes: Scenes, results: StudyResults, out: Path) -> str:
    parts = {}
    for name, ours in results.resolutions.items():
        fold = results.best.get(name, ("", ""))[1]
        for result in results.select(ours, results.input, [fold]):
            if result.find(results.rule, "control", "stage1"):
                parts[f"{name}, fold {fold}"] = scenes.healthy(study.cell_named(result.cell))
    parts = {name: part for name, part in parts.items() if part[0]}
    if not parts:
        return _NO_PICTURE
    draw_healthy(parts, out)
    return (
        "Above: candidates of stage 1 on slices of healthy subjects, those with most of them. Below: what stage 2 kept."
    )


def _draw_scanners(study: Study, results: StudyResults, out: Path) -> str:
    table = results.subjects
    table = table[(table["rule"] == results.rule) & (table["role"] == "test") & (table["stage"] == "stage1")]
    people = read_participants(study)
    parts = []
    for name, ours in results.resolutions.items():
        names = [cell.cell for cell in results.select(ours, results.input)]
        mine = table[table["cell"].isin(names)]
        parts.append(mine.assign(resolution=name, scanner=mine["participant_id"].map(people["scanner"]).fillna("?")))
    subjects = pd.concat(parts, ignore_index=True)
    if subjects.empty:
        return _NO_PICTURE
    subjects = subjects.sort_values(["resolution", "scanner"], kind="stable")
    marks = subjects["tp"] + subjects["fn"]
    subjects = subjects.assign(sensitivity=subjects["tp"] / marks.where(marks > 0), fp_per_subject=subjects["fp"])
    overall = {
        (str(resolution), str(scanner)): (
            float(group["tp"].sum() / max(1, int((group["tp"] + group["fn"]).sum()))),
            float(group["fp"].mean()),
        )
        for (resolution, scanner), group in subjects.groupby(["resolution", "scanner"])
    }
    draw_scanners(subjects, overall, f"Test subjects of all folds; hits by the {results.label}.", out)
    named = subjects["resolution"] + " scans of " + subjects["scanner"]
    sizes = ", ".join(f"{n} {name}" for name, n in named.value_counts(sort=False).items())
    return f"Dots: subjects; boxes: quartiles; in parentheses all microbleeds and subjects together. {sizes}."
