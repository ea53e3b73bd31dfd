"""`cmbtk experiment`: the paper's whole experiment on a study, planned, run, looked at and reported."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from ..errors import CmbError, DataError, UsageError
from ..io.files import load_json
from ..io.lock import locked
from ..io.publish import edited, read_record, write_text
from ..paper.cells import PlannedCell, is_scanner_fold, list_cells
from ..paper.settings import Settings, load_settings, settings_of
from ..paper.work import work
from ..schema import VOLUMES
from ..study.cohort import read_fold, read_folds, read_participants
from ..study.layout import Study
from ..study.places import located, missing, named_at
from .done import request, undone
from .jobs import STUDY, Job, job_table, list_jobs
from .snakemake import Event, Place, arguments, cancel_queued, end_leftovers, events, need_snakemake
from .snakemake import gpus as found_gpus
from .times import expected, total

__all__ = ["Experiment", "Outcome", "Plan", "State", "place_for", "plan", "read_experiment", "run", "status"]

_LOCK_WAIT_S = 5.0
_WORDS = 300


@dataclass(frozen=True)
class Experiment:
    """A study with settings, and everything that follows from the two.

    Attributes
    ----------
    study : Study
    settings : Settings
    cells : list of PlannedCell
    jobs : list of Job
        In an order in which they could be done.
    table : dict
        What the Snakefile reads, and what is kept as ``experiment.json``.
    notes : list of str
        What the study has no subjects for.
    """

    study: Study
    settings: Settings
    cells: list[PlannedCell]
    jobs: list[Job]
    table: dict[str, Any]
    notes: list[str]

    @cached_property
    def by_name(self) -> dict[tuple[str, str], Job]:
        """Jobs by step and cell."""
        return {(job.step, job.cell): job for job in self.jobs}

    @cached_property
    def amounts(self) -> dict[str, float]:
        """Step -> how much work a job of it is, for the steps where the settings decide it."""
        return work(self.settings.options)

    def expected(self, jobs: Iterable[Job], paces: Mapping[Job, float]) -> dict[Job, float | None]:
        """Seconds that each of these jobs will take, from the `paces` of those that were done."""
        return {job: expected(job, paces, self.amounts, self.settings.seconds) for job in jobs}

    def chosen(self, tables: Sequence[int] = (), folds: Sequence[str] = ()) -> list[Job]:
        """All jobs, or those of the cells of some tables, or folds, or both.

        Raises
        ------
        UsageError
            If there is no cell of such a table or fold.
        """
        for table in tables:
            if not any(table in cell.tables for cell in self.cells):
                raise UsageError(
                    f"table-{table} has no cell in this experiment. Look at the settings' [experiment] tables"
                    f"{'; ' + '; '.join(self.notes) if self.notes else ''}."
                )
        asked = [cell for cell in self.cells if not tables or set(tables) & set(cell.tables)]
        for fold in folds:
            if not any(cell.fold == fold for cell in asked):
                known = ", ".join(dict.fromkeys(cell.fold for cell in asked))
                raise UsageError(f"fold {fold} has no cell among those asked for. Choose from {known}.")
        cells = {cell.name for cell in asked if not folds or cell.fold in folds} | {STUDY}
        return [job for job in self.jobs if job.cell in cells]


@dataclass(frozen=True)
class Plan:
    """What would be run.

    Attributes
    ----------
    experiment : Experiment
    asked : list of Job
        All jobs of the cells that were asked for.
    todo : dict
        Jobs that would be run -> why.
    seconds : dict
        How long each of them is expected to take [s], None where nothing is known.
    """

    experiment: Experiment
    asked: list[Job]
    todo: dict[Job, str]
    seconds: dict[Job, float | None]


@dataclass(frozen=True)
class State:
    """How far an experiment is.

    Attributes
    ----------
    plan : Plan
    alive : bool
        Whether a run is under way.
    running : dict
        Jobs that are being done -> when they began [s since 1970].
    failed : dict
        Jobs that failed in the last run -> the command's last words.
    """

    plan: Plan
    alive: bool
    running: dict[Job, float]
    failed: dict[Job, str]


@dataclass(frozen=True)
class Outcome:
    """What a run did.

    Attributes
    ----------
    done : int
        Jobs done.
    failed : dict
        Jobs that failed -> the command's last words.
    waiting : int
        Jobs that were not begun, because they need one that failed.
    """

    done: int
    failed: dict[Job, str]
    waiting: int


def read_experiment(study: Path, source: str | Path | None = None) -> Experiment:
    """What a study and settings amount to.

    Parameters
    ----------
    study : Path
    source : str or Path, optional
        Name or file of the settings; by default those of the last run here, or else the paper's.

    Raises
    ------
    MissingError, DataError
    """
    opened = Study.open(study)
    settings = _settings(opened, source)
    participants = read_participants(opened)
    made_folds = not opened.folds.is_file() or (
        (read_record(opened.folds) or {}).get("step") == "split" and not edited(opened.folds)
    )
    if made_folds:
        folds = [str(n) for n in range(1, settings.step("split")["folds"] + 1)]
    else:
        names = dict.fromkeys(read_folds(opened)["fold"])
        for name in names:
            read_fold(opened, name)
        folds = [name for name in names if not is_scanner_fold(name)]
    cells, notes = list_cells(settings, participants, folds)
    subjects = participants["participant_id"].tolist()
    jobs = list_jobs(settings, cells, subjects, own_folds=not made_folds)
    table = job_table(settings, cells, jobs, subjects, _fingerprint(opened, participants))
    return Experiment(opened, settings, cells, jobs, table, notes)


def _settings(study: Study, source: str | Path | None) -> Settings:
    if source is not None:
        return load_settings(source)
    if not study.experiment.is_file():
        return load_settings("paper")
    try:
        content = load_json(study.experiment, "")["settings"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{study.experiment}: cannot be read. Name the settings again with --settings.") from error
    return settings_of(content, study.experiment)


def _fingerprint(study: Study, participants: pd.DataFrame) -> str:
    """Of all scans: which, how large and how old they are.

    Raises
    ------
    MissingError
        If one is not there.
    """
    digest = hashlib.sha256()
    columns = [name for name in VOLUMES if name in participants]
    for subject, row in participants[columns].iterrows():
        for role, path in row.dropna().items():
            try:
                facts = located(study, str(path)).stat()
            except OSError as error:
                named = named_at(study, str(subject))
                raise missing(located(study, str(path)), str(role), str(subject), named) from error
            digest.update(f"{subject} {path} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def place_for(executor: Literal["local", "slurm"], jobs: int | None, gpus: int | None) -> Place:
    """Where to run: by default as many jobs at once as there are processors here, or 50 in a queue.

    Parameters
    ----------
    executor : {"local", "slurm"}
    jobs : int, optional
        At once.
    gpus : int, optional
        Jobs at once that use a GPU; by default as many as this machine has, or in a queue all of them.

    Raises
    ------
    UsageError
        If this machine does not have as many.
    """
    if executor == "slurm":
        at_once = jobs or 50
        return Place(executor, at_once, at_once if gpus is None else gpus, 0)
    cores = len(os.sched_getaffinity(0))
    at_once = jobs or cores
    devices = found_gpus()
    if gpus is not None and gpus > max(1, len(devices)):
        raise UsageError(f"--gpus {gpus}: this machine has {len(devices)}.")
    return Place(executor, at_once, len(devices) if gpus is None else gpus, max(1, cores // at_once), devices)


# --- what would be done, and what is ----------------------------------------------------------------------------------


def plan(experiment: Experiment, *, tables: Sequence[int] = (), folds: Sequence[str] = ()) -> Plan:
    """Say what is to be done: all that nobody has done with these settings, neither a run nor somebody by hand.

    Raises
    ------
    UsageError
        If there is no cell of such a table or fold.
    """
    asked = experiment.chosen(tables, folds)
    live = _Live(experiment).read()
    todo = undone(experiment.study, asked, experiment.table, live["done"])
    return Plan(experiment, asked, todo, experiment.expected(todo, live["pace"]))


def _agreed(experiment: Experiment, plans: Plan) -> Plan:
    """The same plan as Snakemake has it, that was told what is done; what is done is remembered.

    Raises
    ------
    CmbError
        If Snakemake finds that something does not fit.
    """
    todo = _would_run(experiment, plans.asked)
    by_hand = [job for job in plans.asked if job in todo and job not in plans.todo]
    if by_hand:
        for job in by_hand:
            mark = experiment.study.root / job.mark
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
        _ask(experiment, by_hand, touch=True)
        todo = _would_run(experiment, plans.asked)
    live = _Live(experiment)
    known = live.read()
    done = known["done"] | {job: request(job, experiment.table) for job in plans.asked if job not in todo}
    live.write(done={job: asked for job, asked in done.items() if job not in todo})
    return Plan(experiment, plans.asked, todo, experiment.expected(todo, known["pace"]))


def _would_run(experiment: Experiment, asked: Sequence[Job]) -> dict[Job, str]:
    """Ask Snakemake what it would run, and why."""
    told = _ask(experiment, asked)
    return {
        experiment.by_name[event.step, event.cell or STUDY]: event.text for event in told if event.kind == "started"
    }


def _ask(experiment: Experiment, asked: Sequence[Job], *, touch: bool = False) -> list[Event]:
    """What Snakemake says of these jobs without running one; or where it is told that they are done."""
    with tempfile.TemporaryDirectory(prefix="cmbtk-") as folder:
        config = Path(folder) / "experiment.json"
        config.write_text(json.dumps(experiment.table), "utf-8")
        only: Literal["touch", "say"] = "touch" if touch else "say"
        argv, added = arguments(experiment.study.root, config, Place(), _files(asked), only=only)
        told = list(events(argv, added, Path(folder) / "said"))
    for event in told:
        if event.kind == "error":
            raise CmbError(f"Snakemake: {event.text}")
    return told


def _files(jobs: Sequence[Job]) -> list[str]:
    return [path for job in jobs for path in job.files]


def status(experiment: Experiment) -> State:
    """What is done, what runs and what failed."""
    note = _Live(experiment).read()
    alive = _is_held(experiment.study.experiment_lock)
    running = note["running"] if alive else {}
    failed = note["failed"]
    plans = plan(experiment)
    return State(plans, alive, running, {job: text for job, text in failed.items() if job in plans.todo})


# --- doing it --------------------------------------------------------------------------------------------------------


def run(
    experiment: Experiment,
    place: Place,
    *,
    tables: Sequence[int] = (),
    folds: Sequence[str] = (),
    on_start: Callable[[Plan], None] = lambda plan: None,
    on_event: Callable[[str, Job, int, float | None], None] = lambda kind, job, done, left: None,
) -> Outcome:
    """Do what is left to do, through Snakemake.

    A job that fails does not stop those that do not need it. Killed at any moment, the same call goes on: finished
    jobs stay, interrupted training goes on at its checkpoint.

    Parameters
    ----------
    experiment : Experiment
    place : Place
    tables : sequence of int
        Only the cells of these tables of the paper.
    folds : sequence of str
        Only the cells of these folds.
    on_start : callable
        Given the plan before anything is run.
    on_event : callable
        ``on_event(kind, job, done, left)`` when a job is ``started``, ``finished`` or ``failed``; with the number of
        jobs done and the expected time left [s], None if unknown.

    Raises
    ------
    MissingError
        If Snakemake, or its plugin for the executor, is not installed.
    UsageError
        If another run is under way in this study.
    CmbError
        If Snakemake itself fails.
    """
    need_snakemake(place.executor)
    study = experiment.study
    with _only_run(study) as hold:
        end_leftovers(study.root)
        if place.executor == "slurm":
            cancel_queued(study.root)
        plans = _agreed(experiment, plan(experiment, tables=tables, folds=folds))
        on_start(plans)
        write_text(study.experiment, json.dumps(experiment.table, indent=1) + "\n")
        live = _Live(experiment)
        live.write(running={}, failed={})
        if not plans.todo:
            return Outcome(0, {}, 0)
        argv, added = arguments(study.root, study.experiment, place, _files(plans.asked))
        said = study.experiment_lock.with_name("snakemake.log")
        try:
            with closing(events(argv, added, said, hold)) as told:
                return _follow(experiment, plans, place, told, live, on_event)
        finally:
            if place.executor == "slurm":
                cancel_queued(study.root)


def _follow(
    experiment: Experiment,
    plans: Plan,
    place: Place,
    told: Iterator[Event],
    live: _Live,
    on_event: Callable[[str, Job, int, float | None], None],
) -> Outcome:
    root = experiment.study.root
    known = live.read()
    paces, known_done = known["pace"], known["done"]
    by_id: dict[int, Job] = {}
    left = dict(plans.seconds)
    running: dict[Job, float] = {}
    before: dict[Job, bytes] = {}
    failed: dict[Job, str] = {}
    done = 0
    trouble = ""
    for event in told:
        if event.kind == "error":
            trouble = event.text
            continue
        if event.kind == "started":
            by_id[event.id] = experiment.by_name[event.step, event.cell or STUDY]
        job = by_id.get(event.id)
        if job is None or (event.kind == "failed" and job in failed):
            continue
        if event.kind == "started":
            running[job], before[job] = time.time(), _records(root, job)
            known_done.pop(job, None)
        else:
            took = time.time() - running.pop(job)
            left.pop(job)
        if event.kind == "finished":
            done += 1
            known_done[job] = request(job, experiment.table)
            if _records(root, job) != before[job]:  # else it had nothing to do
                paces[job] = took / experiment.amounts.get(job.step, 1.0)
            left = experiment.expected(left, paces)
        elif event.kind == "failed":
            failed[job] = last_words(root / job.log)
        live.write(running=running, failed=failed, pace=paces, done=known_done)
        on_event(event.kind, job, done, total(left, place.jobs, place.gpus))
    live.write(running={}, failed=failed)
    if trouble and not failed:
        raise CmbError(f"Snakemake: {trouble}")
    return Outcome(done, failed, len(plans.todo) - done - len(failed))


def _records(study: Path, job: Job) -> bytes:
    paths = [study / record for record in job.records]
    return b"".join(path.read_bytes() for path in paths if path.is_file())


def last_words(log: Path) -> str:
    """What a command said last, on one line: its error, if it said one."""
    try:
        lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    starts = [n for n, line in enumerate(lines) if line.startswith(("Error:", "Usage:"))]
    words = " ".join(lines[starts[-1] :] if starts else lines[-1:])
    if not words:
        return "it said nothing; it was ended from outside, most often because memory or the job's time ran out"
    return words if len(words) <= _WORDS else words[:_WORDS] + " ..."


class _Live:
    """The file in which a run notes what it is doing and how long jobs took, for plans and `status`."""

    def __init__(self, experiment: Experiment) -> None:
        self._path = experiment.study.experiment_lock.with_name("live.json")
        self._jobs = experiment.by_name

    def write(self, **noted: dict[Job, Any]) -> None:
        """Replace what is noted under these of ``running``, ``failed``, ``pace``, ``done``."""
        content = self.read() | noted
        text = {name: [[job.step, job.cell, value] for job, value in jobs.items()] for name, jobs in content.items()}
        write_text(self._path, json.dumps(text) + "\n")

    def read(self) -> dict[str, dict[Job, Any]]:
        """Jobs of the present experiment that are ``running`` (since when), ``failed`` (last words), ``done`` (what was
        asked of them), and at what ``pace`` (seconds per amount of work)."""
        try:
            content = load_json(self._path, "")
            found = {
                name: {self._jobs[step, cell]: value for step, cell, value in rows if (step, cell) in self._jobs}
                for name, rows in content.items()
            }
        except (OSError, ValueError, AttributeError, TypeError):
            found = {}
        return {"running": {}, "failed": {}, "pace": {}, "done": {}} | found


@contextmanager
def _only_run(study: Study) -> Iterator[int]:
    """Hold the study's lock; a run that was killed may take a moment to let go of it."""
    deadline = time.monotonic() + _LOCK_WAIT_S
    while _is_held(study.experiment_lock) and time.monotonic() < deadline:
        time.sleep(0.2)
    with locked(study.experiment_lock, f"the study {study.root}", "run of its experiment") as hold:
        yield hold


def _is_held(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with locked(path, ""):
            return False
    except UsageError:
        return True
