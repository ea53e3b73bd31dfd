"""``cmbtk split``."""

from __future__ import annotations

from pathlib import Path

import click

from .progress import progress


@click.command(short_help="Divide the subjects into folds for cross-validation.")
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--folds", type=int, default=5, show_default=True, help="How many folds; the paper has 5.")
@click.option(
    "--validation",
    type=float,
    default=0.2,
    show_default=True,
    help="Part of each fold's training subjects kept aside to choose epochs and thresholds on; 0: none.",
)
@click.option(
    "--by-scanner",
    is_flag=True,
    help="Add a fold for each scanner: trained on its patients, tested on those of the others (the paper's Table 8).",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Equal seeds and subjects give equal folds.")
def command(study: Path, folds: int, validation: float, by_scanner: bool, seed: int) -> None:
    """Divide the subjects of a STUDY into folds for cross-validation.

    Subjects are never split. Within each resolution every patient is tested exactly once; folds are alike in
    subjects, microbleeds and, as far as possible, scanners. The validation subjects come out of the training folds,
    balanced likewise, so that nothing has to be chosen by looking at the test subjects. Controls are healthy: they
    are never trained on, and have the role control in every fold.

    Writes folds.tsv and prints how many subjects and microbleeds each fold has.

    \b
    Example:
      cmbtk split study --folds 5 --validation 0.2 --seed 0
    """
    from rich.console import Console
    from rich.table import Table

    from ..steps.split import fold_table, split

    with progress("split") as on_progress:
        path = split(
            study, folds=folds, validation=validation, by_scanner=by_scanner, seed=seed, on_progress=on_progress
        )
    counts = fold_table(study)
    shown = Table(title="Subjects / microbleeds of each fold", title_justify="left")
    for column in ("resolution", "fold", "train", "validation", "test", "controls"):
        shown.add_column(column, justify="left" if column == "resolution" else "right")
    for _, row in counts.iterrows():
        parts = [
            f"{row[f'{role} subjects']} / {row[f'{role} microbleeds']}" for role in ("train", "validation", "test")
        ]
        shown.add_row(str(row["resolution"]), str(row["fold"]), *parts, str(row["controls"]))
    Console().print(shown)
    click.echo(f"Written: {path}\nNext: cmbtk prepare-yolo {study} --fold 1")
