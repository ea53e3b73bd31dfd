"""``cmbtk import``: a command for each source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import Problems
from ..registry import load
from ..sources.base import Source
from ..sources.registry import SOURCES
from ..wording import counted
from .options import Place
from .progress import progress
from .quoting import quoted
from .recipes import recipe_options


class _Sources(click.Group):
    """A group that knows the sources by name and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SOURCES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return _command_of(cmd_name) if cmd_name in SOURCES else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in SOURCES.items()])


@click.group(cls=_Sources)
def command() -> None:
    """Make a study from scans and marks that you have.

    A study is a folder with a table of its subjects, a table of their microbleeds, and room for everything that the
    later steps make. The scans stay where they are; DICOM is converted. `bids` takes a BIDS folder, `dicom` folders of
    DICOM, `authors` the folder layout of the paper's authors, `table` any other, from a table of files. Marks come from
    tables, Excel, 3D Slicer or label maps.

    \b
    Examples:
      cmbtk import authors /data/yonsei -o study
      cmbtk import bids /data/ds003990 --marks marks.xlsx -o study
      cmbtk import dicom /data/dicom -o study --key key.tsv
      cmbtk import table scans.tsv --marks marks.tsv -o study
    """


def _command_of(name: str) -> click.Command:
    """The command of a source: what it is and its options are those of its class."""
    kind: type[Source] = load(SOURCES[name][0])

    def command(out: Path, **given: Any) -> None:
        place = given.pop(kind.place)
        _import(kind(**given), place, out)

    command.__doc__ = kind.__doc__
    for option in (
        recipe_options(kind),
        click.option("-o", "--out", type=Place(), required=True, help="The study, a new folder."),
        click.argument(kind.place, type=Place()),
    ):
        option(command)
    return click.command(name=name)(command)


def _import(source: Source, place: Path, out: Path) -> None:
    from ..steps.import_ import import_

    notes: list[str] = []
    problems = Problems()
    with progress("import") as on_progress:
        import_(source, place, out, on_progress=on_progress, notes=notes, problems=problems)
    for note in notes:
        click.echo(note)
    _summary(out, place if source.place == "table" else out / "participants.tsv")
    problems.raise_if_any(_LEFT_OUT)


_LEFT_OUT = "These subjects were left out of the study. Mend their scans and import again, or go on without them."


def _summary(out: Path, table: Path) -> None:
    """Say what the study holds; what an option cannot say for single subjects is written into the table."""
    from ..io.publish import read_record
    from ..study.cohort import read_microbleeds, read_participants
    from ..study.layout import Study
    from ..study.persons import unread

    study = Study.open(out)
    participants, marks = read_participants(study), read_microbleeds(study)
    patients = participants[participants["group"] == "patient"]
    counts = participants["resolution"].value_counts(sort=False)
    click.echo(
        f"{out}: {counted(len(participants), 'subject')} "
        f"({', '.join(f'{n} {name}' for name, n in counts.items())}), "
        f"{len(participants) - len(patients)} of them controls, {len(marks)} microbleeds."
    )
    persons = participants["person_id"].nunique()
    if persons < len(participants):
        click.echo(f"Note: these are {counted(persons, 'person')}; no fold will have one in two sets.")
    nobody = unread(participants, marks["participant_id"])
    if nobody:
        click.echo(
            f"Warning: nobody has read the scans of {counted(len(nobody), 'patient')} ({_first(nobody)}), "
            "so that without a mark they are not known to have no microbleed: they are excluded from folds and counts. "
            "Say --unmarked read if they were read, --unmarked control if they are healthy; of single subjects the "
            f"columns read and group of {table} say it."
        )
    others = int(counts.get("other", 0))
    if others:
        click.echo(
            f"Note: the voxels of {counted(others, 'scan')} are neither HR's (0.5x0.5x2 mm) nor LR's "
            "(0.8x0.8x2 mm); their resolution is called `other`, and they will share one detector. "
            f"Say --resolution NAME, or fill the column resolution of {table}."
        )
    left_out = (read_record(study.participants) or {}).get("left_out")
    if isinstance(left_out, int) and left_out:
        click.echo(f"Note: {left_out} volumes of no known kind (not swi, pha or mag) were left out.")
    if isinstance(left_out, list) and left_out:
        click.echo(f"Note: columns not taken over: {', '.join(left_out)}.")
    click.echo(f"Next: cmbtk check {quoted(out)}")


def _first(names: list[str]) -> str:
    return ", ".join(names[:5]) + " ..." * (len(names) > 5)
