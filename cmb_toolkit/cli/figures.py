"""`cmbtk figures`."""

from __future__ import annotations

from pathlib import Path

import click

from ..evaluation.recipe import Showing
from .options import Place
from .progress import progress
from .recipes import recipe_options


@click.command()
@click.argument("study", type=Place())
@recipe_options(Showing)
def command(study: Path, rule: str | None) -> None:
    """Draw what the cells of a STUDY hold, into STUDY/figures.

    Loss curves of both stages where they were trained; sensitivity against false positives per subject, with the
    operating point and its 95 % interval, and a montage of found, missed and false where a cell was evaluated.

    \b
    Example:
      cmbtk figures demo
    """
    from ..steps.figures import figures

    with progress("figures") as on_progress:
        folder = figures(study, Showing(rule), on_progress=on_progress)
    for path in sorted(folder.glob("*.png")):
        click.echo(path)
