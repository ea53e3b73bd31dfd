"""``cmbtk stage2-classify``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..stage2.recipe import Classifying
from .options import Place
from .progress import progress
from .quoting import quoted
from .recipes import recipe_options


@click.command(name="stage2-classify")
@click.argument("cell", type=Place(file_okay=False))
@recipe_options(Classifying)
def command(cell: Path, **asked: Any) -> None:
    """Say of every candidate of CELL how probably it is a microbleed, and keep the probable ones.

    The result is findings.tsv in the cell: the candidates with the columns probability and kept. A network that cannot
    tell the validation subjects' patches apart is refused.

    \b
    Example:
      cmbtk stage2-classify demo/cells/slab_swi+cphase-averaged_fold-1
      cmbtk stage2-classify study/cells/HR_swi_fold-1 --threshold 0.5
    """
    from ..io.publish import record_of
    from ..io.tables import read_tsv
    from ..steps.stage2_classify import stage2_classify
    from ..study.layout import Study

    with progress("Classifying") as on_progress:
        path = stage2_classify(cell, Classifying(**asked), on_note=on_progress.note, on_progress=on_progress)
    record = record_of(path)
    _, files = Study.of_cell(cell)
    table = read_tsv(files.findings, ["participant_id", "role", "kept"])
    click.echo(f"Threshold   {record['threshold']['value']:.4g} ({record['threshold']['chosen']})")
    for role, rows in table.groupby("role"):
        click.echo(f"{str(role) + ':':11} {record['kept'][role]} of {len(rows)} candidates kept")
    click.echo(f"Findings    {path}")
    click.echo(f"Next: cmbtk evaluate {quoted(cell)}")
