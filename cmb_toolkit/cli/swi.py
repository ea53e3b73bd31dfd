"""``cmbtk swi``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .preprocess import scan_options, settings_from, show
from .progress import progress


@click.command("swi")
@click.argument("magnitude", type=click.Path(path_type=Path))
@click.argument("phase", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="The folder to write.")
@click.option("--mask", type=click.Path(path_type=Path), help="The brain mask, from any tool; else it is found (BET).")
@scan_options
def command(*, magnitude: Path, phase: Path, out: Path, mask: Path | None, **options: Any) -> None:
    """Make a susceptibility-weighted image of one scan, from its MAGNITUDE and PHASE, without a study.

    OUT holds swi, its minimum-intensity projection minip, and what they are made of: magnitude, the high-passed phase
    and the brain mask, on the scan's own grid. A complex file may be given as both. What is done, and with which
    options, is that of `cmbtk preprocess`.

    \b
    Example:
      cmbtk swi mag.nii.gz pha.nii.gz --echo 3 --phase-sign auto -o cleaned
    """
    from ..steps import preprocess as step

    name = magnitude.name.removesuffix(".gz").removesuffix(".nii")
    scan = step.Scan(name, phase, magnitude, mask=mask)
    with progress("Preprocessing") as on_progress:
        summary = step.preprocess_scan(scan, out, settings_from(options), on_progress=on_progress)
    show(summary, f"{out}/")
