"""`cmbtk evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..evaluation.recipe import Evaluating
from .options import Place
from .progress import progress
from .quoting import quoted
from .recipes import recipe_options


@click.command()
@click.argument("cell", type=Place())
@click.option(
    "--truth",
    type=Place(dir_okay=False),
    help="Table of microbleeds (participant_id, x_mm, y_mm, z_mm), to count what CELL stands for then: a folder of "
    "`cmbtk detect`, or any detector's table of candidates.",
)
@recipe_options(Evaluating)
def command(cell: Path, truth: Path | None, **asked: Any) -> None:
    """Count hits, misses and false positives of one CELL (STUDY/cells/NAME) and draw them.

    Works after stage 1, and counts stage 2 once it has run. Writes CELL/evaluation: metrics.json (counts, 95 %
    intervals, thresholds), tables by subject, microbleed, candidate and stratum, sensitivity against false positives
    for every threshold, a montage, and a picture of every microbleed found or missed and of the most convincing false
    positives. Refuses a cell that learned from a subject it is tested on.

    With --truth it counts what a model found in scans of your own (`cmbtk detect`), or what another detector found: a
    table with participant_id, x_mm, y_mm, z_mm and confidence of each candidate is enough.

    \b
    Examples:
      cmbtk evaluate demo/cells/slab_swi+cphase-averaged_fold-1 --distance-mm 3
      cmbtk evaluate results --truth marks.tsv
    """
    if truth is not None:
        _findings(cell, truth, Evaluating(**asked))
        return
    from ..steps.evaluate import evaluate
    from ..study.layout import Study
    from ..study.results import read_result

    with progress("evaluate") as on_progress:
        folder = evaluate(cell, Evaluating(**asked), on_note=on_progress.note, on_progress=on_progress)
    study, files = Study.of_cell(cell)
    result = read_result(files)
    rule, names = asked["rule"], {"stage1": "stage 1", "overall": "both stages"}
    click.echo(f"{result.cell}, {result.rules[rule]}:")
    for each in result.stages:
        if each.rule == rule and each.stage in names:
            counts = each.counts
            marks = counts.tp + counts.fn
            hits = f"{counts.tp} of {marks} microbleeds ({100 * counts.sensitivity:.1f} %), " if marks else ""
            click.echo(
                f"  {each.role}, {names[each.stage]}: {hits}{counts.fp} false positives in {counts.subjects} subjects "
                f"({counts.fp_per_subject:.2f} each)"
            )
    searched = result.leak_check
    if searched is not None:
        if searched.unknown:
            click.echo("Leaks: unknown whether a person tested was in training, thresholds or model choice.")
        else:
            click.echo(
                f"Leaks: no person tested in training, thresholds or model choice ({len(searched.searched)} records)."
            )
        for source in searched.unknown:
            click.echo(f"Not known: who {source} was trained on.")
    click.echo(f"Numbers and pictures: {folder}\nNext: cmbtk tables {quoted(study.root)}")


def _findings(found: Path, truth: Path, recipe: Evaluating) -> None:
    """Count findings that are no cell's."""
    from ..steps.evaluate_findings import evaluate_findings

    counted = evaluate_findings(found, truth, recipe)
    names = {"stage1": "all candidates", "overall": "those kept"}
    click.echo(f"{found}, {counted.rule.label}:")
    for each in counted.evaluation.stages:
        if each.stage in names:
            counts = each.counts
            low, high = each.intervals["sensitivity"]
            hits = f"{counts.tp} of {counts.tp + counts.fn} microbleeds ({100 * counts.sensitivity:.1f} %"
            click.echo(f"  {names[each.stage]}: {hits}, 95 % interval {100 * low:.0f} to {100 * high:.0f}),")
            click.echo(
                f"    {counts.fp} false positives in {counts.subjects} subjects ({counts.fp_per_subject:.2f} each)"
            )
    for note in counted.notes:
        click.echo(f"Note: {note}.", err=True)
    click.echo(f"Numbers: {counted.folder}")
