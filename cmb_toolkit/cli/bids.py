"""``cmbtk bids``: the arguments that every BIDS app has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..detect.recipe import Detecting
from ..errors import Problems
from ..sources.bids import BidsChoice
from .detect import show
from .options import JOBS, Place
from .progress import progress
from .recipes import recipe_options, taken


@click.command("bids")
@click.argument("folder", metavar="BIDS", type=Place(file_okay=False))
@click.argument("out", metavar="OUT", type=Place(file_okay=False))
@click.argument("level", type=click.Choice(["participant"]))
@click.option("--model", type=Place(), required=True, help="The model: NAME.cmbtk.")
@click.option(
    "--participant-label", "participants", multiple=True, metavar="LABEL", help="Only this subject; may be repeated."
)
@recipe_options(Detecting, BidsChoice)
@JOBS
def command(
    folder: Path, out: Path, level: str, model: Path, participants: tuple[str, ...], jobs: int, **asked: Any
) -> None:
    """Look for microbleeds in all scans of the folder BIDS, and write OUT, a derivative in BIDS.

    The same as `cmbtk detect MODEL BIDS -o OUT`, with the arguments that every BIDS app has and with the standard's
    names: of each scan a label map and its table (_desc-cmb_dseg), a map of probabilities (_probseg), and a report
    (sub-01_report.html). Of LEVEL there is participant alone. Several images of one session are listed and never
    guessed among; --entity says which is meant.

    \b
    Example:
      cmbtk bids /data/ds003990 /data/ds003990/derivatives/cmbtk participant --model ours.cmbtk
    """
    from ..sources.bids import scans_in
    from ..workflow.bids import as_derivative

    choice, recipe = taken(BidsChoice, asked), taken(Detecting, asked)
    problems, notes = Problems(), list[str]()
    scans = scans_in(folder, choice, participants=participants, notes=notes)
    for note in notes:
        click.echo(note, err=True)
    with progress("Scans") as on_progress:
        summary = as_derivative(scans, out, model, recipe, jobs=jobs, on_progress=on_progress, problems=problems)
    show(summary, out)
    problems.raise_if_any()
