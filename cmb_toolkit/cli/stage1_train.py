"""``cmbtk stage1-train``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..darknet.recipe import DetectorTraining
from .options import Place
from .progress import progress
from .quoting import quoted
from .recipes import recipe_options


@click.command(name="stage1-train")
@click.argument("cell", type=Place(file_okay=False))
@recipe_options(DetectorTraining)
@click.option("--restart", is_flag=True, help="Begin anew, even if there is a checkpoint or a finished training.")
def command(cell: Path, restart: bool, **asked: Any) -> None:
    """Train the YOLOv2 detector of CELL, the folder that `cmbtk prepare-yolo` made and printed.

    The network, its schedule and its augmentation are those of darknet/yolo.cfg in the cell. Images and labels come
    from the training subjects of the fold alone. The result is yolo.weights, a Darknet weights file that any Darknet
    can read, with yolo_history.tsv (loss and learning rate of every iteration) and yolo_loss.png beside it.

    On the way it looks at slices of the validation subjects, and of as many training subjects, and keeps the weights
    that find most of the former: yolo_watch.tsv and the plot show both. A detector that finds no more of what it was
    trained on than chance would is not kept.

    Interrupted or killed, the same command goes on at the newest checkpoint (the embedded engine ends with the same
    weights as without the interruption; Darknet draws its images anew). While it trains, scratch/<cell>/training/ in
    the study holds history.tsv and a plot of the loss, loss.png, drawn anew at each checkpoint.

    \b
    Example:
      cmbtk stage1-train demo/cells/slab_swi+cphase-averaged_fold-1
      cmbtk stage1-train study/cells/HR_swi_fold-1 --weights darknet19_448.conv.23
      cmbtk stage1-train study/cells/HR_swi_fold-1 --engine binary --darknet ~/darknet/darknet
    """
    from ..io.tables import read_tsv
    from ..steps.stage1_train import stage1_train
    from ..study.layout import Study

    with progress("Training") as on_progress:
        path = stage1_train(
            cell, DetectorTraining(**asked), restart=restart, on_note=on_progress.note, on_progress=on_progress
        )
    _, files = Study.of_cell(cell)
    history = read_tsv(files.yolo_history, ["iteration", "avg_loss", "images", "seconds"])
    seen = read_tsv(files.yolo_watch, ["iteration", "role", "microbleeds", "found_50", "best"])
    last = history.iloc[-1]
    click.echo(
        f"Trained   {last['iteration']:.0f} iterations, {last['images']:.0f} images in {last['seconds']:.0f} s; "
        f"loss {history['loss'].iloc[0]:.2f} at first, {last['avg_loss']:.2f} at the end (running mean)"
    )
    best = seen.loc[seen["best"].astype(bool), "iteration"]
    kept = best.iloc[-1] if asked["select"] == "best" and len(best) else last["iteration"]
    for row in seen[seen["iteration"] == kept].to_dict("records"):
        click.echo(
            f"{row['role'].capitalize():9} {row['found_50']} of {row['microbleeds']} microbleeds at 50 false positives "
            f"a subject (iteration {kept:.0f})"
        )
    click.echo(f"Weights   {path}")
    click.echo(f"Loss      {files.yolo_loss}")
    click.echo(f"Next: cmbtk stage1-detect {quoted(cell)}")
