"""``cmbtk train``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import UsageError
from ..wording import counted
from ..workflow.recipe import Naming, Reviewing, Training
from .options import JOBS, Place
from .progress import progress
from .quoting import quoted
from .recipes import recipe_options, taken


@click.command("train")
@click.argument("study", type=Place(file_okay=False))
@click.option("-o", "--out", type=Place(), required=True, help="The model: NAME.cmbtk, a folder.")
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be done and how long it takes, and end.")
@recipe_options(Training, Reviewing, Naming)
@JOBS
def command(study: Path, out: Path, only_plan: bool, jobs: int, **asked: Any) -> None:
    """Train a model on all patients of STUDY, to look at new scans with.

    STUDY is imported and preprocessed. Each fold of a cross-validation is trained and tested first: thresholds come
    from the validation subjects, and the figures that the model carries from test subjects whom its networks did not
    know. Then a detector and a 3D-CNN are trained on everybody, and become the model. With --quick there is one
    training, of the first fold.

    Every step is one of the other commands with its defaults, its results lie in the study, and whatever happens the
    same call goes on where it was.

    With --reviewed a model that was trained here learns from what readers say of its findings in new scans: what they
    reject is shown to stage 2 as what it is not, what they add as what it missed. The new model says how it compares
    with its parent on the same held-out subjects, and is called worse where it is.

    \b
    Examples:
      cmbtk train study -o ours.cmbtk --plan
      cmbtk train study -o ours.cmbtk --licence CC-BY-4.0
      cmbtk train study -o ours-2.cmbtk --reviewed review --parent ours.cmbtk --scans scans.tsv
    """
    from .model import show_model

    recipe, naming, reviewing = taken(Training, asked), taken(Naming, asked), taken(Reviewing, asked)
    if reviewing != Reviewing():
        if only_plan:
            raise UsageError("--plan and --reviewed do not go together: it is stage 2 alone that learns again.")
        from ..workflow.reviewed import train_reviewed

        train_reviewed(study, out, reviewing, recipe, naming, jobs=jobs, report=progress)
        show_model(out)
        return
    from ..machine import in_words
    from ..workflow.train import plan, train

    what = plan(study, recipe)
    folds = counted(len(what.folds), "fold")
    last = ", then one on everybody" if what.last else ""
    click.echo(
        f"{what.patients} patients and {what.controls} controls: {folds} with the {what.detector}{last}; about "
        f"{in_words(what.seconds)} on this machine from the beginning."
    )
    if only_plan:
        return
    train(study, out, recipe, naming, jobs=jobs, report=progress)
    show_model(out)
    click.echo(f"Next: cmbtk detect {quoted(out)} --magnitude MAG.nii.gz --phase PHASE.nii.gz -o result")
