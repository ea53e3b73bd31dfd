"""``cmbtk preprocess``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from ..errors import Problems
from .options import ECHO, JOBS, PHASE_RANGE, PHASE_VOLUME
from .progress import progress

if TYPE_CHECKING:
    from ..steps.preprocess import PreprocessSummary
    from ..study.scan import Settings

Command: TypeAlias = Callable[..., None]


def scan_options(function: Command) -> Command:
    """How scans are preprocessed: the options that `cmbtk preprocess` and `cmbtk swi` share."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


_OPTIONS = (
    click.option(
        "--phase-sign",
        type=click.Choice(["+1", "-1", "auto"]),
        default="+1",
        show_default=True,
        help="+1 if the phase is paramagnetic positive (veins bright), -1 if veins are dark; auto asks veins and "
        "sinuses of each scan. In a study, for those whose column phase_sign is n/a.",
    ),
    PHASE_RANGE,
    click.option(
        "--phase-is-filtered",
        is_flag=True,
        help="The phase is unwrapped and high-passed already, as a scanner's SWI phase images are.",
    ),
    click.option(
        "--fix-ge-phase",
        is_flag=True,
        help="Undo jumps of pi from every slice to the next, in scans that have them (some GE reconstructions).",
    ),
    ECHO,
    PHASE_VOLUME,
    click.option(
        "--unwrap",
        type=click.Choice(["path", "laplacian"]),
        default="path",
        show_default=True,
        help="Exact unwrapping along a path, or the smoother Laplacian one (dipoles a third weaker).",
    ),
    click.option(
        "--highpass",
        type=click.Choice(["gaussian", "homodyne"]),
        default="gaussian",
        show_default=True,
        help="Gaussian of 2.5 mm after unwrapping, or the homodyne filter of 0.25 cycles/mm without.",
    ),
    click.option(
        "--brain-mask",
        type=click.Choice(["own", "fsl", "none"]),
        default="own",
        show_default=True,
        help="What finds the brain where no mask is given: the toolkit's own BET; FSL's bet, if it is installed; or "
        "none, which takes all voxels with signal (crops, volumes without a skull).",
    ),
    click.option(
        "--bet-fraction",
        type=float,
        default=0.5,
        show_default=True,
        metavar="F",
        help="Intensity threshold of either BET, 0 to 1: smaller gives a larger brain.",
    ),
    click.option(
        "--bet-gradient",
        type=float,
        default=0.0,
        show_default=True,
        metavar="G",
        help="Added to it from the head's lower end (-) to its upper (+), -1 to 1: positive, a larger brain below.",
    ),
    click.option(
        "--swi-power",
        type=click.IntRange(1, 100),
        default=4,
        show_default=True,
        metavar="N",
        help="How many times the phase mask multiplies the magnitude.",
    ),
    click.option(
        "--swi-polarity",
        type=click.Choice(["paramagnetic", "diamagnetic"]),
        default="paramagnetic",
        show_default=True,
        help="What the SWI darkens: blood, or calcification.",
    ),
    click.option(
        "--swi-scaling",
        type=click.Choice(["pi", "extreme"]),
        default="pi",
        show_default=True,
        help="Phase at which the phase mask reaches 0: pi, or the scan's own 99.9th percentile.",
    ),
    click.option(
        "--minip-slices",
        type=click.IntRange(1, 1000),
        default=5,
        show_default=True,
        metavar="N",
        help="Slices in one minimum-intensity projection.",
    ),
    click.option(
        "--output-type",
        type=click.Choice(["float32", "int16"]),
        default="float32",
        show_default=True,
        help="As what volumes are stored; int16 is about half as large, and exact within 1/65534 of the largest value.",
    ),
    click.option("--save-steps", is_flag=True, help="Write the phase in radians, unwrapped, and the phase mask, too."),
)


@click.command("preprocess")
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--subject", "subjects", multiple=True, metavar="ID", help="Only this subject; may be given again.")
@scan_options
@JOBS
def command(*, study: Path, subjects: tuple[str, ...], jobs: int, **options: Any) -> None:
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
            study, settings_from(options), subjects=subjects, jobs=jobs, on_progress=on_progress, problems=problems
        )
    if summary.scans:
        show(summary, f"{study}/sub-*/")
    problems.raise_if_any()


def settings_from(options: dict[str, Any]) -> Settings:
    """The settings that :func:`scan_options` ask for."""
    from ..study.scan import Settings

    sign = {"+1": 1, "-1": -1}.get(options.pop("phase_sign"), "auto")
    return Settings(**options, phase_sign=sign)  # type: ignore[arg-type]


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
    click.echo(f"{count} scan{'s' * (count != 1)}: {summary.made} preprocessed, {summary.unchanged} unchanged.")
    click.echo(f"Brain mask {_span(volumes)} ml; phase in {'; '.join(units)}.")
    assumed = sum(report.sign_assumed for report in summary.scans)
    if assumed:
        click.echo(f"The sign of the phase was assumed for {assumed} of them; --phase-sign auto looks for it.")
    click.echo(f"Magnitude, phase, SWI, minIP and mask are in {where}")


def _span(values: list[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:.0f}" if round(low) == round(high) else f"{low:.0f} to {high:.0f}"
