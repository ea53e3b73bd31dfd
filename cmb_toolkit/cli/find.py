"""Commands that find candidates in clean scans, ``cmbtk frst`` and its like, one for each such method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..detectors import DETECTORS, finders
from ..recipe import declared
from ..registry import load
from ..stage1.recipe import search_of
from .candidates import say_candidates
from .options import JOBS, Place
from .progress import progress
from .recipes import recipe_options

__all__ = ["command_of"]

_TOLD = {
    "frst": """Find candidates in STUDY without a detector: what is round and dark on SWI, by 3D fast radial symmetry.

    Stage 1 as it was before detectors were learned, to be held against YOLO (the paper's Table 9).""",
    "heatmap": """Train one 3D network on SWI and phase of the training subjects of STUDY, and find candidates with it.

    Beyond the paper: a small U-Net that marks every microbleed with a peak. Interrupted, the same command goes on.""",
}

_THRESHOLD = {
    False: "It needs no\n    training but a threshold, which is chosen on the fold's validation subjects.",
    True: "Its threshold\n    is chosen on the fold's validation subjects.",
}

_EXAMPLES = {
    False: "--resolution LR --sensitivity 0.9 --most-false 500",
    True: "--most-false 0.5",
}


def command_of(name: str) -> click.Command:
    """The command of a method."""
    method = finders()[name]

    def command(**given: Any) -> None:
        _find(method, **given)

    told, learns = _TOLD.get(method, DETECTORS[method].words), DETECTORS[method].learns
    command.__doc__ = f"""{told} {_THRESHOLD[learns]}

    The result is a cell, STUDY/cells/NAME, with candidates.tsv; the commands of stage 2 and of the results take it
    as they take a cell of stage1-detect. Each candidate has a box of 20 x 20 px around it.

    \b
    Example:
      cmbtk {name} demo --fold 1
      cmbtk {name} study --fold 1 {_EXAMPLES[learns]}
    """
    decorators = (
        click.argument("study", type=Place(file_okay=False)),
        recipe_options(search_of(method)),
        JOBS,
        recipe_options(load(DETECTORS[method].finder)),
    )
    for decorate in reversed(decorators):
        decorate(command)
    return click.command(name=name)(command)


def _find(method: str, *, study: Path, jobs: int, **given: Any) -> None:
    from ..io.publish import record_of
    from ..steps.find import find

    finder = load(DETECTORS[method].finder)
    own = {each.field: given.pop(each.field) for each in declared(finder).values() if each.field in given}
    with progress(DETECTORS[method].command) as on_progress:
        path = find(
            study,
            method,
            search_of(method)(**given),
            finder(**own),
            jobs=jobs,
            on_note=on_progress.note,
            on_progress=on_progress,
        )
    say_candidates(record_of(path), path)
