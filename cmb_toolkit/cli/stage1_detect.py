"""``cmbtk stage1-detect``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from ..model import ROLES
from .options import AUTO_DISTANCE, NumberOr
from .progress import progress
from .quoting import quoted


@click.command(name="stage1-detect")
@click.argument("cell", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--threshold",
    type=NumberOr("auto"),
    help="Least confidence of a box, 0 to 1 (paper: 0.01 HR, 0.05 LR); auto chooses it on the validation subjects.  "
    "[default: auto where there are such subjects, else 0.01]",
)
@click.option(
    "--most-false",
    type=click.FloatRange(0, min_open=True),
    default=50.0,
    show_default=True,
    help="For auto: the lowest threshold that leaves at most so many false positives per validation subject "
    "(the paper had 52 in HR, 155 in LR).",
)
@AUTO_DISTANCE
@click.option(
    "--nms",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.45,
    show_default=True,
    help="Of two boxes on a slice that overlap more than this (IoU), the weaker one is dropped.",
)
@click.option(
    "--merge",
    type=click.Choice(["auto", "none"]),
    default="auto",
    show_default=True,
    help="auto: boxes of one lesion, on neighbouring slices say, are one candidate, at their mean. none: every box is "
    "one, as in the paper.",
)
@click.option(
    "--role",
    "roles",
    type=click.Choice(ROLES),
    multiple=True,
    help="Whose scans to look at; may be repeated.  [default: all]",
)
@click.option(
    "--weights",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Darknet weights of the cell's network.  [default: the cell's own yolo.weights]",
)
@click.option(
    "--engine",
    type=click.Choice(["auto", "embedded", "binary"]),
    default="auto",
    show_default=True,
    help="What detects: a Darknet binary or the embedded engine, which find the same boxes; auto takes AlexeyAB's "
    "Darknet where there is one.",
)
@click.option(
    "--darknet",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A Darknet binary.  [default: CMBTK_DARKNET, the checkout's build, PATH]",
)
def command(
    *,
    cell: Path,
    threshold: float | Literal["auto"] | None,
    most_false: float,
    distance: float,
    nms: float,
    merge: Literal["auto", "none"],
    roles: tuple[str, ...],
    weights: Path | None,
    engine: str,
    darknet: Path | None,
) -> None:
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
    from ..io.publish import read_record
    from ..steps.stage1_detect import stage1_detect
    from ..study.layout import Study

    with progress("Slices") as on_progress:
        path = stage1_detect(
            cell,
            threshold=threshold,
            most_false=most_false,
            distance_mm=distance,
            nms=nms,
            merge=merge,
            roles=roles or ROLES,
            weights=weights,
            engine=engine,
            darknet=darknet,
            on_note=on_progress.note,
            on_progress=on_progress,
        )
    _, files = Study.of_cell(cell)
    record = read_record(files.candidates) or {}
    used, subjects = record["threshold"], record["subjects"]
    click.echo(f"Slices      {record['slices']}")
    click.echo(f"Threshold   {used['value']:.4g} ({used['chosen']})")
    for role, count in record["candidates"].items():
        if subjects[role]:
            click.echo(f"Candidates  {role}: {count} in {subjects[role]} subjects, {count / subjects[role]:.1f} each")
    click.echo(f"Table       {path}")
    click.echo(f"Next: cmbtk stage2-crop {quoted(cell)}")
