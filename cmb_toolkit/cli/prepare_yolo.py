"""``cmbtk prepare-yolo``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..darknet.recipe import Preparing
from .options import JOBS, Place
from .progress import progress
from .quoting import quoted
from .recipes import recipe_options


@click.command(name="prepare-yolo")
@click.argument("study", type=Place(file_okay=False))
@recipe_options(Preparing)
@JOBS
def command(study: Path, jobs: int, **asked: Any) -> None:
    """Write the images, labels and Darknet project of one fold of STUDY.

    Every slice becomes an 8-bit RGB image: red is SWI, green is phase (or its complement), blue is magnitude; what
    the input does not have is black. A microbleed is a square of 20 x 20 pixels around its mark, on the slice where
    it was marked. Training subjects give all their slices, of which the embedded engine draws every training image
    anew; or, for a network file that lists its images (without draw=1), those with microbleeds and as many without,
    each in eight turned and mirrored copies. Detection later looks at every slice of every subject; these images are
    made of the volumes then.

    The result is a cell, STUDY/cells/NAME, named by its resolution, input and fold, which all later steps take. Its
    darknet/ folder can be given to any Darknet to train on, as it is. Slices are shared between folds and written only
    once. A subject that cannot be done does not stop the others and is named at the end; the project is written when it
    lacks nobody.

    \b
    Example:
      cmbtk prepare-yolo demo --fold 1
      cmbtk prepare-yolo study --fold 1 --resolution HR --cfg yolov2-short --augment
    """
    from ..io.publish import record_of
    from ..steps.prepare_yolo import prepare_yolo
    from ..study.cell import read_setup
    from ..study.layout import Study

    with progress("Slices") as on_progress:
        folder = prepare_yolo(study, Preparing(**asked), jobs=jobs, on_progress=on_progress)
    _, cell = Study.of_cell(folder)
    record = record_of(cell.project)
    images = record["images"]
    microbleeds, slices = record["microbleeds"], record["training_slices"]
    people = ", ".join(
        f"{len(names)} {role} ({microbleeds[role]} microbleeds)"
        for role, names in read_setup(cell).roles.items()
        if names
    )
    click.echo(f"Subjects  {people}")
    click.echo(f"Image     {asked['size']} x {asked['size']} px of {asked['input']}; {', '.join(record['frames'])}")
    if images["train"]:
        click.echo(
            f"Training  {images['train']} images: {slices['with microbleeds']} slices with microbleeds, "
            f"{slices['without']} without{', each in 8 copies' if images['train'] > sum(slices.values()) else ''}"
        )
    else:
        click.echo("Training  none: there is no training subject, the project can only detect")
    if "anchors" in record:
        fit = record["anchors"]
        values = ", ".join(f"{width:.3g} x {height:.3g}" for width, height in fit["values"])
        click.echo(
            f"Anchors   {values} cells; mean IoU with the boxes {fit['mean_iou']:.2f} "
            f"(the network file's own: {fit['mean_iou_of_the_cfg']:.2f})"
        )
    click.echo(f"Detection {images['slices']} slices of all subjects, {images['valid']} of them for validation")
    click.echo(f"Cell      {folder}")
    click.echo(
        f"Next: cmbtk stage1-train {quoted(folder)}"
        if images["train"]
        else f"Next: cmbtk stage1-detect {quoted(folder)} --weights FILE"
    )
