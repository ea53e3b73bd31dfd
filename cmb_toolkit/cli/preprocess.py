"""``cmbtk preprocess``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import Problems
from ..imaging.recipe import Preprocessing
from ..wording import counted
from .options import JOBS, Place
from .progress import progress
from .quoting import quoted
from .recipes import recipe_options

if TYPE_CHECKING:
    from ..steps.preprocess import PreprocessSummary


@click.command("preprocess")
@click.argument("study", type=Place())
@click.option("--subject", "subjects", multiple=True, metavar="ID", help="Only this subject; may be given again.")
@recipe_options(Preprocessing)
@JOBS
def command(*, study: Path, subjects: tuple[str, ...], jobs: int, **asked: Any) -> None:
    """Make brain mask, high-passed phase and SWI from magnitude and phase, for every subject of STUDY.

    The phase is brought to radians, paramagnetic positive, unwrapped and high-passed inside the brain; the SWI is the
    magnitude times a mask that darkens positive phase. Files are written on the scan's own grid as .nii.gz, with 0
    outside the brain. Subjects that are done already are left alone; one that cannot be done does not stop the others
    and is named at the end. For one scan without a study see `cmbtk swi`.

    The unit of the phase is recognised where its values fill a known range and never guessed. A sign that was given and
    that veins or sinuses contradict is reported and never flipped; --phase-sign auto takes the one that they show, and
    says on what evidence.

    \b
    Example:
      cmbtk preprocess demo --jobs 2
    """
    from ..steps import preprocess as step

    problems = Problems()
    with progress("Preprocessing") as on_progress:
        summary = step.preprocess(
            study, Preprocessing(**asked), subjects=subjects, jobs=jobs, on_progress=on_progress, problems=problems
        )
    if summary.scans:
        show(summary, f"{study}/sub-*/")
    problems.raise_if_any()
    click.echo(what_follows(study))


def what_follows(study: Path) -> str:
    """What to do with a study whose scans are clean."""
    return f"Next: cmbtk train {quoted(study)} -o NAME.cmbtk (step by step: cmbtk split {quoted(study)})"


def show(summary: PreprocessSummary, where: str) -> None:
    """Print what was made, with everything that a person should look at."""
    for report in summary.scans:
        if report.sign_seen:
            click.echo(f"{report.name}: phase sign {report.phase_sign}")
        for warning in report.warnings:
            click.echo(f"Warning: {report.name}: {warning}", err=True)
    for warning in summary.warnings:
        click.echo(f"Warning: {warning}", err=True)
    volumes = [report.brain_ml for report in summary.scans]
    units = sorted({report.phase_unit for report in summary.scans})
    count = len(summary.scans)
    click.echo(f"{counted(count, 'scan')}: {summary.made} preprocessed, {summary.unchanged} unchanged.")
    click.echo(f"Brain mask {_span(volumes)} ml; phase in {'; '.join(units)}.")
    assumed = sum(report.sign_assumed for report in summary.scans)
    if assumed:
        click.echo(f"The sign of the phase was assumed for {assumed} of them; --phase-sign auto looks for it.")
    click.echo(f"Magnitude, phase, SWI, minIP and mask are in {where}")


def _span(values: list[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:.0f}" if round(low) == round(high) else f"{low:.0f} to {high:.0f}"
