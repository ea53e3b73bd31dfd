"""``cmbtk experiment``: plan, run, status, report."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from ..detectors import finders
from ..errors import CmbError
from ..names import FOLD
from .options import Name, Place
from .progress import progress
from .quoting import quoted

if TYPE_CHECKING:
    from ..workflow.experiment import Experiment, Plan, State
    from ..workflow.jobs import Job

_TABLES = tuple(f"table-{n}" for n in range(2, 10))
_SHORT = {
    "prepare-yolo": "prepare",
    "stage1-train": "train-1",
    "stage1-detect": "detect",
    **{command: f"{command:<6}" for command in finders()},
    "stage2-crop": "crop  ",
    "stage2-train": "train-2",
    "stage2-classify": "classify",
    "evaluate": "evaluate",
}
"""Heads of the columns of `status`."""

_STUDY = click.argument("study", type=Place(file_okay=False))
_SETTINGS = click.option(
    "--settings",
    metavar="paper|released|demo|FILE",
    help="Settings: the paper's, those of the files that its authors released, those of the demonstration on simulated "
    "scans, or a TOML file of your own.  [default: those of the last run in this study, else paper]",
)
_ONLY = click.option(
    "--only",
    type=click.Choice(_TABLES),
    multiple=True,
    help="Only the cells of this table of the paper; may be repeated.  [default: all tables]",
)
_FOLD = click.option(
    "--fold",
    "folds",
    type=Name(FOLD),
    multiple=True,
    help="Only the cells of this fold; may be repeated.  [default: all folds]",
)


@click.group(name="experiment")
def command() -> None:
    """Do the paper's whole experiment on a study: five folds of both resolutions and both stages (Tables 4 to 7), the
    five inputs (Table 2), one detector for both resolutions (Table 3), one scanner against the other (Table 8), and
    candidates by radial symmetry (Table 9).

    Each step of each cell is one cmbtk command; Snakemake (the extra "workflow" of the installation) runs them on this
    machine or through SLURM. Whatever happens, run the same command again: what is done stays done.

    \b
    Example:
      cmbtk experiment plan study --settings paper
      cmbtk experiment run study --settings paper
      cmbtk experiment status study
      cmbtk experiment report study
    """


@command.command("plan", short_help="Say what would be run, and how long it would take.")
@_STUDY
@_SETTINGS
@_ONLY
@_FOLD
@click.option("-j", "--jobs", type=click.IntRange(1), help="Jobs at once, for the time.  [default: all processors]")
@click.option("--gpus", type=click.IntRange(0), help="Jobs at once that use a GPU.  [default: all there are]")
@click.option("--why", is_flag=True, help="List every job that would be run, with the reason.")
def _plan(
    *,
    study: Path,
    settings: str | None,
    only: tuple[str, ...],
    folds: tuple[str, ...],
    jobs: int | None,
    gpus: int | None,
    why: bool,
) -> None:
    """Say what `cmbtk experiment run` would do in STUDY: how many jobs of each step, how many of them are done, and how
    long the rest is expected to take. Times are those of jobs that were done here, else what the settings state.
    Nothing is changed.

    \b
    Example:
      cmbtk experiment plan study --settings paper --only table-4
    """
    from ..machine import in_words
    from ..workflow.experiment import place_for, plan, read_experiment
    from ..workflow.times import total

    experiment = read_experiment(study, settings)
    place = place_for("local", jobs, gpus)
    plans = plan(experiment, tables=_numbers(only), folds=folds)
    _show_plan(plans)
    if why:
        for job, reason in plans.todo.items():
            click.echo(f"  {job.cell} {job.step}: {reason if len(reason) < 100 else f'{reason[:100]} ...'}")
    if plans.todo:
        at_once = f"{place.jobs} at once" + (f", {place.gpus} on a GPU" if place.gpus else "")
        click.echo(f"Time: {in_words(total(plans.seconds, place.jobs, place.gpus))}, {at_once}.")
        chosen = [*(f" --only {quoted(name)}" for name in only), *(f" --fold {name}" for name in folds)]
        click.echo(
            f"Next: cmbtk experiment run {quoted(study)}"
            f"{f' --settings {quoted(settings)}' if settings else ''}{''.join(chosen)}"
        )


@command.command("run", short_help="Do what is left to do.")
@_STUDY
@_SETTINGS
@_ONLY
@_FOLD
@click.option(
    "--executor",
    type=click.Choice(["local", "slurm"]),
    default="local",
    show_default=True,
    help="Run jobs on this machine, or hand them to SLURM.",
)
@click.option("-j", "--jobs", type=click.IntRange(1), help="Jobs at once.  [default: all processors; in a queue 50]")
@click.option(
    "--gpus",
    type=click.IntRange(0),
    help="Jobs at once that use a GPU; 0 trains on processors.  [default: all there are]",
)
def _run(
    *,
    study: Path,
    settings: str | None,
    only: tuple[str, ...],
    folds: tuple[str, ...],
    executor: Literal["local", "slurm"],
    jobs: int | None,
    gpus: int | None,
) -> None:
    """Do all of the experiment in STUDY that is not done: preprocess, split, and every step of every cell.

    One line is printed for each finished job. A job that fails is reported in two lines, with its log, and stops only
    what needs it. Interrupted or killed, the same command goes on. Changed settings have done again exactly what they
    touch. The settings in force are kept in STUDY/experiment.json, what the commands print in STUDY/logs.

    \b
    Example:
      cmbtk experiment run study --settings paper
      cmbtk experiment run study --only table-4 --only table-5 --fold 1
      cmbtk experiment run study --settings paper --executor slurm --jobs 20
    """
    from ..machine import in_words
    from ..workflow.experiment import place_for, read_experiment, run

    experiment = read_experiment(study, settings)
    begun = time.monotonic()
    since: dict[Any, float] = {}
    todo = 0

    def started(plans: Plan) -> None:
        nonlocal todo
        todo = len(plans.todo)
        _show_plan(plans)

    def told(kind: str, job: Job, done: int, left: float | None) -> None:
        now = time.monotonic()
        if kind == "started":
            since[job] = now
        elif kind == "finished":
            rest = f"; {in_words(left)} left" if left else ""
            click.echo(
                f"[{done:{len(str(todo))}}/{todo}] {_clock(now - begun)}  {job.cell} {job.step} "
                f"({in_words(now - since[job])}){rest}"
            )
        else:
            from ..workflow.experiment import last_words

            click.echo(
                f"FAILED  {job.cell} {job.step}, see {study / job.log}\n        {last_words(study / job.log)}", err=True
            )

    outcome = run(
        experiment,
        place_for(executor, jobs, gpus),
        tables=_numbers(only),
        folds=folds,
        on_start=started,
        on_event=told,
    )
    if outcome.failed:
        raise CmbError(
            f"{len(outcome.failed)} of {todo} jobs failed, {outcome.waiting} need one of them and were not begun; "
            f"{outcome.done} were done. When the cause is removed, run the same command again."
        )
    if not todo:
        click.echo("Everything is done.")
    click.echo(f"Next: cmbtk experiment report {quoted(study)}")


@command.command("status", short_help="Show how far every cell is.")
@_STUDY
@_SETTINGS
def _status(study: Path, settings: str | None) -> None:
    """Show how far the experiment in STUDY is, while it runs or when it does not: a line for each cell, and for each of
    its steps whether it is done, runs, has failed or is still to do.

    \b
    Example:
      cmbtk experiment status study
    """
    from ..machine import in_words
    from ..workflow.experiment import read_experiment, status

    experiment = read_experiment(study, settings)
    state = status(experiment)
    steps = [step for step in _SHORT if any(job.step == step for job in experiment.jobs)]
    tables = {cell.name: ",".join(map(str, cell.tables)) for cell in experiment.cells}
    width = max(map(len, tables))
    head = "  ".join(_SHORT[step] for step in steps)
    click.echo(f"{'cell':<{width}}  {'tables':<11}  {head}")
    for name, numbers in tables.items():
        marks = []
        for step in steps:
            job = experiment.by_name.get((step, name))
            marks.append("" if job is None else _mark(job, state))
        row = "  ".join(f"{mark:<{len(_SHORT[step])}}" for step, mark in zip(steps, marks, strict=True))
        click.echo(f"{name:<{width}}  {numbers:<11}  {row}".rstrip())
    for job in experiment.jobs:
        if job.cell not in tables:
            click.echo(f"{job.step} of the study: {_mark(job, state)}")
    for job, text in state.failed.items():
        click.echo(f"FAILED  {job.cell} {job.step}, see {study / job.log}\n        {text}")
    for job, when in state.running.items():
        click.echo(f"Running {job.cell} {job.step}, for {in_words(time.time() - when)}")
    count, rest = len(experiment.jobs), len(state.plan.todo)
    click.echo(f"{count - rest} of {count} jobs are done. {'A run is under way.' if state.alive else 'Nothing runs.'}")


def _mark(job: Job, state: State) -> str:
    if job in state.running:
        return "runs"
    if job in state.failed:
        return "FAILED"
    return "-" if job in state.plan.todo else "done"


@command.command("report", short_help="Make the paper's tables from what is there.")
@_STUDY
@_SETTINGS
def _report(study: Path, settings: str | None) -> None:
    """Make the report of the experiment in STUDY from the cells that are evaluated: the paper's tables and figures with
    this study's numbers beside the printed ones, and what is missing.

    \b
    Example:
      cmbtk experiment report study
    """
    from ..paper.report import report_by
    from ..workflow.experiment import read_experiment

    experiment: Experiment = read_experiment(study, settings)
    with progress("report") as on_progress:
        path = report_by(experiment.settings, study, on_progress=on_progress)
    click.echo(f"Report: {path}")


def _numbers(only: tuple[str, ...]) -> list[int]:
    return [int(name.removeprefix("table-")) for name in only]


def _show_plan(plans: Plan) -> None:
    for note in plans.experiment.notes:
        click.echo(f"Note: {note}")
    cells = {job.cell for job in plans.asked} - {"study"}
    width = max(len(job.step) for job in plans.asked)
    click.echo(f"{len(cells)} cells, {len(plans.asked)} jobs, {len(plans.todo)} to do:")
    for step in dict.fromkeys(job.step for job in plans.asked):
        of_step = [job for job in plans.asked if job.step == step]
        todo = sum(job in plans.todo for job in of_step)
        click.echo(f"  {step:<{width}}  {len(of_step):3} jobs, {len(of_step) - todo:3} done, {todo:3} to do")


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(seconds)) if seconds < 86400 else f"{seconds / 3600:.1f} h"
