"""``cmbtk frst``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import click

from ..names import FOLD, RESOLUTION
from .options import AUTO_DISTANCE, IMAGE_SIDE, REPEAT, Name, NumberOr
from .progress import progress
from .quoting import quoted


@click.command(name="frst")
@click.argument("study", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--fold",
    type=Name(FOLD),
    required=True,
    help="Fold of the study, as `cmbtk split` named it (1, 2, ...), or none: all subjects, at a given --threshold.",
)
@click.option(
    "--resolution", type=Name(RESOLUTION), help="Subjects of this resolution.  [default: the only one in the study]"
)
@click.option(
    "--threshold",
    default="auto",
    show_default=True,
    type=NumberOr("auto"),
    help="Least radial symmetry of a candidate; auto chooses it on the validation subjects.",
)
@click.option(
    "--sensitivity",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.97,
    show_default=True,
    help="For auto: the highest threshold that finds this share of the validation subjects' microbleeds, of those "
    "that can be found at all.",
)
@click.option(
    "--most-false",
    type=click.FloatRange(0, min_open=True),
    default=1000.0,
    show_default=True,
    help="For auto: where that would leave more false positives per validation subject, the lowest threshold that "
    "does not (the paper's FRST had 497 in HR, 946 in LR).",
)
@AUTO_DISTANCE
@click.option(
    "--separation",
    type=click.FloatRange(0, min_open=True),
    default=3.0,
    show_default=True,
    metavar="MM",
    help="Of candidates nearer than this [mm] keep the strongest.",
)
@click.option(
    "--radius",
    "radii",
    type=click.FloatRange(0, min_open=True),
    multiple=True,
    metavar="MM",
    help="Radius of balls looked for [mm]; may be repeated.  [default: 1, 1.5, 2, 2.5 and 3]",
)
@click.option(
    "--margin",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    metavar="MM",
    help="Rim of the brain without candidates [mm].",
)
@IMAGE_SIDE
@click.option(
    "--mode",
    type=click.Choice(["auto", "crop", "resize"]),
    default="auto",
    show_default=True,
    help="How planes become images, as for prepare-yolo; boxes are given on these.",
)
@REPEAT
@click.option(
    "--jobs",
    type=click.IntRange(1),
    default=lambda: os.cpu_count() or 1,
    show_default="all processors",
    help="Subjects worked on at once; one of HR takes 1 GB.",
)
def command(
    *,
    study: Path,
    fold: str,
    resolution: str | None,
    threshold: float | Literal["auto"],
    sensitivity: float,
    most_false: float,
    distance: float,
    separation: float,
    radii: tuple[float, ...],
    margin: float,
    size: int,
    mode: str,
    repeat: int,
    jobs: int,
) -> None:
    """Find candidates in STUDY without a detector: what is round and dark on SWI, by 3D fast radial symmetry.

    Stage 1 as it was before detectors were learned, to be held against YOLO (the paper's Table 9). It needs no
    training but a threshold, which is chosen on the fold's validation subjects.

    The result is a cell, STUDY/cells/NAME, with candidates.tsv; the commands of stage 2 and of the results take it
    as they take a cell of stage1-detect. Each candidate has a box of 20 x 20 px around it.

    \b
    Example:
      cmbtk frst demo --fold 1
      cmbtk frst study --fold 1 --resolution LR --sensitivity 0.9 --most-false 500
    """
    from ..io.publish import read_record
    from ..stage1.radial_symmetry import Recipe
    from ..steps.frst import frst

    recipe = Recipe(radii_mm=radii, margin_mm=margin) if radii else Recipe(margin_mm=margin)
    with progress("Subjects") as on_progress:
        path = frst(
            study,
            fold=fold,
            resolution=resolution,
            threshold=threshold,
            sensitivity=sensitivity,
            most_false=most_false,
            distance_mm=distance,
            separation_mm=separation,
            recipe=recipe,
            size=size,
            mode=mode,  # type: ignore[arg-type]  # click has checked it
            repeat=repeat,
            jobs=jobs,
            on_note=on_progress.note,
            on_progress=on_progress,
        )
    record = read_record(path) or {}
    used, subjects = record["threshold"], record["subjects"]
    click.echo(f"Threshold   {used['value']:.4g} ({used['chosen']})")
    for role, count in record["candidates"].items():
        if subjects[role]:
            click.echo(f"Candidates  {role}: {count} in {subjects[role]} subjects, {count / subjects[role]:.1f} each")
    click.echo(f"Table       {path}")
    click.echo(f"Next: cmbtk stage2-crop {quoted(path.parent)}")
