"""From cells to jobs: one command each, and the table from which the Snakefile takes them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import __version__
from ..detectors import DETECTORS, finders
from ..paper.cells import PlannedCell, is_scanner_fold
from ..paper.options import SEEDED, words
from ..paper.settings import Settings

__all__ = ["Job", "job_table", "list_jobs", "uses_gpu"]

STUDY = "study"
"""Stands for the cell in the name of a job that is done once for the whole study."""

_GPU_STEPS = ("stage1-train", "stage1-detect", "stage2-train", "stage2-classify")


def uses_gpu(step: str) -> bool:
    """Whether a step uses a GPU where there is one: those with networks, also of methods that one command does."""
    method = finders().get(step)
    return step in _GPU_STEPS or (method is not None and DETECTORS[method].learns)


@dataclass(frozen=True)
class Job:
    """One command of the experiment.

    Attributes
    ----------
    step : str
    cell : str
        The cell's name, or :data:`STUDY`.
    options : tuple of str
        Words of the command line after the study or the cell.
    outputs : tuple of str
        Final files, relative to the study.
    records : tuple of str
        Provenance that the step writes last, relative to the study: that the job was done, and how long it took.
    asked : mapping
        The options before they became words.
    """

    step: str
    cell: str
    options: tuple[str, ...]
    outputs: tuple[str, ...]
    records: tuple[str, ...]
    asked: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def log(self) -> str:
        """Where its output goes, relative to the study."""
        return f"logs/{self.cell}/{self.step}.log"

    @property
    def files(self) -> tuple[str, ...]:
        """What Snakemake is asked for: the files above and the mark of success. Of all jobs, since of a chain it would
        miss the last link alone."""
        return (*self.outputs, *self.records, self.mark)

    @property
    def mark(self) -> str:
        """An empty file that says that the command has succeeded, relative to the study."""
        return f"scratch/experiment/done/{self.cell}/{self.step}"


_OUTPUTS = {
    "prepare-yolo": ("darknet/yolo.cfg", "darknet.json"),
    "stage1-train": ("yolo.weights", "yolo.json"),
    "stage1-detect": ("candidates.tsv", "candidates.json"),
    "stage2-crop": ("patches/patches.tsv", "patches.json"),
    "stage2-train": ("cnn.keras", "cnn.json"),
    "stage2-classify": ("findings.tsv", "findings.json"),
    "evaluate": ("evaluation/metrics.json", "evaluation.json"),
}
"""Final file and record of each step, in the cell's folder; the Snakefile has the same. What finds without learning
writes
what stage1-detect does."""


def list_jobs(
    settings: Settings, cells: Sequence[PlannedCell], subjects: Sequence[str], *, own_folds: bool
) -> list[Job]:
    """Every job of an experiment, in an order in which they could be done.

    Parameters
    ----------
    settings : Settings
    cells : sequence of PlannedCell
    subjects : sequence of str
        All subjects of the study.
    own_folds : bool
        The study has folds that were not made by `cmbtk split`: they stay.
    """
    records = tuple(f"{subject}.json" for subject in subjects)
    cleaning = settings.step("preprocess")
    jobs = [Job("preprocess", STUDY, tuple(words("preprocess", cleaning)), (), records, cleaning)]
    if not own_folds:
        asked = settings.step("split") | {"by-scanner": any(is_scanner_fold(cell.fold) for cell in cells)}
        asked = _seeded("split", asked, settings.seed)
        jobs.append(Job("split", STUDY, tuple(words("split", asked)), ("folds.tsv",), ("folds.json",), asked))
    for cell in cells:
        for step in cell.steps:
            # slices are shared by all cells, so that the drawing of negatives is not repeated
            further = 0 if step == "prepare-yolo" else cell.repeat - 1
            asked = _seeded(step, settings.step(step, cell.data), settings.seed + further)
            if cell.detector.network:
                asked.pop("network", None)  # it has its own
            where = _where(cell) if step == cell.detector.command else {}
            place = [word for name, value in where.items() for word in _said(name, value)]
            output, record = (
                f"cells/{cell.name}/{name}" for name in _OUTPUTS["stage1-detect" if step in finders() else step]
            )
            options = (*place, *words(step, asked))
            jobs.append(Job(step, cell.name, options, (output,), (record,), where | asked))
    return jobs


def _where(cell: PlannedCell) -> dict[str, Any]:
    """The options that say which cell it is, of the command that makes it."""
    repeat = {"repeat": cell.repeat} if cell.repeat > 1 else {}
    if cell.detector.finder:
        return {"fold": cell.fold, "resolution": "+".join(cell.resolutions), **repeat}
    return {"fold": cell.fold, "resolution": list(cell.resolutions), "input": cell.input, **repeat}


def _said(name: str, value: Any) -> list[str]:
    return [word for one in (value if isinstance(value, list) else [value]) for word in (f"--{name}", str(one))]


def _seeded(step: str, options: Mapping[str, Any], seed: int) -> dict[str, Any]:
    return {**options, **({"seed": seed} if step in SEEDED else {})}


def job_table(
    settings: Settings, cells: Sequence[PlannedCell], jobs: Sequence[Job], subjects: Sequence[str], scans: str
) -> dict[str, Any]:
    """What the Snakefile reads: options by cell and step, word by word, size and time of the files that they name, and
    what jobs ask of a cluster.

    Parameters
    ----------
    settings, cells, jobs, subjects
    scans : str
        Changes when a scan does. Their paths stay out of it: they may hold people's names.
    """
    options: dict[str, dict[str, list[str]]] = {}
    files: dict[str, dict[str, list[int]]] = {}
    data = {cell.name: cell.data for cell in cells}
    for job in jobs:
        options.setdefault(job.cell, {})[job.step] = list(job.options)
        facts = [path.stat() for path in settings.files(job.step, data.get(job.cell, ""))]
        files.setdefault(job.cell, {})[job.step] = [n for fact in facts for n in (fact.st_size, fact.st_mtime_ns)]
    return {
        "version": __version__,
        "settings": settings.as_dict(),
        "subjects": list(subjects),
        "scans": scans,
        "options": options,
        "files": files,
        "made by": {
            detector.command: [cell.name for cell in cells if cell.detector is detector]
            for detector in DETECTORS.values()
        },
        "finders": {command: DETECTORS[method].learns for command, method in finders().items()},
        "found by": {cell.name: cell.detector.finds for cell in cells},
        "revisions": {step: revision for step in {job.step for job in jobs} if (revision := _revision(step)) > 1},
        "cluster": {job.step: settings.job(job.step) for job in jobs},
    }


def _revision(step: str) -> int:
    return int(
        importlib.import_module(f"cmb_toolkit.steps.{'find' if step in finders() else step.replace('-', '_')}").REVISION
    )
