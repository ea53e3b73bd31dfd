"""`cmbtk evaluate`."""

from __future__ import annotations

from pathlib import Path

import click

from .options import RULE, RULES_IN_WORDS
from .progress import progress
from .quoting import quoted


@click.command()
@click.argument("cell", type=click.Path(path_type=Path))
@click.option(
    "--rule",
    type=RULE,
    default="centre",
    show_default=True,
    help="What the pictures and the lines printed here call a hit; all numbers are written under each rule, apart. "
    + RULES_IN_WORDS,
)
@click.option("--distance-mm", type=float, default=3.0, show_default=True, help="Distance of the centre rule [mm].")
@click.option(
    "--count",
    type=click.Choice(["per-lesion", "per-box"]),
    default="per-lesion",
    show_default=True,
    help="What counts as one finding: the boxes of neighbouring slices together, or every box, as in the paper.",
)
@click.option(
    "--link-mm",
    type=float,
    default=3.0,
    show_default=True,
    help="For per-lesion, after `cmbtk stage1-detect --merge none`: boxes with centres this near, on the same slice or "
    "neighbouring ones, belong together [mm].",
)
@click.option(
    "--role",
    "roles",
    type=click.Choice(["test", "control", "validation", "train"]),
    multiple=True,
    default=("test", "control"),
    show_default=True,
    help="Whose scans to count, each role apart; may be given several times.",
)
@click.option(
    "--false-pictures",
    type=int,
    default=24,
    show_default=True,
    help="Pictures of at most so many false positives, those with the highest score.",
)
def command(
    *,
    cell: Path,
    rule: str,
    distance_mm: float,
    count: str,
    link_mm: float,
    roles: tuple[str, ...],
    false_pictures: int,
) -> None:
    """Count hits, misses and false positives of one CELL (STUDY/cells/NAME) and draw them.

    Works after stage 1, and counts stage 2 once it has run. Writes CELL/evaluation: metrics.json (counts, 95 %
    intervals, thresholds), tables by subject, microbleed, candidate and stratum, sensitivity against false positives
    for every threshold, a montage, and a picture of every microbleed found or missed and of the most convincing false
    positives. Refuses a cell that learned from a subject it is tested on.

    \b
    Example:
      cmbtk evaluate demo/cells/slab_swi+cphase-averaged_fold-1 --distance-mm 3
    """
    from ..steps.evaluate import evaluate
    from ..study.layout import Study
    from ..study.results import read_result

    with progress("evaluate") as on_progress:
        folder = evaluate(
            cell,
            rule=rule,
            distance_mm=distance_mm,
            count=count,
            link_mm=link_mm,
            roles=roles,
            most_false=false_pictures,
            on_note=on_progress.note,
            on_progress=on_progress,
        )
    result = read_result(Study.of_cell(cell)[1])
    names = {"stage1": "stage 1", "overall": "both stages"}
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
    click.echo(f"Numbers and pictures: {folder}\nNext: cmbtk tables {quoted(cell.parent.parent)}")
