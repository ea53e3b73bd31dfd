"""``cmbtk stage2-classify``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from .options import NumberOr
from .progress import progress
from .quoting import quoted


@click.command(name="stage2-classify")
@click.argument("cell", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--threshold",
    type=NumberOr("validation"),
    help="Keep candidates of at least this probability, 0 to 1; validation takes the greatest F1 over the validation "
    "subjects' microbleeds.  [default: as --most-false 1, or 0.5 where that cannot be chosen]",
)
@click.option(
    "--most-false",
    type=click.FloatRange(0, min_open=True),
    help="With validation: instead of the greatest F1, the lowest threshold that leaves at most so many false "
    "positives per validation subject (the paper had 1.42 in HR, 1.89 in LR).",
)
@click.option("--batch", type=click.IntRange(1), default=256, show_default=True, help="Patches at a time.")
def command(
    *, cell: Path, threshold: float | Literal["validation"] | None, most_false: float | None, batch: int
) -> None:
    """Say of every candidate of CELL how probably it is a microbleed, and keep the probable ones.

    The result is findings.tsv in the cell: the candidates with the columns probability and kept. A network that cannot
    tell the validation subjects' patches apart is refused.

    \b
    Example:
      cmbtk stage2-classify demo/cells/slab_swi+cphase-averaged_fold-1
      cmbtk stage2-classify study/cells/HR_swi_fold-1 --threshold 0.5
    """
    from ..io.publish import read_record
    from ..io.tables import read_tsv
    from ..steps.stage2_classify import stage2_classify
    from ..study.layout import Study

    with progress("Classifying") as on_progress:
        path = stage2_classify(
            cell,
            threshold=threshold,
            most_false=most_false,
            batch=batch,
            on_note=on_progress.note,
            on_progress=on_progress,
        )
    record = read_record(path) or {}
    _, files = Study.of_cell(cell)
    table = read_tsv(files.findings, ["participant_id", "role", "kept"])
    click.echo(f"Threshold   {record['threshold']['value']:.4g} ({record['threshold']['chosen']})")
    for role, rows in table.groupby("role"):
        click.echo(f"{str(role) + ':':11} {record['kept'][role]} of {len(rows)} candidates kept")
    click.echo(f"Findings    {path}")
    click.echo(f"Next: cmbtk evaluate {quoted(cell)}")
