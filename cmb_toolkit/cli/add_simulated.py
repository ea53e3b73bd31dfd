"""``cmbtk add-simulated``."""

from __future__ import annotations

from pathlib import Path

import click

from .options import Place
from .progress import progress
from .quoting import quoted


@click.command(name="add-simulated")
@click.argument("study", type=Place())
@click.argument("simulated", type=Place())
def command(study: Path, simulated: Path) -> None:
    """Add the patients of the study SIMULATED, made by `cmbtk simulate`, to a STUDY, to learn from in every fold.

    They become rows of participants.tsv (column simulated: yes) and microbleeds.tsv, under names that begin with
    sub-sim; their scans stay where they are. Those that were added before are replaced. `cmbtk split` gives them the
    role train in every fold: no threshold or epoch is chosen on them, and none of them is tested. Results that were
    learned from them say so.

    Simulate them with the resolution that STUDY calls its own; another name may be written into the simulated study's
    participants.tsv.

    \b
    Example:
      cmbtk simulate more --resolution HR --subjects 20 --seed 7
      cmbtk add-simulated study more
    """
    from ..steps.add_simulated import add_simulated

    with progress("add-simulated") as on_progress:
        names = add_simulated(study, simulated, on_note=on_progress.note)
    click.echo(f"Added       {len(names)} simulated subjects, {names[0]} to {names[-1]}")
    click.echo(f"Next: cmbtk preprocess {quoted(study)} && cmbtk split {quoted(study)}")
