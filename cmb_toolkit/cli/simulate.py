"""`cmbtk simulate`."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import UsageError
from .options import JOBS
from .progress import progress
from .quoting import quoted


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option(
    "--resolution",
    type=click.Choice(["HR", "LR", "slab", "slab-lr", "tiny"]),
    help="Protocol: the paper's HR (0.5x0.5x2 mm, TE 20 ms, 448x512x72) and LR (0.8x0.8x2 mm, TE 13.7 ms, "
    "252x288x72), about 15 s a subject; slab: 14 slices of HR through the deep nuclei, about 4 s; tiny: 1.8x1.8x3 mm, "
    "112x128x24, about 1 s, for trying the commands.  [default: slab; of a cohort all that it has]",
)
@click.option(
    "--cohort",
    type=click.Choice(["paper", "demo"]),
    help="Exactly as many subjects and microbleeds as the paper had: HR 72 patients with 188 and 14 controls, LR 107 "
    "with 572 and 8; about half an hour on 2 processors. demo: 12 slab and 12 slab-lr subjects, for the whole "
    "experiment. In place of --subjects, --healthy, --scanners and --microbleeds.",
)
@click.option("--subjects", type=int, default=24, show_default=True, help="Subjects in all.")
@click.option(
    "--healthy", type=int, default=0, show_default=True, help="How many of them are controls without microbleeds."
)
@click.option("--scanners", type=int, default=2, show_default=True, help="Simulated scanners (1 or 2), in turn.")
@click.option("--seed", type=int, default=0, show_default=True, help="Equal seeds give equal studies.")
@click.option(
    "--microbleeds", type=float, default=4.0, show_default=True, help="Mean number of microbleeds per patient."
)
@click.option(
    "--difficulty",
    type=click.Choice(["easy", "paper", "hard"]),
    default="paper",
    show_default=True,
    help="Vein density, noise, size and least visibility of the microbleeds.",
)
@click.option(
    "--white-matter-lesions",
    type=float,
    default=0.0,
    show_default=True,
    help="White matter lesions of small vessel disease in every subject [ml].",
)
@click.option(
    "--motion",
    type=float,
    default=0.0,
    show_default=True,
    help="How far the head moves while it is scanned, root mean square [mm]; 1 shows clear ghosts.",
)
@click.option(
    "--oblique",
    type=float,
    default=0.0,
    show_default=True,
    help="Turn the slices about the left-right axis, out of the plane across the main field [degrees].",
)
@click.option(
    "--anatomy",
    type=click.Choice(["procedural", "mni"]),
    default="procedural",
    show_default=True,
    help="procedural: every head is drawn. mni: the MNI152 template, warped (needs the extra mni: nilearn).",
)
@JOBS
@click.pass_context
def command(
    ctx: click.Context,
    study: Path,
    *,
    resolution: str | None,
    cohort: str | None,
    subjects: int,
    healthy: int,
    scanners: int,
    seed: int,
    microbleeds: float,
    difficulty: str,
    white_matter_lesions: float,
    motion: float,
    oblique: float,
    anatomy: str,
    jobs: int | None,
) -> None:
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
    if cohort and given:
        raise UsageError(f"--cohort {cohort} has its own numbers: leave out --{' and --'.join(given)}.")
    from ..simulation.scan import Variant
    from ..steps.simulate import simulate
    from ..study.cohort import read_microbleeds, read_participants
    from ..study.layout import Study

    with progress("simulate") as on_progress:
        simulate(
            study,
            resolution=resolution,
            cohort=cohort,
            subjects=subjects,
            healthy=healthy,
            scanners=scanners,
            seed=seed,
            microbleeds=microbleeds,
            difficulty=difficulty,
            variant=Variant(anatomy, oblique, motion, white_matter_lesions),
            jobs=jobs,
            on_progress=on_progress,
        )
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
