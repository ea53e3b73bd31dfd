"""`cmbtk check`: everything about a study, or about one scan, that would make a later step fail or mislead it.

Nothing is written but the pictures that were asked for. Problems are gathered, not raised, so that one run shows all of
them. Of headers only geometry and numbers are reported: descriptions may hold names and dates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..checks.files import ScanFacts, Task, check_files
from ..checks.marks import check_counting, check_positions, check_spots
from ..checks.problem import Problem, error, times
from ..checks.tables import check_folds, check_import, check_participants, read_marks
from ..checks.together import check_together
from ..errors import DataError, MissingError
from ..imaging.recipe import Reading
from ..io.publish import Record, publish, read_record
from ..io.recount import counting_of
from ..model import OnProgress
from ..parallel import for_each
from ..report.mark_sheet import draw_marks
from ..study.cohort import read_participants
from ..study.layout import Study
from ..study.scan import Scan, scan_of

__all__ = ["Problem", "Report", "ScanFacts", "check_scan", "check_study", "facts_table"]

REVISION = 1


@dataclass(frozen=True)
class Report:
    """What a check found.

    Attributes
    ----------
    scans : tuple of ScanFacts
    problems : tuple of Problem
        Of the study and of all scans.
    participants : DataFrame or None
        The study's subjects; None for one scan.
    drawn : int or None
        Of how many marks pictures were taken; None where none were asked for.
    """

    scans: tuple[ScanFacts, ...]
    problems: tuple[Problem, ...]
    participants: pd.DataFrame | None = None
    drawn: int | None = None

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def exit_code(self) -> int:
        """0, 3 where only files are missing, 5 where anything else is wrong."""
        if not self.errors:
            return 0
        return MissingError.exit_code if all(p.missing for p in self.errors) else DataError.exit_code


def check_scan(scan: Scan, recipe: Reading | None = None, *, on_progress: OnProgress) -> Report:
    """Check the files of one scan, without a study.

    Parameters
    ----------
    scan : Scan
        What is known of it alone comes first.
    recipe : Reading, optional
    """
    on_progress(0, 1, scan.name)
    recipe = recipe or Reading()
    scan = replace(
        scan,
        echo=scan.echo or recipe.echo,
        phase_volume=scan.phase_volume or recipe.phase_volume,
        phase_range=scan.phase_range or recipe.phase_range,
    )
    facts = check_files(Task(scan, np.empty((0, 3), int)))
    on_progress(1, 1, scan.name)
    return Report((facts,), facts.problems)


def check_study(
    folder: Path,
    recipe: Reading | None = None,
    *,
    pictures: Path | None = None,
    jobs: int = 1,
    on_progress: OnProgress,
) -> Report:
    """Check a study: its tables, its folds, and every file of every subject.

    Parameters
    ----------
    folder : Path
    recipe : Reading, optional
    pictures : Path, optional
        Draw every mark on its slice into this PNG; see :func:`cmb_toolkit.report.mark_sheet.draw_marks`.
    jobs : int
        Worker processes.

    Raises
    ------
    MissingError, DataError
        If there is no study, or its table of participants cannot be read.
    """
    recipe = recipe or Reading()
    study = Study.open(folder)
    participants = read_participants(study, named=False)
    problems = [*check_import(study, participants), *check_participants(study, participants)]
    marks, mark_problems = read_marks(study, participants)
    problems += mark_problems
    counting = counting_of(read_record(study.microbleeds))
    tasks = []
    for name, row in participants.iterrows():
        try:
            scan = scan_of(study, row)
        except DataError as reason:
            problems.append(error(reason, str(name)))
            continue
        mine = marks.loc[marks["participant_id"] == name, ["i", "j", "k"]].to_numpy(int)
        if recipe.phase_range is not None:
            scan = replace(scan, phase_range=recipe.phase_range)
        tasks.append(Task(scan, mine, counting, recipe.echo, recipe.phase_volume, pictures is not None))
    scans = for_each(check_files, tasks, jobs=jobs, on_progress=on_progress, label=_name_of)
    for scan_facts in scans:
        problems += scan_facts.problems
    problems += check_positions(study, marks, scans)
    problems += check_spots(study, scans)
    problems += check_counting(study, scans, counting)
    problems += check_together(participants, scans)
    problems += check_folds(study, participants)
    shown = [picture for scan in scans for picture in scan.pictures]
    if pictures is not None and shown:
        record = Record("check", {"marks": len(shown)}, (study.microbleeds,), revision=REVISION)
        with publish(pictures, record) as path:
            draw_marks(shown, f"{study.name}: {len(shown)} marks", path)
    return Report(tuple(scans), tuple(problems), participants, len(shown) if pictures is not None else None)


def _name_of(task: Task) -> str:
    return task.scan.name


def facts_table(report: Report) -> list[dict[str, Any]]:
    """One row a subject for showing: what it is, what was found, how many problems."""
    rows = []
    names = [scan.name for scan in report.scans]
    lines = list(report.participants.index) if report.participants is not None else names
    facts = {scan.name: scan for scan in report.scans}
    for name in lines:
        scan = facts.get(name, ScanFacts(str(name)))
        mine = [problem.severity for problem in report.problems if problem.subject == name]
        rows.append(
            {
                "subject": str(name),
                "voxels": times(scan.shape, "x"),
                "mm": times((round(size, 2) for size in scan.voxel_mm), "x"),
                "axes": scan.axes,
                "phase": scan.phase_unit.partition(",")[0],
                "marks": "" if report.participants is None else len(scan.marks.voxels),
                "dark": scan.marks.dark if scan.marks.voxels else "",
                "err": mine.count("error"),
                "warn": mine.count("warning"),
            }
        )
    return rows
