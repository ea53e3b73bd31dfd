"""``cmbtk prepare-yolo``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from ..model import INPUTS
from ..names import FOLD, RESOLUTION
from .options import IMAGE_SIDE, JOBS, REPEAT, Name, NumberOr
from .progress import progress
from .quoting import quoted


def _keys(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for value in values:
        key, sign, setting = value.partition("=")
        if not (sign and key.strip() and setting.strip()):
            raise click.BadParameter(f"{value!r} is not KEY=VALUE.")
        pairs[key.strip()] = setting.strip()
    return pairs


@click.command(name="prepare-yolo")
@click.argument("study", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--fold",
    type=Name(FOLD),
    required=True,
    help="Fold of the study, as `cmbtk split` named it (1, 2, ...), or none: only detect, on all subjects.",
)
@click.option(
    "--resolution",
    "resolutions",
    type=Name(RESOLUTION),
    multiple=True,
    help="Subjects of this resolution; repeated, one detector for several.  [default: the only one in the study]",
)
@click.option(
    "--input",
    type=click.Choice(INPUTS),
    default="swi+cphase-averaged",
    show_default=True,
    help="What the image shows; cphase is 1 - phase, averaged is the mean with the slices above and below.",
)
@IMAGE_SIDE
@click.option(
    "--mode",
    type=click.Choice(["auto", "crop", "resize"]),
    default="auto",
    show_default=True,
    help="Crop or pad to the image's size, or stretch to it; auto crops where an axis changes by 1/8 or less.",
)
@click.option(
    "--cfg",
    default="small",
    show_default=True,
    metavar="NAME|FILE",
    help="Network: small (minutes on a CPU), medium (an hour or two), yolov2-short (the paper's layers; minutes on a "
    "GPU), yolov2-paper, yolov2-released (days on a GPU), or a Darknet .cfg file.",
)
@click.option(
    "--max-batches",
    type=click.IntRange(1),
    help="Training iterations; learning-rate steps and burn-in scale along.  [default: as in the network file]",
)
@click.option(
    "--set",
    "net",
    multiple=True,
    callback=_keys,
    metavar="KEY=VALUE",
    help="Another [net] key of the network file, for example batch=16. May be repeated.",
)
@click.option(
    "--scale",
    type=click.Choice(["paper", "slice", "fixed"]),
    default="paper",
    show_default=True,
    help="Grey values to 0..1 inside the brain. paper: minimum to maximum of each subject; slice: of each slice; "
    "fixed: SWI from 0 to its 99.9th percentile, phase from -pi to pi.",
)
@click.option(
    "--background",
    type=click.Choice(["black", "white"]),
    default="black",
    show_default=True,
    help="Of the complemented phase outside the brain: black as in the other channels, or white, the paper's 1 - 0.",
)
@click.option(
    "--anchors",
    type=click.Choice(["cfg", "labels"]),
    default="cfg",
    show_default=True,
    help="Anchors of the network file, or by k-means from the training subjects' boxes as the augmentation shows them "
    "(as many, or fewer where there are fewer different sizes).",
)
@click.option(
    "--negatives",
    type=NumberOr("all"),
    help="Training slices without a microbleed, per slice with one, or all there are.  [default: all for a network "
    "file that draws its images anew (draw=1) without --augment, else 1]",
)
@click.option(
    "--augment/--no-augment",
    default=None,
    help="Write the paper's eight turned and mirrored copies of each training slice; a Darknet needs them.  [default: "
    "unless the network file has draw=1]",
)
@click.option(
    "--label-reach",
    type=click.IntRange(0),
    help="Slices on either side of the marked one that carry its box too; the paper has 0.  [default: 1 for a network "
    "file with draw=1, else 0]",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Decides which negative slices are drawn.")
@REPEAT
@JOBS
def command(
    *,
    study: Path,
    fold: str,
    resolutions: tuple[str, ...],
    input: str,
    size: int,
    mode: str,
    cfg: str,
    max_batches: int | None,
    net: dict[str, str],
    scale: str,
    background: str,
    anchors: str,
    negatives: float | Literal["all"] | None,
    augment: bool | None,
    label_reach: int | None,
    seed: int,
    repeat: int,
    jobs: int,
) -> None:
    """Write the images, labels and Darknet project of one fold of STUDY.

    Every slice becomes an 8-bit RGB image: red is SWI, green is phase (or its complement), blue is magnitude; what
    the input does not have is black. A microbleed is a square of 20 x 20 pixels around its mark, on the slice where
    it was marked. Training subjects give all their slices, of which the embedded engine draws every training image
    anew; or, for a network file that lists its images (without draw=1), those with microbleeds and as many without,
    each in eight turned and mirrored copies. Detection later looks at every slice of every subject.

    The result is a cell, STUDY/cells/NAME, named by its resolution, input and fold, which all later steps take. Its
    darknet/ folder can be given to any Darknet as it is. Slices are shared between folds and written only once. A
    subject that cannot be done does not stop the others and is named at the end; the project is written when it lacks
    nobody.

    \b
    Example:
      cmbtk prepare-yolo demo --fold 1
      cmbtk prepare-yolo study --fold 1 --resolution HR --cfg yolov2-short --augment
    """
    from ..io.publish import read_record
    from ..steps.prepare_yolo import prepare_yolo
    from ..study.cell import read_setup
    from ..study.layout import Study

    with progress("Slices") as on_progress:
        folder = prepare_yolo(
            study,
            fold=fold,
            resolutions=resolutions,
            input=input,
            size=size,
            mode=mode,  # type: ignore[arg-type]  # click has checked it
            cfg=cfg,
            max_batches=max_batches,
            net=net,
            scale=scale,  # type: ignore[arg-type]  # click has checked it
            background=background,  # type: ignore[arg-type]  # click has checked it
            anchors=anchors,  # type: ignore[arg-type]  # click has checked it
            negatives=negatives,
            augment=augment,
            label_reach=label_reach,
            seed=seed,
            repeat=repeat,
            jobs=jobs,
            on_progress=on_progress,
        )
    _, cell = Study.of_cell(folder)
    record = read_record(cell.project) or {}
    images = record["images"]
    microbleeds, slices = record["microbleeds"], record["training_slices"]
    people = ", ".join(
        f"{len(names)} {role} ({microbleeds[role]} microbleeds)"
        for role, names in sorted(read_setup(cell).roles.items())
        if names
    )
    click.echo(f"Subjects  {people}")
    click.echo(f"Image     {size} x {size} px of {input}; {', '.join(record['frames'])}")
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
