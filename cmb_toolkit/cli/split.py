"""``cmbtk split``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..evaluation.recipe import Folding
from .options import Place
from .progress import progress
from .quoting import quoted
from .recipes import recipe_options


@click.command()
@click.argument("study", type=Place())
@recipe_options(Folding)
@click.option("--force", is_flag=True, help="Make new folds even if folds.tsv was made or changed by hand: it is lost.")
def command(study: Path, force: bool, **asked: Any) -> None:
    """Divide the subjects of a STUDY into folds for cross-validation.

    Persons are never split: all sessions and all resolutions of a person (sub-01_ses-1 and sub-01_ses-2, or subjects
    of one person_id in participants.tsv) are in one set. Within each resolution every patient is tested exactly once;
    folds are alike in subjects, microbleeds and, as far as possible, scanners. The validation subjects come out of the
    training folds, balanced likewise, so that nothing has to be chosen by looking at the test subjects. Controls are
    healthy: they are never trained on, and have the role control in every fold. Patients whose scans nobody has read
    are excluded. Simulated subjects that were added are trained on in every fold.

    Folds that were made or changed by hand are only replaced with --force.

    Writes folds.tsv and prints how many subjects and microbleeds each fold has.

    \b
    Example:
      cmbtk split study --folds 5 --validation 0.2 --seed 0
    """
    from rich.console import Console
    from rich.table import Table

    from ..steps.split import fold_table, split

    with progress("split") as on_progress:
        path = split(study, Folding(**asked), force=force, on_note=on_progress.note, on_progress=on_progress)
    counts = fold_table(study)
    shown = Table(title="Subjects / microbleeds of each fold", title_justify="left")
    excluded = ["excluded"] if counts["excluded"].any() else []
    for column in ("resolution", "fold", "train", "validation", "test", "controls", *excluded):
        shown.add_column(column, justify="left" if column == "resolution" else "right")
    for _, row in counts.iterrows():
        parts = [
            f"{row[f'{role} subjects']} / {row[f'{role} microbleeds']}" for role in ("train", "validation", "test")
        ]
        shown.add_row(
            str(row["resolution"]), str(row["fold"]), *parts, *(str(row[name]) for name in ("controls", *excluded))
        )
    Console().print(shown)
    click.echo(f"Written: {path}\nNext: cmbtk prepare-yolo {quoted(study)} --fold 1")
