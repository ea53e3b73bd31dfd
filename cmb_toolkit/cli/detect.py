"""``cmbtk detect``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..detect.recipe import Detecting
from ..errors import Problems, UsageError
from ..exports.dicom.recipe import DicomOut
from ..names import SUBJECT
from ..sources.bids import BidsChoice
from ..sources.dicom import DicomChoice
from .dicom_out import AsDicom
from .options import JOBS, Place
from .progress import progress
from .recipes import recipe_options, taken

if TYPE_CHECKING:
    from ..steps.detect import DetectSummary

_FILE = Place(dir_okay=False)


@click.command("detect")
@click.argument("model", type=Place())
@click.argument("scans", type=Place(), required=False)
@click.option("--magnitude", type=_FILE, help="The magnitude of one scan, with --phase.")
@click.option("--phase", type=_FILE, help="Its phase.")
@click.option("--swi", type=_FILE, help="The scanner's SWI, in place of the magnitude or beside it.")
@click.option("--real", type=_FILE, help="The real part, with --imaginary in place of magnitude and phase.")
@click.option("--imaginary", type=_FILE, help="The imaginary part.")
@click.option("--mask", type=_FILE, help="The brain mask, from any tool; else it is found.")
@click.option("--name", default="sub-scan", show_default=True, help="What to call the one scan; never a person's name.")
@click.option("-o", "--out", type=Place(file_okay=False), required=True, help="Folder for the results.")
@recipe_options(Detecting, BidsChoice, DicomChoice, DicomOut)
@JOBS
def command(model: Path, scans: Path | None, out: Path, name: str, jobs: int, **asked: Any) -> None:
    """Look for microbleeds in new scans with MODEL, that `cmbtk train` made.

    One scan is given by its files; several as SCANS: a study, a table of files as `cmbtk import table` takes it, a
    folder in BIDS, or one of DICOM with a folder for each person. Each is cleaned as the model's own scans were,
    brought to their voxels where it has others, and looked at by both stages. OUT then holds, on the scan's own voxels,
    a label map of the findings and a map of probabilities; tables of findings and of all candidates; a summary; and
    report.html, a page to read. Of several scans there is a folder each, and index.html.

    A scan unlike those that the model learned from is amber, with the reason; one so far from them that the result
    would mean nothing is refused. A scan that fails does not stop the others; those that are done are left alone.

    \b
    Examples:
      cmbtk detect ours.cmbtk --magnitude mag.nii.gz --phase phase.nii.gz -o result
      cmbtk detect ours.cmbtk dicom/new -o results --series magnitude=5 --series phase=6
      cmbtk detect ours.cmbtk dicom/new -o results --dicom-out for-the-archive
      cmbtk detect ours.cmbtk scans.tsv -o results --operating sensitive --jobs 2
      cmbtk detect ours.cmbtk scans.tsv -o results --regions --prior results-of-last-year
    """
    from ..steps import detect as step
    from ..study.scan import Scan

    files = {role: asked.pop(role) for role in ("magnitude", "phase", "swi", "real", "imaginary", "mask")}
    given = {role: path for role, path in files.items() if path is not None}
    choice, series, recipe = taken(BidsChoice, asked), taken(DicomChoice, asked), taken(Detecting, asked)
    as_dicom = AsDicom(taken(DicomOut, asked), recipe, scans, out)
    problems, notes = Problems(), list[str]()
    if scans is None:
        scan = Scan(SUBJECT.check(name, "--name"), **given)
        if scan.lacking():
            raise UsageError(f"a scan needs {scan.lacking()}. See `cmbtk detect --help` for examples.")
        as_dicom.check([scan])
        with progress("Scans") as on_progress:
            summary = step.detect_scan(model, scan, out, recipe, on_progress=on_progress)
        _show_one(summary)
        as_dicom.write([scan], summary)
        return
    if given:
        raise UsageError(f"--{next(iter(given))} and SCANS were both given. Give one scan by its files, or SCANS.")
    from ..detect.scans import scans_at

    every = scans_at(scans, choice, problems, notes, out=out, series=series)
    for note in notes:
        click.echo(note, err=True)
    as_dicom.check(every)
    with progress("Scans") as on_progress:
        summary = step.detect(model, every, out, recipe, jobs=jobs, on_progress=on_progress, problems=problems)
    show(summary, out, "index.html")
    as_dicom.write(every, summary, problems)
    problems.raise_if_any()


def _show_one(summary: DetectSummary) -> None:
    (scan,) = summary.scans
    count = scan["findings"]
    click.echo(f"Findings    {count}, at the operating point {scan['operating']}, of {scan['candidates']} candidates")
    best = scan["best_rejected_score"]
    if not count and best is not None:
        click.echo(f"            the best that was rejected scores {best:.2g}, and {scan['threshold']:.2g} is needed")
    if "regions" in scan:
        click.echo(f"Regions     {_regions(scan['regions'])}")
    if "since" in scan:
        click.echo(f"Since       {_since(scan['since'])}")
    click.echo(f"Range       {scan['range']}")
    for line in (*scan["reasons"], *scan["warnings"]):
        click.echo(f"Warning: {line}", err=True)
    click.echo(f"Report      {scan['folder'] / 'report.html'}")


def _regions(where: dict[str, Any]) -> str:
    if "doubt" in where:
        return f"not known: {where['doubt']}"
    said = ", ".join(f"{where[group]} {group}" for group in ("lobar", "deep", "infratentorial"))
    said += f": {where['pattern']}" if where["pattern"] else ""
    return f"{said} ({where['unsure']})" if where["unsure"] else said


def _since(changed: dict[str, Any]) -> str:
    if "doubt" in changed:
        return f"not known: {changed['doubt']}"
    said = ", ".join(f"{changed[word]} {word}" for word in ("new", "unchanged", "gone", "unseen", "unseen now"))
    return f"{said} ({changed['note']})" if changed["note"] else said


def show(summary: DetectSummary, out: Path, page: str = "") -> None:
    """Print what became of several scans."""
    lights = [scan["range"] for scan in summary.scans]
    for scan in summary.scans:
        for line in scan["reasons"]:
            click.echo(f"{scan['subject']}: {scan['range']}: {line}", err=True)
    total = sum(scan["findings"] for scan in summary.scans)
    click.echo(
        f"{len(lights)} scans: {summary.made} looked at, {len(lights) - summary.made} unchanged; {total} findings; "
        f"{', '.join(f'{lights.count(light)} {light}' for light in ('green', 'amber', 'red') if light in lights)}."
    )
    click.echo(f"Written     {out / page}")
