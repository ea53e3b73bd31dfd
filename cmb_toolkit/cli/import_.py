"""``cmbtk import``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from ..errors import Problems
from ..names import RESOLUTION
from .options import Name
from .progress import progress
from .quoting import quoted

marks_on = click.option(
    "--marks-on",
    type=click.Choice(["magnitude", "phase", "swi", "real", "imaginary"]),
    help="The file whose voxels the marks count; must be said where the files of a subject store their axes in "
    "different orders.",
)


_UNMARKED = click.option(
    "--unmarked",
    type=click.Choice(["patient", "read", "control"]),
    default="patient",
    show_default=True,
    help="What a subject without a mark is, where nothing else says so. patient: somebody whose scan nobody has read, "
    "neither learned from nor counted; read: a patient who was read and has no microbleed; control: healthy, never "
    "trained on, counted apart.",
)


@click.group()
def command() -> None:
    """Make a study from scans and marks that you have.

    A study is a folder with a table of its subjects, a table of their microbleeds, and room for everything that the
    later steps make. The scans stay where they are. `authors` takes the folder layout of the paper's authors, `table`
    any other, from a table of files.

    \b
    Examples:
      cmbtk import authors /data/yonsei -o study
      cmbtk import table scans.tsv --marks marks.tsv -o study
    """


@command.command(short_help="From folders Data (volumes) and Label (Excel sheets).")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="The study, a new folder.")
@click.option(
    "--label-base",
    type=click.Choice(["1", "0"]),
    default="1",
    show_default=True,
    help="What the sheets call the first slice, column and row.",
)
@click.option(
    "--label-axes",
    type=click.Choice(["voxel", "array", "image"]),
    default="voxel",
    show_default=True,
    help="What x and y count. voxel: x along the file's first axis, y along its second, as voxel viewers show them; "
    "array: x along the second, y along the first, as MATLAB shows volume(:,:,slice); image: columns from the left "
    "and rows from the top of a radiological view (patient's right on the left, anterior on top).",
)
@marks_on
@click.option(
    "--resolution",
    type=Name(RESOLUTION),
    help="Name for the resolution of all subjects.  [default: HR, LR or other, by the voxel size]",
)
@_UNMARKED
@click.option("--keep-names", is_flag=True, help="Keep the files' names as identifiers instead of sub-001, sub-002 ...")
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    help="Write here which name became which identifier. Keep it apart from the study: it may name people.",
)
def authors(
    *,
    folder: Path,
    out: Path,
    label_base: str,
    label_axes: Literal["voxel", "array", "image"],
    marks_on: str | None,
    resolution: str | None,
    unmarked: Literal["patient", "read", "control"],
    keep_names: bool,
    key: Path | None,
) -> None:
    """Make a study from the layout in which the paper's authors gave away their data.

    FOLDER holds Data and Label. In Data lie the magnitude, phase and SWI volumes (.nii or .nii.gz) of each subject,
    nested in any way, recognised by mag(nitude), pha(se) or swi in the file's or else the nearest folder's name:
    Data/<subject>/SWI.nii.gz, Data/<subject>_SWI.nii, Data/SWI/<subject>.nii.gz. In Label lies one Excel file (.xlsx)
    a subject, of the same name, with a microbleed a row. Headings say which column is slice (or z), x (column) and
    y (row), in any order and beside others; without headings there are three columns, in this order. What is not
    understood is refused; labels in files of other kinds are named.

    An empty sheet says that somebody looked and found none; a subject without a sheet was not read, unless --unmarked
    says otherwise. Names such as p07_ses-1 and p07_ses-2 are two scans of one person and stay so.

    How the sheets count is not known from the data: try the defaults, then look whether `cmbtk check` finds the marks
    on dark spots.

    \b
    Example:
      cmbtk import authors /data/yonsei -o study --label-base 1 --unmarked control
    """
    from ..steps.import_ import import_authors

    notes: list[str] = []
    problems = Problems()
    with progress("import") as on_progress:
        import_authors(
            folder,
            out,
            label_base=int(label_base),
            label_axes=label_axes,
            marks_on=marks_on,
            resolution=resolution,
            keep_names=keep_names,
            unmarked=unmarked,
            key=key,
            on_progress=on_progress,
            notes=notes,
            problems=problems,
        )
    for note in notes:
        click.echo(f"Note: {note}")
    _summary(out)
    problems.raise_if_any(_LEFT_OUT)


@command.command(short_help="From a table of files.")
@click.argument("table", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="The study, a new folder.")
@click.option("--marks", type=click.Path(path_type=Path), help="Table of the microbleeds' positions.")
@click.option(
    "--label-base",
    type=click.Choice(["0", "1"]),
    default="0",
    show_default=True,
    help="What i, j, k of the marks call the first voxel along an axis.",
)
@marks_on
@_UNMARKED
def table(
    *,
    table: Path,
    out: Path,
    marks: Path | None,
    label_base: str,
    marks_on: str | None,
    unmarked: Literal["patient", "read", "control"],
) -> None:
    """Make a study from a TABLE of files, tab-separated, one line a subject.

    Its columns are participant_id (letters and digits, never a name), magnitude and phase (NIfTI files, relative to
    the table) and, where known, swi, mask, resolution, scanner, group (patient or control), read (yes or no: whether
    somebody has looked for microbleeds), echo_time_ms, phase_sign (1: the phase of veins is positive, -1: negative),
    phase_range (radians, or the file's units of one full cycle), echo and phase_volume (which volume of 4-D files,
    counted from 1, and which of the phase where that is another).
    A complex pair has the columns real and imaginary in place of magnitude and phase.
    Other columns are not taken over. Write n/a for what is not known.

    Several scans of one person are called sub-01_ses-1, sub-01_ses-2, or have a column session_id beside the same
    participant_id, or names of their own and the same person_id: then no fold has them in two sets.

    The marks have participant_id (and session_id where that is needed) and either i, j, k (voxel along the file's own
    axes) or x_mm, y_mm, z_mm (world). A column marks_on of the TABLE says which file i, j, k count on, where --marks-on
    does not fit all subjects.

    \b
    Example:
      printf 'participant_id\\tmagnitude\\tphase\\n01\\tmag.nii.gz\\tphase.nii.gz\\n' > scans.tsv
      cmbtk import table scans.tsv --marks marks.tsv -o study
    """
    from ..steps.import_ import import_table

    problems = Problems()
    notes: list[str] = []
    with progress("import") as on_progress:
        import_table(
            table,
            out,
            marks=marks,
            label_base=int(label_base),
            marks_on=marks_on,
            unmarked=unmarked,
            on_progress=on_progress,
            problems=problems,
            notes=notes,
        )
    for note in notes:
        click.echo(f"Warning: {note}")
    _summary(out)
    problems.raise_if_any(_LEFT_OUT)


_LEFT_OUT = "These subjects were left out of the study. Mend their scans and import again, or go on without them."


def _summary(out: Path) -> None:
    from ..io.publish import read_record
    from ..study.cohort import read_microbleeds, read_participants
    from ..study.layout import Study
    from ..study.persons import unread

    study = Study.open(out)
    participants, marks = read_participants(study), read_microbleeds(study)
    patients = participants[participants["group"] == "patient"]
    counts = participants["resolution"].value_counts(sort=False)
    click.echo(
        f"{out}: {len(participants)} subject{'s' * (len(participants) != 1)} "
        f"({', '.join(f'{n} {name}' for name, n in counts.items())}), "
        f"{len(participants) - len(patients)} of them controls, {len(marks)} microbleeds."
    )
    persons = participants["person_id"].nunique()
    if persons < len(participants):
        click.echo(f"Note: these are {persons} person{'s' * (persons != 1)}; no fold will have one in two sets.")
    nobody = unread(participants, marks["participant_id"])
    if nobody:
        click.echo(
            f"Warning: nobody has read the scans of {len(nobody)} patient{'s' * (len(nobody) > 1)} ({_first(nobody)}), "
            "so that without a mark they are not known to have no microbleed: they are excluded from folds and counts. "
            "Say --unmarked read, or `yes` in the column read, if they were read; --unmarked control, or the column "
            "group, if they are healthy."
        )
    if "other" in counts:
        click.echo(
            f"Note: the voxels of {counts['other']} scans are neither HR's (0.5x0.5x2 mm) nor LR's (0.8x0.8x2 mm); "
            "their resolution is called `other`, and they will share one detector. "
            "Say --resolution NAME or fill the column resolution."
        )
    left_out = (read_record(study.participants) or {}).get("left_out")
    if isinstance(left_out, int) and left_out:
        click.echo(f"Note: {left_out} volumes of no known kind (not swi, pha or mag) were left out.")
    if isinstance(left_out, list) and left_out:
        click.echo(f"Note: columns not taken over: {', '.join(left_out)}.")
    click.echo(f"Next: cmbtk check {quoted(out)}")


def _first(names: list[str]) -> str:
    return ", ".join(names[:5]) + " ..." * (len(names) > 5)
