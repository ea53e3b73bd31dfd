"""``stage1-train``: train the detector of a cell on its Darknet project."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pandas as pd

from ..darknet.cfg import Cfg, read_cfg
from ..darknet.engine import TrainingOptions, engine_to_train
from ..darknet.project import CFG, TRAIN_LIST, check_project, read_list
from ..darknet.state import first_weights
from ..darknet.watching import SELECT
from ..errors import DataError, MissingError, UsageError
from ..io.lock import locked
from ..io.publish import Record, publish, replacing
from ..io.tables import write_tsv
from ..io.warned import Warned
from ..methods.yolo_watch import COLUMNS, watching
from ..model import OnProgress
from ..report.watching import draw_training
from ..slices import is_copy
from ..study.layout import Cell, Study
from ..study.made_from import edited_in_project, other_marks, project_digest
from ..study.purposes import trained_detector

__all__ = ["stage1_train"]

REVISION = 1


def stage1_train(
    cell: Path,
    *,
    weights: Path | None = None,
    count_on: bool = False,
    seed: int = 0,
    restart: bool = False,
    watch: int = 10,
    select: Literal["best", "last"] = "best",
    checkpoint_every_s: float = 60.0,
    engine: str = "auto",
    darknet: Path | None = None,
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
    weights : Path, optional
        Darknet weights to begin with: those of the same network, or of its first layers.
    count_on : bool
        Count iterations on from where those weights were saved, with learning rate and warm-up, and not from 1.
    seed : int
        Decides the first weights and the order of the images.
    restart : bool
        Begin anew, even if there is a checkpoint or a finished training.
    watch : int
        Looks at validation subjects, and at as many training subjects, at equal distances, the last one after the last
        iteration; see :func:`cmb_toolkit.methods.yolo_watch.watching`. 0: never.
    select : {"best", "last"}
        Which weights are kept: those that found most microbleeds of the validation subjects (the mean over 20, 50 and
        100 false positives a subject; of equals the nearer, then the later), or the last ones, as in the paper and
        where no validation subject has a microbleed.
    checkpoint_every_s : float
        Seconds between two checkpoints.
    engine : {"auto", "embedded", "binary"}
    darknet : Path, optional
        A Darknet binary.
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
    if checkpoint_every_s <= 0:
        raise UsageError(f"checkpoints every {checkpoint_every_s} s: must be above 0.")
    if watch < 0 or select not in SELECT:
        raise UsageError(f"--watch must be 0 or more, and --select {' or '.join(SELECT)}. Found {watch}, {select}.")
    study, files = Study.of_cell(cell)
    project = project_digest(files)
    if changed := edited_in_project(files):
        raise DataError(
            f"{files.project}: {', '.join(changed)} changed since `cmbtk prepare-yolo` wrote this project, and a "
            "training on it would not be what its record says. Correct marks in microbleeds.tsv and roles in "
            "folds.tsv, and run `cmbtk prepare-yolo` again, which writes labels and lists from these tables; if they "
            "are right, remove this folder first."
        )
    cfg = read_cfg(files.project / CFG)
    if weights is not None and not weights.is_file():
        raise MissingError(f"{weights}: starting weights not found. Check the path, or leave --weights out.")
    first_weights(cfg, seed, weights, count_on=count_on)
    chosen = engine_to_train(engine, darknet, cfg)
    warned = Warned(on_note)
    warned.add(*other_marks(study, files), *_listed_as_they_are(files, chosen.name, cfg))
    record = Record(
        step="stage1-train",
        parameters={
            "seed": seed,
            "project": project,
            "iterations": cfg.net.max_batches,
            "watch": watch,
            "select": select,
            **({"count_on": True} if count_on else {}),
        },
        sources=(files.project / CFG, *([weights] if weights is not None else [])),
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
        watched = watching(study, files, cfg, points=watch, select=select)
        warned.add(*watched.warnings)
        title = f"{files.name}: training of the detector"

        def draw_live(history: pd.DataFrame) -> None:
            with replacing(files.live_loss) as live:
                draw_training(history, watched.table, title, live)

        options = TrainingOptions(
            seed, weights, count_on, files.training, checkpoint_every_s, on_history=draw_live, watch=watched.watch
        )
        with publish(files.weights, record) as out:
            history = chosen.train(files.project, out, options, on_progress)
            warned.add(*watched.verdict(files, cfg))
            with publish(files.yolo_history, record) as table:
                write_tsv(history, table)
            with publish(files.yolo_watch, record) as table:
                table.note(columns=COLUMNS)
                write_tsv(watched.table, table)
            with publish(files.yolo_loss, record) as plot:
                draw_training(history, watched.table, title, plot)
            out.note(trained_for=trained_for.as_json(), watch=watched.as_json(cfg), warnings=warned.lines)
        shutil.rmtree(files.training, ignore_errors=True)
    return files.weights


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
