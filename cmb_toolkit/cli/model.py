"""``cmbtk model``: make, show, verify, test, export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import UsageError
from ..workflow.recipe import Naming
from .options import Place
from .recipes import recipe_options

_MODEL = click.argument("model", type=Place())


@click.group(name="model")
def command() -> None:
    """A trained model: NAME.cmbtk, a folder, or the same folder as one file.

    It holds both networks and all that must be known to use them on other scans: the input and its scaling, how scans
    were cleaned, which voxels it learned from, thresholds, what it reached on held-out persons, and a small scan to try
    it on. `cmbtk train` makes one, `cmbtk detect` uses it.

    \b
    Example:
      cmbtk model show ours.cmbtk
      cmbtk model test ours.cmbtk
      cmbtk model export ours.cmbtk -o ours-1.zip
    """


@command.command("make", short_help="Make a model of the networks of a cell.")
@click.argument("cell", type=Place(file_okay=False))
@click.option("-o", "--out", type=Place(), required=True, help="NAME.cmbtk, a folder.")
@click.option(
    "--judged",
    multiple=True,
    type=Place(file_okay=False),
    help="Cells of other folds, trained alike: thresholds come from their validation subjects, figures from their test "
    "subjects. May be repeated.  [default: CELL itself]",
)
@recipe_options(Naming)
def make(cell: Path, out: Path, judged: tuple[Path, ...], **asked: Any) -> None:
    """Make a model of the networks of CELL, which was classified.

    Thresholds and calibration come from validation subjects, the figures that it carries from test subjects, of CELL or
    of the cells given with --judged. `cmbtk train` does this after its last training.

    \b
    Example:
      cmbtk model make study/cells/HR_swi+cphase-averaged_fold-1 -o ours.cmbtk --licence CC-BY-4.0
    """
    from ..steps import model as step
    from ..workflow.naming import named

    step.make(cell, judged or (cell,), out, named(Naming(**asked), out))
    show_model(out)


@command.command("show", short_help="Say what a model is, from what it learned and what it reached.")
@_MODEL
def show(model: Path) -> None:
    """Print the card of MODEL: from how many persons it learned and of what kind their scans were, what it reached on
    others, which scans it is for, and where it fails.

    \b
    Example:
      cmbtk model show ours.cmbtk
    """
    show_model(model)


@command.command("verify", short_help="Compare a model's files with their checksums.")
@_MODEL
def verify(model: Path) -> None:
    """Compare every file of MODEL with the checksum that it was made with, to see whether anything was lost or changed
    on its way here. `cmbtk detect` does so each time.

    \b
    Example:
      cmbtk model verify ours.cmbtk
    """
    from ..bundle import files

    with files.opened(model) as bundle:
        count = files.verify(bundle, model)
    click.echo(f"{model}: {count} files are as they were made.")


@command.command("test", short_help="See whether a model finds here what it found where it was made.")
@_MODEL
def try_it(model: Path) -> None:
    """Look at the small simulated scan in MODEL with both stages, and compare with what its maker found: less than a
    minute. Other versions of Keras, or another processor, may compute a little otherwise.

    \b
    Example:
      cmbtk model test ours.cmbtk
    """
    from ..steps import model as step

    tried = step.try_it(model)
    click.echo(
        f"{model}: the same {tried.candidates} candidates as where it was made (scores within {tried.worst:.1g})."
    )


@command.command("export", short_help="Write a model as one file.")
@_MODEL
@click.option("-o", "--out", type=Place(), required=True, help="The file, a zip.")
def export(model: Path, out: Path) -> None:
    """Write MODEL as one file, a zip whose members are stored, to give away; `cmbtk detect` takes it as it is. The same
    model is the same file each time.

    \b
    Example:
      cmbtk model export ours.cmbtk -o ours-1.zip
    """
    from ..steps import model as step

    if model.resolve() == out.resolve():
        raise UsageError(f"{out}: is the model itself. Choose another name.")
    click.echo(f"Written: {step.export(model, out)}")


def show_model(model: Path) -> None:
    """Print a model's card as its own content says it, whatever its card's file says."""
    from ..bundle.card import card
    from ..bundle.files import opened

    with opened(model) as bundle:
        click.echo(card(bundle.content))
