"""`cmbtk compare`."""

from __future__ import annotations

from pathlib import Path

import click

from ..evaluation.recipe import Showing
from .options import Place
from .recipes import recipe_options


@click.command()
@click.argument("first", type=Place())
@click.argument("second", type=Place())
@recipe_options(Showing)
def command(first: Path, second: Path, rule: str | None) -> None:
    """Show how far the SECOND cell differs from the FIRST on their test subjects, with 95 % intervals.

    Name cells (STUDY/cells/NAME), or their names without _fold-N: then all folds that both have are put together.
    The intervals draw the same subjects for both; a difference whose interval holds 0 may be chance. Nothing is
    written.

    \b
    Example:
      cmbtk compare study/cells/HR_swi_fold-1 study/cells/HR_swi+cphase-averaged_fold-1
      cmbtk compare study/cells/HR_frst study/cells/HR_swi+cphase-averaged
    """
    from rich.console import Console

    from ..report.comparison import comparison_page
    from ..steps.compare import compare_cells

    comparison_page(compare_cells(first, second, Showing(rule))).show(Console(soft_wrap=False))
