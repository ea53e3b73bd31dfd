"""``cmbtk stage1-detect``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..darknet.recipe import Detecting
from .candidates import say_candidates
from .options import Place
from .progress import progress
from .recipes import recipe_options


@click.command(name="stage1-detect")
@click.argument("cell", type=Place(file_okay=False))
@recipe_options(Detecting)
def command(cell: Path, **asked: Any) -> None:
    """Find candidate microbleeds on every slice of CELL's subjects.

    The detector marks boxes on each slice. They are put back into the volume, and those that show one lesion become
    one candidate, with voxel indices and world coordinates [mm]. At the low threshold that stage 1 works with, most
    candidates are false: stage 2 is there to throw them out.

    Weights that were trained for another input, size, scale of grey values or network are refused; other voxel sizes,
    and weights that nothing is known of, are warned of.

    The result is candidates.tsv in the cell, with all boxes in detections.tsv.

    \b
    Example:
      cmbtk stage1-detect demo/cells/slab_swi+cphase-averaged_fold-1 --threshold auto
    """
    from ..io.publish import record_of
    from ..steps.stage1_detect import stage1_detect

    with progress("Slices") as on_progress:
        path = stage1_detect(cell, Detecting(**asked), on_note=on_progress.note, on_progress=on_progress)
    record = record_of(path)
    click.echo(f"Slices      {record['slices']}")
    say_candidates(record, path)
