"""`cmbtk tables`."""

from __future__ import annotations

from pathlib import Path

import click

from ..evaluation.recipe import Showing
from .options import Place
from .progress import progress
from .recipes import recipe_options


@click.command()
@click.argument("study", type=Place(), required=False)
@recipe_options(Showing)
@click.option(
    "--audit",
    is_flag=True,
    help="Also recompute the paper's printed values and list its slips (works without a STUDY).",
)
def command(study: Path | None, rule: str | None, audit: bool) -> None:
    """Print the results of every evaluated cell of a STUDY, by fold and in all, beside the paper's printed values.

    Stage 1, stage 2 and both together, with 95 % intervals over persons; healthy controls are counted apart. The
    paper's row is its own data under its own rule: compare with care. Writes STUDY/tables (TSV and Markdown).

    \b
    Example:
      cmbtk tables demo
      cmbtk tables demo --rule paper --audit
    """
    from rich.console import Console

    if study is None and not audit:
        raise click.UsageError("Missing argument 'STUDY' (only --audit works without one).")
    console = Console(soft_wrap=False)
    if study is not None:
        from ..steps.tables import read_page, tables

        with progress("tables") as on_progress:
            folder = tables(study, on_progress=on_progress)
        read_page(study, rule).show(console)
        click.echo(f"\nTables: {folder}")
    if audit:
        from ..paper.result_tables import audit_page

        audit_page().show(console)
