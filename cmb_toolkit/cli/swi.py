"""``cmbtk swi``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import UsageError
from ..imaging.recipe import Preprocessing
from .options import Place
from .preprocess import show
from .progress import progress
from .recipes import recipe_options


@click.command("swi")
@click.argument("magnitude", type=Place(), required=False)
@click.argument("phase", type=Place(), required=False)
@click.option("--real", type=Place(), help="Real part, with --imaginary in place of both.")
@click.option("--imaginary", type=Place(), help="Imaginary part.")
@click.option("-o", "--out", type=Place(), required=True, help="The folder to write.")
@click.option("--mask", type=Place(), help="The brain mask, from any tool; else it is found.")
@recipe_options(Preprocessing)
def command(
    *,
    magnitude: Path | None,
    phase: Path | None,
    real: Path | None,
    imaginary: Path | None,
    out: Path,
    mask: Path | None,
    **asked: Any,
) -> None:
    """Make a susceptibility-weighted image of one scan, from its MAGNITUDE and PHASE, without a study.

    OUT holds swi, its minimum-intensity projection minip, and what they are made of: magnitude, the high-passed phase
    and the brain mask, on the scan's own grid. A complex file may be given as both; a real and an imaginary part stand
    for both with --real and --imaginary. What is done, and with which options, is that of `cmbtk preprocess`.

    \b
    Examples:
      cmbtk swi mag.nii.gz pha.nii.gz --echo 3 --phase-sign auto -o cleaned
      cmbtk swi --real re.nii.gz --imaginary im.nii.gz --phase-sign auto -o cleaned
    """
    from ..steps import preprocess as step

    shown = magnitude or real
    name = shown.name.removesuffix(".gz").removesuffix(".nii") if shown else ""
    scan = step.Scan(name, phase, magnitude, mask=mask, real=real, imaginary=imaginary)
    if scan.lacking():
        raise UsageError(f"a scan needs {scan.lacking()}. See `cmbtk swi --help` for examples.")
    with progress("Preprocessing") as on_progress:
        summary = step.preprocess_scan(scan, out, Preprocessing(**asked), on_progress=on_progress)
    show(summary, f"{out}/")
