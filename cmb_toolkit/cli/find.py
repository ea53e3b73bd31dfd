"""Commands that find candidates without learning, ``cmbtk frst`` and its like, one for each such method."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..detectors import DETECTORS, finders
from ..names import FOLD, RESOLUTION
from .options import AUTO_DISTANCE, IMAGE_SIDE, JOBS, REPEAT, Name, NumberOr
from .progress import progress
from .quoting import quoted

__all__ = ["command_of"]

_COMMON: tuple[Callable[[Callable[..., None]], Callable[..., None]], ...] = (
    click.argument("study", type=click.Path(file_okay=False, path_type=Path)),
    click.option(
        "--fold",
        type=Name(FOLD),
        required=True,
        help="Fold of the study, as `cmbtk split` named it (1, 2, ...), or none: all subjects, at a given --threshold.",
    ),
    click.option(
        "--resolution", type=Name(RESOLUTION), help="Subjects of this resolution.  [default: the only one in the study]"
    ),
    click.option(
        "--threshold",
        default="auto",
        show_default=True,
        type=NumberOr("auto"),
        help="Least score of a candidate; auto chooses it on the validation subjects.",
    ),
    click.option(
        "--sensitivity",
        type=click.FloatRange(0, 1, min_open=True),
        default=0.97,
        show_default=True,
        help="For auto: the highest threshold that finds this share of the validation subjects' microbleeds, of those "
        "that can be found at all.",
    ),
    click.option(
        "--most-false",
        type=click.FloatRange(0, min_open=True),
        default=1000.0,
        show_default=True,
        help="For auto: where that would leave more false positives per validation subject, the lowest threshold that "
        "does not (the paper's FRST had 497 in HR, 946 in LR).",
    ),
    AUTO_DISTANCE,
    click.option(
        "--separation",
        type=click.FloatRange(0, min_open=True),
        default=3.0,
        show_default=True,
        metavar="MM",
        help="Of candidates nearer than this [mm] keep the strongest.",
    ),
    IMAGE_SIDE,
    click.option(
        "--mode",
        type=click.Choice(["auto", "crop", "resize"]),
        default="auto",
        show_default=True,
        help="How planes become images, as for prepare-yolo; boxes are given on these.",
    ),
    REPEAT,
    JOBS,
)
"""What every such method is asked."""

_OWN: dict[str, tuple[Callable[[Callable[..., None]], Callable[..., None]], ...]] = {
    "frst": (
        click.option(
            "--radius",
            "radii_mm",
            type=click.FloatRange(0, min_open=True),
            multiple=True,
            metavar="MM",
            help="Radius of balls looked for [mm]; may be repeated.  [default: 1, 1.5, 2, 2.5 and 3]",
        ),
        click.option(
            "--margin",
            "margin_mm",
            type=click.FloatRange(0),
            default=0.0,
            show_default=True,
            metavar="MM",
            help="Rim of the brain without candidates [mm].",
        ),
    )
}
"""Settings of single methods; their names are those of the finder's fields."""

_TOLD = {
    "frst": """Find candidates in STUDY without a detector: what is round and dark on SWI, by 3D fast radial symmetry.

    Stage 1 as it was before detectors were learned, to be held against YOLO (the paper's Table 9)."""
}


def command_of(name: str) -> click.Command:
    """The command of a method that learns nothing."""
    method = finders()[name]

    def command(**given: Any) -> None:
        _find(method, **given)

    told = _TOLD.get(method, DETECTORS[method].words)
    command.__doc__ = f"""{told} It needs no
    training but a threshold, which is chosen on the fold's validation subjects.

    The result is a cell, STUDY/cells/NAME, with candidates.tsv; the commands of stage 2 and of the results take it
    as they take a cell of stage1-detect. Each candidate has a box of 20 x 20 px around it.

    \b
    Example:
      cmbtk {name} demo --fold 1
      cmbtk {name} study --fold 1 --resolution LR --sensitivity 0.9 --most-false 500
    """
    for option in reversed((*_COMMON, *_OWN.get(method, ()))):
        option(command)
    return click.command(name=name)(command)


def _find(method: str, *, study: Path, distance: float, separation: float, **given: Any) -> None:
    from ..io.publish import read_record
    from ..registry import load
    from ..steps.find import find

    common = ("fold", "resolution", "threshold", "sensitivity", "most_false", "size", "mode", "repeat", "jobs")
    asked = {name: given.pop(name) for name in common}
    finder = load(DETECTORS[method].finder)(**{name: value for name, value in given.items() if value != ()})
    with progress("Subjects") as on_progress:
        path = find(
            study,
            method,
            finder,
            distance_mm=distance,
            separation_mm=separation,
            on_note=on_progress.note,
            on_progress=on_progress,
            **asked,
        )
    record = read_record(path) or {}
    used, subjects = record["threshold"], record["subjects"]
    click.echo(f"Threshold   {used['value']:.4g} ({used['chosen']})")
    for role, count in record["candidates"].items():
        if subjects[role]:
            click.echo(f"Candidates  {role}: {count} in {subjects[role]} subjects, {count / subjects[role]:.1f} each")
    click.echo(f"Table       {path}")
    click.echo(f"Next: cmbtk stage2-crop {quoted(path.parent)}")
