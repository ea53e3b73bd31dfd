"""``cmbtk export``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ..exports.base import Export
from ..exports.registry import EXPORTS
from ..recipe import declared
from ..registry import load
from .options import Place
from .progress import progress
from .recipes import recipe_options

_KINDS: dict[str, type[Export]] = {name: load(place) for name, (place, _) in EXPORTS.items()}


@click.command()
@click.argument("cell", type=Place(file_okay=False))
@click.option("-o", "--out", type=Place(file_okay=False), required=True, help="Folder for the files.")
@click.option(
    "--to",
    type=click.Choice(list(EXPORTS)),
    required=True,
    help="What to write. " + "; ".join(f"{name}: {words}" for name, (_, words) in EXPORTS.items()) + ".",
)
@recipe_options(*_KINDS.values())
@click.pass_context
def command(context: click.Context, /, cell: Path, out: Path, to: str, **asked: Any) -> None:
    """Write the findings of CELL for other programs, one file a subject, on the scans as they were imported.

    Beside each lies a table, <subject>_findings.tsv: its ids are the values of the label map's voxels and the names of
    the points, 1 for the most probable finding. A file of no finding says that somebody was looked at.

    Files that are there and made from the same are left alone, those that somebody has changed are never replaced.

    \b
    Example:
      cmbtk export study/cells/HR_swi+cphase-averaged_fold-1 -o findings --to labelmap
      cmbtk export study/cells/HR_swi+cphase-averaged_fold-1 -o findings --to points --all
    """
    from ..steps.export import export

    kind = _KINDS[to]
    own = {each.field for each in declared(kind).values()}
    for name in asked.keys() - own:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name.replace('_', '-')} is no option of --to {to}.")
    recipe = kind(**{name: value for name, value in asked.items() if name in own})
    with progress("Subjects") as on_progress:
        folder = export(cell, recipe, out, on_progress=on_progress)
    click.echo(f"Written: {folder}")
