"""``stage1-train``: train the detector of a cell on its Darknet project."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from ..darknet.cfg import Cfg, read_cfg
from ..darknet.engine import TrainingOptions, engine_to_train
from ..darknet.project import CFG, TRAIN_LIST, check_project, read_list
from ..darknet.recipe import DetectorTraining
from ..darknet.state import first_weights
from ..errors import DataError, MissingError
from ..io.lock import locked
from ..io.publish import Record, publish, replacing
from ..io.tables import write_tsv
from ..io.warned import Warned
from ..methods.yolo_watch import watching
from ..model import OnProgress
from ..report.watching import draw_training
from ..schema import YOLO_WATCH
from ..slices import is_copy
from ..study.layout import Cell, Study
from ..study.made_from import edited_in_project, other_marks, project_digest
from ..study.purposes import trained_detector

__all__ = ["stage1_train"]

REVISION = 1


def stage1_train(
    cell: Path,
    recipe: DetectorTraining | None = None,
    *,
    restart: bool = False,
    on_note: Callable[[str], None] = lambda note: None,
    on_progress: OnProgress = lambda done, total, what: None,
) -> Path:
    """Train the detector of a cell.

    What the network is trained for (:class:`cmb_toolkit.purpose.Purpose`) is noted in the provenance of its weights.

    A training that was interrupted goes on at its newest checkpoint when it is called again with the same arguments,
    with another engine if need be. The embedded engine alone ends with the same weights as if it had not been
    interrupted.

    Parameters
    ----------
    cell : Path
        A cell with a Darknet project; how long and how to train stands in its ``yolo.cfg``.
    recipe : DetectorTraining, optional
        How often validation subjects are looked at: see :func:`cmb_toolkit.methods.yolo_watch.watching`; the last time
        after the last iteration. The ``best`` weights are those with the greatest mean over 20, 50 and 100 false
        positives a subject (of equals the nearer, then the later); where no validation subject has a microbleed, the
        last ones.
    restart : bool
        Begin anew, even if there is a checkpoint or a finished training.
    on_note : callable
        Given lines before the work begins: which engine it is, why, and what to know of it; and what may be wrong.
    on_progress : callable
        Called after each iteration, with loss and learning rate.

    Returns
    -------
    Path
        The weights. Beside them are ``yolo_history.tsv`` (a row per iteration), ``yolo_watch.tsv`` (two rows a look)
        and ``yolo_loss.png``.

    Raises
    ------
    UsageError, MissingError, DataError, DarknetError, StorageError
        Among others a DataError if lists, labels or images of the project were changed since they were written, and a
        DarknetError if the detector has learned nothing.
    """
    recipe = recipe or DetectorTraining()
    study, files = Study.of_cell(cell)
    project = project_digest(files)
    cfg = _startable(files, recipe)
    chosen = engine_to_train(recipe.engine, recipe.darknet, cfg, recipe.precision)
    warned = Warned(on_note)
    warned.add(*other_marks(study, files), *_listed_as_they_are(files, chosen.name, cfg))
    asked = recipe.parameters()
    for name in ("checkpoint_every_s", "engine"):  # how, and not what
        del asked[name]
    record = Record(
        step="stage1-train",
        parameters={**asked, "project": project, "iterations": cfg.net.max_batches},
        sources=(files.project / CFG, *([recipe.weights] if recipe.weights is not None else [])),
        engine=chosen.describe(),
        revision=REVISION,
    )
    with locked(files.training_lock, f"the cell {files.name}"):
        if restart:
            shutil.rmtree(files.training, ignore_errors=True)
        elif record.is_current(files.weights):
            warned.again(files.weights)
            return files.weights
        check_project(files.project)
        trained_for = trained_detector(study, files)
        if chosen.note:
            on_note(chosen.note)
        watched = watching(study, files, cfg, points=recipe.watch, select=recipe.select)
        warned.add(*watched.warnings)
        title = f"{files.name}: training of the detector"

        def draw_live(history: pd.DataFrame) -> None:
            with replacing(files.live_loss) as live:
                draw_training(history, watched.table, title, live)

        options = TrainingOptions(
            recipe.seed,
            recipe.weights,
            recipe.count_on,
            files.training,
            recipe.checkpoint_every_s,
            on_history=draw_live,
            watch=watched.watch,
        )
        with publish(files.weights, record) as out:
            history = chosen.train(files.project, out, options, on_progress)
            warned.add(*watched.verdict(files, cfg))
            with publish(files.yolo_history, record) as table:
                write_tsv(history, table)
            with publish(files.yolo_watch, record) as table:
                table.note(columns=YOLO_WATCH.described())
                write_tsv(watched.table, table)
            with publish(files.yolo_loss, record) as plot:
                draw_training(history, watched.table, title, plot)
            out.note(trained_for=trained_for.as_json(), watch=watched.as_json(cfg), warnings=warned.lines)
        shutil.rmtree(files.training, ignore_errors=True)
    return files.weights


def _startable(files: Cell, recipe: DetectorTraining) -> Cfg:
    """The network of a cell's project, if it can be trained as it is, from these weights."""
    if changed := edited_in_project(files):
        raise DataError(
            f"{files.project}: {', '.join(changed)} changed since `cmbtk prepare-yolo` wrote this project, and a "
            "training on it would not be what its record says. Correct marks in microbleeds.tsv and roles in "
            "folds.tsv, and run `cmbtk prepare-yolo` again, which writes labels and lists from these tables; if they "
            "are right, remove this folder first."
        )
    cfg = read_cfg(files.project / CFG)
    if recipe.weights is not None and not recipe.weights.is_file():
        raise MissingError(f"{recipe.weights}: starting weights not found. Check the path, or leave --weights out.")
    first_weights(cfg, recipe.seed, recipe.weights, count_on=recipe.count_on)
    return cfg


def _listed_as_they_are(files: Cell, engine: str, cfg: Cfg) -> list[str]:
    """Say where a Darknet will show few images again and again, that the embedded engine would draw anew."""
    if engine != "binary" or cfg.net.draw is None:
        return []
    listed = read_list(files.project / TRAIN_LIST)
    if any(is_copy(Path(line).stem) for line in listed):
        return []
    return [
        f"a Darknet does not draw images anew (draw=1): it will show the {len(listed)} listed slices as they are, and "
        "learn them by heart. Write turned and mirrored copies with `cmbtk prepare-yolo --augment`, or train with "
        "--engine embedded"
    ]
