"""What of an experiment is done: each step is asked whether what it would make is there already, whoever made it.

What `cmbtk experiment run` did is remembered with what it was asked for, so that not everything is looked through
again each time; nothing here needs Snakemake.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..detectors import DETECTORS, finders
from ..errors import CmbError
from ..io.publish import NotCurrentError, only_asking
from ..paper.options import RECIPES, filled
from ..registry import load
from ..steps.find import find
from ..study.layout import Study
from .jobs import STUDY, Job

__all__ = ["request", "undone"]


def request(job: Job, table: Mapping[str, Any]) -> str:
    """Digest of what a job was asked for: the same as long as its settings, the files they name, the scans and the
    revision of its step are.

    Parameters
    ----------
    job : Job
    table : mapping
        Of :func:`cmb_toolkit.workflow.jobs.job_table`.
    """
    scans = [table["subjects"], table["scans"]] if job.step == "preprocess" else []
    asked = [job.options, table["files"][job.cell][job.step], table["revisions"].get(job.step, 1), scans]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def undone(
    study: Study, jobs: Sequence[Job], table: Mapping[str, Any], remembered: Mapping[Job, str]
) -> dict[Job, str]:
    """Jobs that are to be done, and why: nobody has done them, or with other settings, or from something else.

    Parameters
    ----------
    study : Study
    jobs : sequence of Job
        In an order in which they could be done.
    table : mapping
        Of :func:`cmb_toolkit.workflow.jobs.job_table`.
    remembered : mapping
        Jobs that a run did -> what each was asked for (:func:`request`).
    """
    todo: dict[Job, str] = {}
    made: dict[str, list[Job]] = {STUDY: []}
    for job in jobs:
        of_study, chain = made[STUDY], made.setdefault(job.cell, [])
        before = [] if job.cell == STUDY else [*of_study, *chain]
        missing = next((path for path in (*job.outputs, *job.records) if not (study.root / path).is_file()), None)
        if cause := next((other for other in before if other in todo), None):
            todo[job] = f"follows {cause.step} of {'the study' if cause.cell == STUDY else 'this cell'}"
        elif missing is not None:
            todo[job] = f"{missing} is not there"
        elif remembered.get(job) != request(job, table) or not _stands(study, job, chain[-1:] or before):
            try:
                with only_asking():
                    _step(study, job)
            except NotCurrentError as error:
                todo[job] = str(error)
            except CmbError as error:
                todo[job] = " ".join(str(error).split())
        chain.append(job)
    return todo


def _stands(study: Study, job: Job, before: Sequence[Job]) -> bool:
    """Whether nothing that a job is made from is newer than what it made, as far as times of files tell."""
    tables = [study.participants, study.microbleeds, *([study.folds] if job.cell != STUDY else [])]
    sources = [*tables, *(study.root / path for other in before for path in other.files)]
    made = [study.root / path for path in job.files]
    if not all(path.is_file() for path in (*sources, *made)):
        return False
    return max(path.stat().st_mtime_ns for path in sources) <= min(path.stat().st_mtime_ns for path in made)


def _step(study: Study, job: Job) -> None:
    """Call a job's step with its options; it tells nobody anything."""
    recipes = [filled(recipe, job.asked) for recipe in RECIPES[job.step]]
    makes_cells = {detector.command for detector in DETECTORS.values()}
    place = study.root if job.cell == STUDY or job.step in makes_cells else study.cell_named(job.cell).folder
    if method := finders().get(job.step):
        find(place, method, *recipes, on_progress=_silently)
    else:
        name = job.step.replace("-", "_")
        load(f"cmb_toolkit.steps.{name}:{name}")(place, *recipes, on_progress=_silently)


def _silently(done: int, total: int, what: str) -> None:
    pass
