"""``cmbtk preprocess``."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import UsageError
from .progress import progress


class PhaseRange(click.ParamType[str | float]):
    """``radians`` or a number."""

    name = "SPAN"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str | float:
        if str(value) == "radians":
            return "radians"
        try:
            return float(str(value))
        except ValueError:
            self.fail(f"{value!r} is neither a number nor `radians`", param, ctx)


@click.command("preprocess")
@click.argument("study", required=False, type=click.Path(path_type=Path))
@click.option("--subject", "subjects", multiple=True, metavar="ID", help="Only this subject; may be given again.")
@click.option("--magnitude", type=click.Path(path_type=Path), help="One scan without a study: its magnitude.")
@click.option("--phase", type=click.Path(path_type=Path), help="One scan without a study: its phase.")
@click.option("--mask", type=click.Path(path_type=Path), help="One scan: its brain mask; else it is found (BET).")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="One scan: the folder to write.")
@click.option(
    "--phase-sign",
    type=click.Choice(["+1", "-1", "auto"]),
    default="+1",
    show_default=True,
    help="+1 if the phase is paramagnetic positive (veins bright), -1 if veins are dark; auto asks the veins of each "
    "scan. In a study, for those whose column phase_sign is n/a.",
)
@click.option(
    "--phase-range",
    type=PhaseRange(),
    help="File units that one full cycle of phase spans (for example 4096), or `radians`.  [default: the column "
    "phase_range, or recognised from the values]",
)
@click.option(
    "--phase-is-filtered",
    is_flag=True,
    help="The phase is unwrapped and high-passed already, as a scanner's SWI phase images are.",
)
@click.option("--echo", type=click.IntRange(min=1), metavar="N", help="Which echo of 4-D files, counted from 1.")
@click.option(
    "--unwrap",
    type=click.Choice(["path", "laplacian"]),
    default="path",
    show_default=True,
    help="Exact unwrapping along a path, or the smoother Laplacian one (dipoles a third weaker).",
)
@click.option(
    "--highpass",
    type=click.Choice(["gaussian", "homodyne"]),
    default="gaussian",
    show_default=True,
    help="Gaussian of 2.5 mm after unwrapping, or the homodyne filter of 0.25 cycles/mm without.",
)
@click.option(
    "--bet/--no-bet",
    default=True,
    show_default=True,
    help="Find the brain; --no-bet takes all voxels with signal (crops, volumes without a skull).",
)
@click.option(
    "--bet-fraction",
    type=float,
    default=0.5,
    show_default=True,
    metavar="F",
    help="Intensity threshold of the brain mask, 0 to 1: smaller gives a larger brain.",
)
@click.option(
    "--bet-gradient",
    type=float,
    default=0.0,
    show_default=True,
    metavar="G",
    help="Added to it from the head's lower (-) to its upper end (+), -1 to 1: positive gives a larger brain below.",
)
@click.option(
    "--swi-power",
    type=int,
    default=4,
    show_default=True,
    metavar="N",
    help="How many times the phase mask multiplies the magnitude.",
)
@click.option(
    "--swi-polarity",
    type=click.Choice(["paramagnetic", "diamagnetic"]),
    default="paramagnetic",
    show_default=True,
    help="What the SWI darkens: blood, or calcification.",
)
@click.option(
    "--swi-scaling",
    type=click.Choice(["pi", "extreme"]),
    default="pi",
    show_default=True,
    help="Phase at which the phase mask reaches 0: pi, or the scan's own 99.9th percentile.",
)
@click.option(
    "--minip-slices",
    type=int,
    default=5,
    show_default=True,
    metavar="N",
    help="Slices in one minimum-intensity projection.",
)
@click.option("--save-steps", is_flag=True, help="Write the phase in radians, unwrapped, and the phase mask as well.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), default=2, show_default=True, help="Subjects at a time.")
def command(
    *,
    study: Path | None,
    subjects: tuple[str, ...],
    magnitude: Path | None,
    phase: Path | None,
    mask: Path | None,
    out: Path | None,
    phase_sign: str,
    phase_range: str | float | None,
    phase_is_filtered: bool,
    echo: int | None,
    unwrap: str,
    highpass: str,
    bet: bool,
    bet_fraction: float,
    bet_gradient: float,
    swi_power: int,
    swi_polarity: str,
    swi_scaling: str,
    minip_slices: int,
    save_steps: bool,
    jobs: int,
) -> None:
    """Make brain mask, high-passed phase and SWI from magnitude and phase.

    For every subject of STUDY, or for one scan given by --magnitude and --phase. The phase is brought to radians,
    paramagnetic positive, unwrapped and high-passed inside the brain; the SWI is the magnitude times a mask that
    darkens positive phase. Files are written on the scan's own grid as float32 .nii.gz, with 0 outside the brain.
    Subjects that are done already are left alone.

    The unit of the phase is recognised where its values fill a known range and never guessed. A sign that was given and
    that the veins contradict is reported and never flipped; --phase-sign auto takes the one that they show, and says on
    what evidence.

    \b
    Examples:
      cmbtk preprocess demo --jobs 2
      cmbtk preprocess --magnitude mag.nii.gz --phase pha.nii.gz --echo 3 --phase-sign -1 -o cleaned
    """
    from ..steps import preprocess as step

    settings = step.Settings(
        unwrap="laplacian" if unwrap == "laplacian" else "path",
        highpass="homodyne" if highpass == "homodyne" else "gaussian",
        bet=bet,
        bet_fraction=bet_fraction,
        bet_gradient=bet_gradient,
        swi_power=swi_power,
        swi_polarity="diamagnetic" if swi_polarity == "diamagnetic" else "paramagnetic",
        swi_scaling="extreme" if swi_scaling == "extreme" else "pi",
        minip_slices=minip_slices,
        echo=echo,
        phase_range=phase_range,
        phase_is_filtered=phase_is_filtered,
        phase_sign={"+1": 1, "-1": -1}.get(phase_sign, "auto"),  # type: ignore[arg-type]
        save_steps=save_steps,
    )
    single = {"--magnitude": magnitude, "--phase": phase, "--mask": mask, "-o": out}
    if study is not None:
        surplus = [name for name, value in single.items() if value is not None]
        if surplus:
            raise UsageError(
                f"{surplus[0]} is for one scan without a study. In a study, files are columns of participants.tsv."
            )
        with progress("Preprocessing") as on_progress:
            summary = step.preprocess(study, settings, subjects=subjects, jobs=jobs, on_progress=on_progress)
        where = f"{study}/sub-*/"
    else:
        if magnitude is None or phase is None or out is None or subjects:
            raise UsageError("give a STUDY, or one scan with --magnitude, --phase and -o OUT. See --help.")
        scan = step.Scan(
            magnitude.name.removesuffix(".gz").removesuffix(".nii"),
            phase,
            magnitude,
            mask=mask,
        )
        with progress("Preprocessing") as on_progress:
            summary = step.preprocess_scan(scan, out, settings, on_progress=on_progress)
        where = f"{out}/"

    for report in summary.scans:
        if "veins" in report.phase_sign:
            click.echo(f"{report.name}: phase sign {report.phase_sign}")
        for warning in report.warnings:
            click.echo(f"Warning: {report.name}: {warning}", err=True)
    volumes = [report.brain_ml for report in summary.scans]
    units = sorted({report.phase_unit for report in summary.scans})
    count = len(summary.scans)
    click.echo(f"{count} scan{'s' * (count != 1)}: {summary.made} preprocessed, {summary.unchanged} unchanged.")
    click.echo(f"Brain mask {_span(volumes)} ml; phase in {'; '.join(units)}.")
    click.echo(f"Magnitude, phase, SWI, minIP and mask are in {where}")


def _span(values: list[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:.0f}" if round(low) == round(high) else f"{low:.0f} to {high:.0f}"
