"""``cmbtk review``: write, read."""

from __future__ import annotations

from pathlib import Path

import click

from ..names import READER
from .options import Name, Place

_MOST_LISTED = 20


@click.group(name="review")
def command() -> None:
    """Findings of `cmbtk detect` for readers, and what they say of them.

    Verdicts come back as a table, an Excel file, points of 3D Slicer or a label map. They make a truth to evaluate by
    and to learn from: `cmbtk train --reviewed`.

    \b
    Example:
      cmbtk review write results -o review
      cmbtk review read review findings.tsv --reader ab
    """


@command.command("write", short_help="Hand out findings, in every form that readers use.")
@click.argument("out", type=Place(file_okay=False))
@click.option("-o", "--out", "folder", type=Place(file_okay=False), required=True, help="Folder for the review.")
def write(out: Path, folder: Path) -> None:
    """Write the findings in OUT, that `cmbtk detect` made, into the folder handed-out of a review.

    findings.tsv has a line a finding with columns to fill in; findings.xlsx the same for Microbleed-review-viewer or a
    spreadsheet program. Of each scan there are a list of points for 3D Slicer (.mrk.json) and a label map (.nii.gz)
    with the names of its values for ITK-SNAP (_labels.txt). In all of them a finding has the same id.

    \b
    Example:
      cmbtk review write results -o review
    """
    from ..review.handed import read_asked
    from ..steps.review_write import review_write
    from ..wording import counted

    review = review_write(out, folder)
    asked = read_asked(review.asked)
    scans, findings = asked["participant_id"].nunique(), int(asked["id"].notna().sum())
    click.echo(f"{counted(findings, 'finding')} of {counted(scans, 'scan')}: {review.handed_out}")
    click.echo(f"Next: cmbtk review read {folder} FILE ...")


@command.command("read", short_help="Read a round of what readers gave back.")
@click.argument("review", type=Place(file_okay=False))
@click.argument("files", type=Place(), nargs=-1, required=True)
@click.option(
    "--reader",
    default="reader",
    show_default=True,
    type=Name(READER),
    help="Who gave back what has no column reader. It stands in all that is written: need not be a name.",
)
def read(review: Path, files: tuple[Path, ...], reader: str) -> None:
    """Read FILES, or folders of files, that came back as the next round of REVIEW.

    Tables and Excel files (also what Microbleed-review-viewer exports) say yes, no or unsure in a column verdict, and
    what it is instead in a column mimic; a line with a place and no id is a microbleed that was missed. In points of 3D
    Slicer and in label maps what is left is a microbleed, what is gone is none, what is new was missed. Places without
    an id are a finding's within 3 mm.

    Rounds are added to and never replaced; of each reader the last word counts. What more than half of the readers say
    is agreed, else it is unsure. The folder agreed then holds findings.tsv, scans.tsv and microbleeds.tsv, which
    `cmbtk evaluate --truth` takes.

    \b
    Examples:
      cmbtk review read review findings.tsv
      cmbtk review read review from-ab/ --reader ab
      cmbtk review read review export.xlsx
    """
    from rich.console import Console

    from ..review.shown import review_page
    from ..steps.review_read import review_read

    summary = review_read(review, files, reader)
    for line in summary.unmatched[:_MOST_LISTED]:
        click.echo(f"Unmatched: {line}", err=True)
    if len(summary.unmatched) > _MOST_LISTED:
        click.echo(f"Unmatched: ... and {len(summary.unmatched) - _MOST_LISTED} more.", err=True)
    if not summary.new:
        click.echo(f"These files were read before, as {summary.round.name}; nothing is added.", err=True)
    review_page(summary.words, summary.agreed, summary.scans).show(Console(soft_wrap=False))
    click.echo(f"Written     {summary.round}")
    click.echo(f"            {summary.review.agreed}")
