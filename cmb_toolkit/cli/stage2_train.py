"""``cmbtk stage2-train``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..stage2.recipe import ClassifierTraining
from .options import Place
from .progress import progress
from .quoting import quoted
from .recipes import recipe_options


@click.command(name="stage2-train")
@click.argument("cell", type=Place(file_okay=False))
@recipe_options(ClassifierTraining)
@click.option("--restart", is_flag=True, help="Begin anew, even if there is a checkpoint or a finished training.")
def command(cell: Path, restart: bool, **asked: Any) -> None:
    """Train the 3D-CNN of CELL to tell microbleeds from what only looks like them.

    It learns from the training subjects' patches and keeps the epoch that is best on the validation subjects; test
    subjects are never looked at. What is trained, and how long that will take, is said before it begins; the paper's
    own schedule is --schedule paper.

    The result is cnn.keras, with cnn_history.tsv (losses of every epoch) and cnn_loss.png beside it. Interrupted or
    killed, the same command goes on at the epoch it was in and ends with the same weights; with more --epochs, a
    finished training is prolonged (but not with --decay cosine). A training that has learned nothing after its first
    epochs is stopped and begins again with the next seed, at most twice; if none learns, no network is written.

    \b
    Example:
      cmbtk stage2-train study/cells/HR_swi+cphase-averaged_fold-1
      cmbtk stage2-train study/cells/HR_swi+cphase-averaged_fold-1 --schedule paper
      cmbtk stage2-train demo/cells/slab_swi+cphase-averaged_fold-1 --network small --epochs 40 --copies 6 1
    """
    from ..io.publish import record_of
    from ..steps.stage2_train import stage2_train

    with progress("Training") as on_progress:
        path = stage2_train(
            cell,
            ClassifierTraining(**asked),
            restart=restart,
            on_note=on_progress.note,
            on_progress=on_progress,
        )
    record = record_of(path)
    for role in ("train", "validation"):
        note = record[role]
        click.echo(
            f"{role + ':':11} {note['microbleed_patches']} patches of microbleeds, {note['other_patches']} others, "
            f"{len(note['subjects'])} subjects"
        )
    best = record["best"]
    click.echo(f"Network     {record['parameters']['network']}, {record['parameters_trained']:,} trainable parameters")
    again = f" of seed {record['seed_trained']}" if record["restarts"] else ""
    click.echo(
        f"Best epoch  {best['epoch']}{again}, validation loss {best['val_loss']:.4f}, area under the ROC curve "
        f"{best['val_auc']:.2f}"
    )
    click.echo(f"Written     {path}\nLoss        {path.with_name('cnn_loss.png')}")
    click.echo(f"Next: cmbtk stage2-classify {quoted(cell)}")
