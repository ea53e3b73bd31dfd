"""``cmbtk stage2-crop``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..stage2.recipe import Cropping
from .options import JOBS, Place
from .progress import progress
from .quoting import quoted
from .recipes import recipe_options


@click.command(name="stage2-crop")
@click.argument("cell", type=Place(file_okay=False))
@recipe_options(Cropping)
@JOBS
def command(cell: Path, jobs: int, **asked: Any) -> None:
    """Cut SWI and phase patches around the candidates of CELL.

    A patch is 16 x 16 x 16 voxels of SWI beside as many of high-passed phase, at the scan's own resolution (of what
    looks large, at half of it: --shrink-from), with the voxel nearest to the candidate's centre at index 8 (of 0 to 15)
    and 0 beyond the volume. Every candidate of every subject gets one, labelled by the truth; one that is no hit but
    lies beside a microbleed, on the next slice say, has no label and is not trained on. The readers' marks of training
    and validation subjects are added, so that stage 2 also learns from microbleeds that stage 1 missed.

    The result is the folder patches in the cell: patches.npy (n, 16, 32, 16) and patches.tsv.

    \b
    Example:
      cmbtk stage2-crop demo/cells/slab_swi+cphase-averaged_fold-1 --jobs 2
    """
    from ..io.publish import record_of
    from ..steps.stage2_crop import stage2_crop

    with progress("Patches") as on_progress:
        path = stage2_crop(cell, Cropping(**asked), jobs=jobs, on_progress=on_progress)
    for role, count in record_of(path)["patches"].items():
        marks = f", {count['marks']} marks" if count["marks"] else ""
        beside = f", {count['unlabelled']} beside one (not taught)" if count["unlabelled"] else ""
        click.echo(
            f"{role + ':':11} {count['microbleed']} candidates on a microbleed, {count['other']} others{beside}{marks}"
        )
    click.echo(f"Patches     {path}")
    click.echo(f"Next: cmbtk stage2-train {quoted(cell)}")
