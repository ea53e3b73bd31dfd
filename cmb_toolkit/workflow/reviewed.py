"""From a model and what readers say of its findings to the next model: stage 2 learns again, stage 1 stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from ..bundle.content import CLASSIFIER, Content
from ..bundle.files import MODEL, opened, verify
from ..bundle.parent import Heritage
from ..detect.scans import scans_at
from ..errors import DataError, MissingError, Problems, UsageError
from ..io.publish import record_of, sha256
from ..io.tables import read_tsv
from ..names import split_session
from ..recipe import declared
from ..review.agreeing import microbleeds
from ..review.layout import Review
from ..review.lessons import NOT_SAID
from ..schema import AGREED
from ..sources.bids import BidsChoice
from ..stage2.recipe import ClassifierTraining
from ..steps.model import check_output, make
from ..steps.review_cell import review_cell
from ..steps.review_crop import review_crop, to_learn_from
from ..steps.stage2_classify import stage2_classify
from ..steps.stage2_train import stage2_train
from ..study.cell import read_setup
from ..study.cohort import ALL_FOLD, read_participants
from ..study.layout import Cell, Study
from ..study.persons import person_of
from ..study.scan import Scan
from ..study.scan_record import read_scan_record
from .naming import named
from .recipe import Naming, Reviewing, Training
from .train import Reporter, silent

__all__ = ["train_reviewed"]


def train_reviewed(
    study_folder: Path,
    out: Path,
    reviewing: Reviewing,
    recipe: Training | None = None,
    naming: Naming | None = None,
    *,
    jobs: int = 1,
    report: Callable[[str], AbstractContextManager[Reporter]] = silent,
) -> Content:
    """Train the next model.

    In every fold that the parent was judged by, and in its own training, stage 2 learns from the patches that are there
    and those of the reviewed scans; thresholds come from the same validation subjects as before, and both models are
    held against each other on the same held-out subjects. Stage 1 is the parent's.

    Parameters
    ----------
    study_folder : Path
        In which the parent was trained.
    out : Path
        The model, a folder ``NAME.cmbtk``.
    reviewing : Reviewing
    recipe : Training, optional
        Its epochs and seed.
    naming : Naming, optional
    jobs, report
        As :func:`cmb_toolkit.workflow.train.train` has them.

    Returns
    -------
    Content

    Raises
    ------
    UsageError, MissingError, DataError, StorageError
        Among others a DataError if a reviewed scan is of somebody who was held out.
    """
    recipe, naming = recipe or Training(), naming or Naming()
    _check_asked(reviewing, recipe)
    assert reviewing.reviewed is not None  # as was checked
    assert reviewing.parent is not None
    assert reviewing.scans is not None
    check_output(out)
    study, review = Study.open(study_folder), Review.opened(reviewing.reviewed)
    with opened(reviewing.parent) as bundle:
        verify(bundle, reviewing.parent)
        content, digest = bundle.content, sha256(bundle.folder / MODEL)
    final, judged = _cells_of(study, content, reviewing.parent)
    scans = _scans(reviewing.scans, to_learn_from(review), review)
    _check_held_out(study, [final, *judged], scans, reviewing)
    with report("reviewed scans") as reporter:
        lessons = review_crop(reviewing.parent, scans, review, jobs=jobs, on_progress=reporter)
    made: dict[str, Path] = {}
    for cell in [*judged, final]:
        if cell.name in made:
            continue
        new = review_cell(cell.folder, lessons, _name(study, cell, digest))
        fold = read_setup(cell).fold
        where = "all" if fold == ALL_FOLD else f"fold {fold}"
        with report(f"{where}, stage 2 learns") as reporter:
            stage2_train(new, _as_before(cell, recipe), on_progress=reporter, on_note=reporter.note)
        if cell in judged:
            with report(f"{where}, classify") as reporter:
                stage2_classify(new, on_progress=reporter, on_note=reporter.note)
        made[cell.name] = new
    heritage = _heritage(content, digest, judged, scans, lessons, review)
    make(made[final.name], [made[cell.name] for cell in judged], out, named(naming, out), heritage)
    with opened(out) as bundle:
        return bundle.content


def _check_asked(reviewing: Reviewing, recipe: Training) -> None:
    """Refuse what goes not together.

    Raises
    ------
    UsageError
    """
    if not (reviewing.reviewed and reviewing.parent and reviewing.scans):
        raise UsageError("--reviewed, --parent and --scans belong together: give all of them, or none.")
    other = [
        each.name
        for each in declared(Training).values()
        if each.field not in ("epochs", "seed") and getattr(recipe, each.field) != each.default
    ]
    if other:
        raise UsageError(
            f"--{other[0]} is decided by the model that was reviewed. Leave it out; stage 1 stays as it is, and "
            "stage 2 learns again."
        )


def _cells_of(study: Study, content: Content, model: Path) -> tuple[Cell, list[Cell]]:
    """The cell that a model's networks are of, and those by which it was judged.

    Raises
    ------
    MissingError, DataError
    """
    digest = content.files.get(CLASSIFIER, {}).get("sha256")
    cells = [cell for cell in study.cells() if cell.cnn.is_file() and cell.findings.parent.is_dir()]
    final = next((cell for cell in cells if sha256(cell.cnn) == digest), None)
    if final is None:
        raise MissingError(
            f"{study.root}: none of its cells has the second stage of {model}. Give the study that the model was "
            "trained in."
        )
    setup = read_setup(final)
    if setup.fold != ALL_FOLD:
        return final, [final]
    ending = final.name.partition(f"_fold-{ALL_FOLD}")[2]
    judged = []
    for cell in cells:
        other = read_setup(cell)
        same = replace(other, fold="", roles={}, made_from="", seed=None) == replace(
            setup, fold="", roles={}, made_from="", seed=None
        )
        if same and cell != final and cell.name.endswith(f"_fold-{other.fold}{ending}") and cell.findings.is_file():
            judged.append(cell)
    if len(judged) != content.learned.folds:
        raise DataError(
            f"{study.root}: has {len(judged)} classified cells beside {final.name}, and {model} was judged by "
            f"{content.learned.folds}. Run `cmbtk train` on the study again, and review what that model finds."
        )
    return final, judged


def _scans(place: Path, names: Sequence[str], review: Review) -> list[Scan]:
    """The reviewed scans among those at a place.

    Raises
    ------
    MissingError
        If one is not there.
    """
    problems = Problems()
    found = {scan.name: scan for scan in scans_at(place, BidsChoice(), problems, [], out=review.folder)}
    problems.raise_if_any()
    lost = [name for name in names if name not in found]
    if lost:
        raise MissingError(
            f"{place}: lacks {', '.join(lost[:5])}{' ...' * (len(lost) > 5)} of the review. Give what `cmbtk detect` "
            "was given."
        )
    return [found[name] for name in names]


def _check_held_out(study: Study, cells: Sequence[Cell], scans: Sequence[Scan], reviewing: Reviewing) -> None:
    """Refuse to learn from people on whom the models are judged.

    Raises
    ------
    DataError
    """
    participants = read_participants(study)
    person = dict(zip(participants["participant_id"], participants["person_id"], strict=True))
    held = {
        name for cell in cells for role in ("validation", "test", "control") for name in read_setup(cell).roles[role]
    }
    digests = {digest: name for name in sorted(held) for digest in read_scan_record(study, name).digests}
    persons = {str(person.get(name, name)) for name in held} | {split_session(name)[0] for name in held}
    problems = Problems()
    for scan in scans:
        phase = scan.phase or scan.real
        assert phase is not None  # a scan has one of them
        if (same := digests.get(sha256(phase))) is not None:
            problems.add(
                f"{scan.name}: is the scan of {same}, on whom the models are judged or whose thresholds they have. "
                "Leave it out of the review."
            )
        elif not reviewing.other_persons and person_of(scan.name) in persons:
            problems.add(
                f"{scan.name}: somebody is called so on whom the models are judged. Leave the scan out of the review "
                "if it is the same person; if all those are others, say --other-persons."
            )
    problems.raise_if_any()


def _name(study: Study, cell: Cell, parent: str) -> str:
    """What the new cell is called: after the old one, and the parent by whose findings it learns."""
    return study.cell_named(f"{cell.name.partition('_reviewed-')[0]}_reviewed-{parent[:8]}").name


def _as_before(cell: Cell, recipe: Training) -> ClassifierTraining:
    """The training that a cell's second stage had, with the epochs and the seed that are asked for."""
    done = record_of(cell.cnn)["parameters"]
    own: dict[str, Any] = {
        each.field: done[each.field] for each in declared(ClassifierTraining).values() if each.field in done
    }
    own["copies"] = tuple(own["copies"]) if own.get("copies") is not None else None
    own |= {} if recipe.epochs is None else {"epochs": recipe.epochs}
    return ClassifierTraining(**{**own, "seed": recipe.seed})


def _heritage(
    content: Content,
    digest: str,
    judged: Sequence[Cell],
    scans: Sequence[Scan],
    lessons: Sequence[Path],
    review: Review,
) -> Heritage:
    names = [scan.name for scan in scans]
    agreed = read_tsv(review.findings, AGREED.needed, may_lack=("verdict",))
    agreed = agreed[agreed["participant_id"].isin(names)]
    yes = microbleeds(agreed)
    rejected = agreed.loc[(agreed["verdict"] == "no") & (agreed["added"] == "no"), "mimic"]
    noted: list[dict[str, Any]] = [record_of(each) for each in lessons]
    return Heritage(
        content,
        digest,
        tuple(judged),
        len({person_of(name) for name in names}),
        len(yes),
        int((yes["added"] == "yes").sum()),
        tuple(sorted(each["digest"] for each in noted)),
        all(each["simulated"] for each in noted),
        dict(Counter(str(word) for word in rejected.astype(object).where(~pd.isna(rejected), NOT_SAID)).most_common()),
    )
