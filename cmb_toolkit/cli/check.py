"""``cmbtk check``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from ..imaging.recipe import Reading
from ..names import visible
from ..recipe import declared
from ..wording import counted, plural
from .options import JOBS, Place
from .preprocess import what_follows
from .progress import progress
from .quoting import quoted
from .recipes import recipe_options

if TYPE_CHECKING:
    from ..steps.check import Problem, Report

_WIDTH = 80
_FIRST_OUT = ("axes", "dark", "phase", "mm")
"""Columns that are left out, in this order, where the table would be wider."""
_NUMBERS = ("marks", "dark", "err", "warn")
_GAP = 2


@click.command()
@click.argument("study", required=False, type=Place())
@click.option("--magnitude", type=Place(), help="One scan without a study: its magnitude.")
@click.option("--phase", type=Place(), help="One scan without a study: its phase.")
@click.option("--swi", type=Place(), help="One scan: its SWI, if there is one.")
@click.option("--mask", type=Place(), help="One scan: its brain mask, if there is one.")
@recipe_options(Reading)
@click.option(
    "--pictures",
    type=Place(),
    is_flag=False,
    flag_value="",
    metavar="[FILE.png]",
    help="Draw every mark on its slice, for a look by eye: into FILE.png, or without a name (behind STUDY) into the "
    "study's figures/marks.png.",
)
@click.option("--wide", is_flag=True, help="Show all columns of the table, however wide it becomes.")
@JOBS
@click.pass_context
def command(
    ctx: click.Context, /, *, study: Path | None, pictures: Path | None, wide: bool, jobs: int, **asked: Any
) -> None:
    """Look at a STUDY, or at one scan, and say what is wrong before it costs anything.

    Every file is read: is it whole, three-dimensional, on one grid with its companions, in a known unit of phase? The
    tables are held against each other and the volumes: marks outside their volume or mask, marks of nobody, marks or
    subjects that stand twice, one scan under two names, subjects in two sets of a fold, voxel sizes that differ within
    a resolution. Marks that lie on dark spots no more than random ones, or would if they counted otherwise than was
    said, are named with how sure that is; --pictures shows them.

    Prints a line per subject, in 80 columns unless --wide asks for all, and every problem with what to do about it.
    Nothing is guessed, and nothing is written but the pictures.
    The exit code is 5 where there are errors, 3 where they are all missing files, and 0 where there are only warnings.

    \b
    Examples:
      cmbtk check study
      cmbtk check study --pictures marks.png
      cmbtk check --magnitude mag.nii.gz --phase phase.nii.gz --echo 2 --phase-range 4096
    """
    from ..steps.check import check_scan, check_study
    from ..study.scan import Scan

    one = {role: asked.pop(role) for role in ("phase", "magnitude", "swi", "mask")}
    if (study is None) == all(path is None for path in one.values()):
        raise UsageError("give either a STUDY, or the files of one scan with --magnitude and --phase.")
    if pictures is not None and study is None:
        raise UsageError("--pictures shows the marks of a study; give the STUDY before it.")
    if study is not None:
        pictures = _pictures(study, pictures)
        with progress("check") as on_progress:
            report = check_study(study, Reading(**asked), pictures=pictures, jobs=jobs, on_progress=on_progress)
    else:
        if one["phase"] is None or (one["magnitude"] is None and one["swi"] is None):
            raise UsageError("one scan needs --phase, and --magnitude or --swi.")
        scan = Scan("scan", **one)
        with progress("check") as on_progress:
            report = check_scan(scan, Reading(**asked), on_progress=on_progress)
    _show(report, wide=wide)
    if report.drawn is not None:
        click.echo(f"{pictures}: {report.drawn} marks." if report.drawn else "No pictures: there is no mark to draw.")
    if study is not None and not report.errors:
        given = {name: asked[each.field] for name, each in declared(Reading).items()}
        same = "".join(f" --{name} {quoted(value)}" for name, value in given.items() if value is not None)
        clean = not same and _is_clean(study, report)
        click.echo(what_follows(study) if clean else f"Next: cmbtk preprocess {quoted(study)}{same}")
    ctx.exit(report.exit_code)


def _is_clean(study: Path, report: Report) -> bool:
    """Whether every scan of a study was preprocessed."""
    from ..study.layout import Study

    assert report.participants is not None
    opened = Study.open(study)
    return all(opened.mask(subject).is_file() for subject in report.participants["participant_id"])


def _pictures(study: Path, given: Path | None) -> Path | None:
    """Where the pictures go: the file that was named, or the study's own place for it."""
    from ..study.layout import Study

    if given is None or given.suffix.lower() == ".png":
        return given
    if str(given) != ".":
        raise UsageError(f"--pictures {given}: expected a name that ends in .png, or none, behind STUDY.")
    return Study.open(study).mark_pictures


def _lines(problems: Sequence[Problem]) -> list[str]:
    """What is said of several subjects in the same words in one line."""
    from ..checks.problem import some

    alike: dict[str, list[Problem]] = {}
    for problem in problems:
        alike.setdefault(problem.message.removeprefix(f"{problem.subject}: "), []).append(problem)
    return [
        f"{some([problem.subject for problem in found])}: {said}" if len(found) > 1 else found[0].message
        for said, found in alike.items()
    ]


def _fitting(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[str]:
    """The columns without those that a table of this width has no room for."""
    kept = list(columns)
    for name in _FIRST_OUT:
        if name in kept and _width(rows, kept) > _WIDTH:
            kept.remove(name)
    return kept


def _width(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> int:
    return sum(max(len(name), *(len(str(row[name])) for row in rows)) + _GAP for name in columns)


def _show(report: Report, *, wide: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    from ..steps.check import facts_table

    rows = facts_table(report)
    table = Table(box=None, padding=(0, _GAP, 0, 0))
    every = [name for name in rows[0] if any(row[name] != "" for row in rows)]
    columns = every if wide else _fitting(rows, every)
    for name in columns:
        table.add_column(name, overflow="fold", justify="right" if name in _NUMBERS else "left")
    for row in rows:
        colour = "red" if row["err"] else "yellow" if row["warn"] else None
        table.add_row(*(str(row[name]) for name in columns), style=colour)
    console = Console(markup=False, highlight=False)
    width = _width(rows, columns) if wide else min(console.width, _WIDTH)
    Console(markup=False, highlight=False, width=width).print(table)
    if hidden := [name for name in every if name not in columns]:
        click.echo(f"Not shown, for want of room: {', '.join(hidden)} (--wide)")
    for severity, title in (("error", "Errors"), ("warning", "Warnings")):
        found = [problem for problem in report.problems if problem.severity == severity]
        if found:
            click.secho(f"\n{title}:", bold=True, fg="red" if severity == "error" else "yellow")
        for line in _lines(found):
            click.echo(f"- {visible(line)}")
    errors, warnings = len(report.errors), len(report.problems) - len(report.errors)
    click.echo(
        f"\n{counted(len(rows), 'scan')}: {errors or 'no'} {plural(errors, 'error')}, "
        f"{warnings or 'no'} {plural(warnings, 'warning')}."
    )
