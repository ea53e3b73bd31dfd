"""`cmbtk simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import UsageError
from ..simulation.recipe import Simulating
from .options import JOBS, Place
from .progress import progress
from .quoting import quoted
from .recipes import recipe_options


@click.command()
@click.argument("study", type=Place())
@recipe_options(Simulating)
@JOBS
@click.pass_context
def command(ctx: click.Context, /, study: Path, *, jobs: int | None, **asked: Any) -> None:
    """Make a STUDY of simulated subjects whose microbleeds are known.

    Every subject is a random head in a 3 T spoiled gradient echo: anatomy, veins and arteries, air-tissue interfaces,
    microbleeds and what is mistaken for them (calcifications, mineralised vessels, flow voids, perivascular spaces),
    with the dipole field of all of these, noise, coil phase and wraps. Magnitude and phase are written as NIfTI, as two
    different scanners would, with the truth beside them: participants.tsv, microbleeds.tsv and, per subject, a JSON of
    every number drawn.

    Scores on simulated subjects show that the software works; they say nothing about patients.

    Run again after an interruption, it goes on where it stopped.

    \b
    Example:
      cmbtk simulate demo --resolution slab --subjects 24 --healthy 4 --seed 1
      cmbtk simulate paper --cohort paper --seed 1
    """
    given = [name for name in ("subjects", "healthy", "scanners", "microbleeds") if _was_given(ctx, name)]
    if asked["cohort"] and given:
        raise UsageError(f"--cohort {asked['cohort']} has its own numbers: leave out --{' and --'.join(given)}.")
    from ..steps.simulate import simulate
    from ..study.cohort import read_microbleeds, read_participants
    from ..study.layout import Study

    with progress("simulate") as on_progress:
        simulate(study, Simulating(**asked), jobs=jobs, on_progress=on_progress)
    made = Study.open(study)
    participants, marks = read_participants(made), read_microbleeds(made)
    controls = int((participants["group"] == "control").sum())
    protocols = " and ".join(participants["resolution"].unique())
    click.echo(
        f"{study}: {len(participants)} {protocols} subjects ({controls} healthy) on "
        f"{participants['scanner'].nunique()} scanner(s), {len(marks)} microbleeds, median apparent diameter "
        f"{marks['diameter_mm'].median():.1f} mm.\nNext: cmbtk preprocess {quoted(study)}"
    )


def _was_given(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
