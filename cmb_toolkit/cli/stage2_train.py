"""``cmbtk stage2-train``."""

from __future__ import annotations

from pathlib import Path

import click

from ..classifiers import CLASSIFIERS
from .progress import progress
from .quoting import quoted


def _class_weight(_: click.Context, __: click.Parameter, value: str) -> str | float:
    if value in {"ratio", "none"}:
        return value
    try:
        return float(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither ratio nor none nor a number.") from None


@click.command(name="stage2-train")
@click.argument("cell", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--schedule",
    type=click.Choice(["auto", "short", "paper"]),
    default="auto",
    show_default=True,
    help="What is trained and for how long, where the options below do not say it. paper: network paper, 200 epochs of "
    "24 copies (days on a CPU). short: 20 epochs (of other networks than small 15), copies 6 1, augment drawn. "
    "auto: short, and on a CPU the network small.",
)
@click.option(
    "--network",
    type=click.Choice(list(CLASSIFIERS)),
    default=None,
    show_default="by --schedule",
    help="paper: 1,355,450 parameters, batch norm by depth as the authors had it. channel: the same with the usual "
    "batch norm (1,356,154). small: 77,000 parameters, trains on a CPU in minutes. paper-literal: "
    "paper without the centred input that lets it learn.",
)
@click.option(
    "--epochs", type=click.IntRange(1), default=None, show_default="by --schedule", help="Passes over the patches."
)
@click.option("--batch", type=click.IntRange(1), default=50, show_default=True, help="Patches a step.")
@click.option(
    "--learning-rate",
    type=float,
    default=None,
    show_default="0.001, the paper's; short: 0.0005, but of small",
    help="Adam's.",
)
@click.option(
    "--warm-up",
    type=click.IntRange(0),
    default=None,
    show_default="100 for paper and channel, else 0",
    metavar="STEPS",
    help="Steps, in the first epoch, over which the learning rate rises; the paper has none.",
)
@click.option(
    "--decay",
    type=click.Choice(["none", "cosine"]),
    default=None,
    show_default="none; short: cosine, but of small",
    help="How the learning rate falls; cosine: to 0 at the last epoch.",
)
@click.option(
    "--class-weight",
    default="ratio",
    show_default=True,
    callback=_class_weight,
    metavar="ratio|none|NUMBER",
    help="Weight of a microbleed's patch against another: ratio of their numbers, 1, or given (paper: 5 to 13.5).",
)
@click.option(
    "--augment",
    type=click.Choice(["paper", "in-plane", "drawn", "none"]),
    default=None,
    show_default="by --schedule",
    help="Symmetries that patches are shown in. paper: the square's 8 in all three directions, 24. in-plane: the 16 "
    "that keep the slice direction, for slices thicker than voxels are wide. drawn: these, each time moved by a "
    "voxel and with other grey values.",
)
@click.option(
    "--copies",
    type=(click.IntRange(1), click.IntRange(1)),
    default=None,
    show_default="by --schedule",
    metavar="CMB OTHER",
    help="How often an epoch shows a microbleed's patch and any other one, each time in another symmetry. 24 24 is "
    "the paper's augmented set; more epochs of fewer copies serve as well.",
)
@click.option(
    "--select",
    type=click.Choice(["loss", "auc"]),
    default="loss",
    show_default=True,
    help="What the best epoch is chosen by, on the validation subjects' patches.",
)
@click.option(
    "--patience",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="EPOCHS",
    help="Stop after so many epochs without a better one; 0 never.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Decides every random choice.")
@click.option("--restart", is_flag=True, help="Begin anew, even if there is a checkpoint or a finished training.")
def command(
    *,
    cell: Path,
    schedule: str,
    network: str | None,
    epochs: int | None,
    batch: int,
    learning_rate: float | None,
    warm_up: int | None,
    decay: str | None,
    class_weight: str | float,
    augment: str | None,
    copies: tuple[int, int] | None,
    select: str,
    patience: int,
    seed: int,
    restart: bool,
) -> None:
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
    from ..io.publish import read_record
    from ..steps.stage2_train import stage2_train

    with progress("Training") as on_progress:
        path = stage2_train(
            cell,
            schedule=schedule,
            network=network,
            epochs=epochs,
            batch=batch,
            learning_rate=learning_rate,
            class_weights=class_weight,
            augmentation=augment,
            copies=copies,
            select=select,
            patience=patience,
            seed=seed,
            warm_up=warm_up,
            decay=decay,
            restart=restart,
            on_note=on_progress.note,
            on_progress=on_progress,
        )
    record = read_record(path) or {}
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
