"""``stage1-train``: train the detector of a cell on its Darknet project."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from ..darknet.cfg import read_cfg
from ..darknet.engine import TrainingOptions, engine_to_train
from ..darknet.lock import locked
from ..darknet.project import CFG, check_project
from ..darknet.state import first_weights
from ..errors import MissingError, UsageError
from ..io.layout import Cell, Study
from ..io.publish import Record, publish, read_record
from ..io.tables import write_tsv
from ..model import OnProgress
from ..report.figures import draw_losses

__all__ = ["project_digest", "stage1_train"]


def stage1_train(
    cell: Path,
    *,
    weights: Path | None = None,
    count_on: bool = False,
    seed: int = 0,
    restart: bool = False,
    checkpoint_every_s: float = 60.0,
    engine: str = "auto",
    darknet: Path | None = None,
    on_note: Callable[[str], None] = lambda note: None,
    on_progress: OnProgress = lambda done, total, what: None,
) -> Path:
    """Train the detector of a cell.

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
    checkpoint_every_s : float
        Seconds between two checkpoints.
    engine : {"auto", "embedded", "binary"}
    darknet : Path, optional
        A Darknet binary.
    on_note : callable
        Given one line before the work begins: which engine it is, why, and what to know of it.
    on_progress : callable
        Called after each iteration, with loss and learning rate.

    Returns
    -------
    Path
        The weights. Beside them are ``yolo_history.tsv`` (a row per iteration) and ``yolo_loss.png``.

    Raises
    ------
    UsageError, MissingError, DataError, DarknetError, StorageError
    """
    if checkpoint_every_s <= 0:
        raise UsageError(f"checkpoints every {checkpoint_every_s} s: must be above 0.")
    _, files = Study.of_cell(cell)
    project_digest(files)
    cfg = read_cfg(files.project / CFG)
    if weights is not None and not weights.is_file():
        raise MissingError(f"{weights}: starting weights not found. Check the path, or leave --weights out.")
    first_weights(cfg, seed, weights, count_on=count_on)
    chosen = engine_to_train(engine, darknet, cfg)
    record = Record(
        step="stage1-train",
        parameters={
            "seed": seed,
            "project": project_digest(files),
            "iterations": cfg.net.max_batches,
            **({"count_on": True} if count_on else {}),
        },
        sources=(files.project / CFG, *([weights] if weights is not None else [])),
        engine=chosen.describe(),
    )
    with locked(files.training_lock, f"the cell {files.name}"):
        if restart:
            shutil.rmtree(files.training, ignore_errors=True)
        elif record.is_current(files.weights):
            return files.weights
        check_project(files.project)
        if chosen.note:
            on_note(chosen.note)
        title = f"{files.name}: training of the detector"

        def draw_live(history: pd.DataFrame) -> None:
            live = files.live_loss.with_name(f".tmp.{files.live_loss.name}")
            draw_losses(history, None, title, live)
            live.replace(files.live_loss)

        options = TrainingOptions(
            seed, weights, count_on, files.training, checkpoint_every_s=checkpoint_every_s, on_history=draw_live
        )
        with publish(files.weights, record) as temporary:
            history = chosen.train(files.project, temporary, options, on_progress)
            with publish(files.yolo_history, record) as table:
                write_tsv(history, table)
            with publish(files.yolo_loss, record) as plot:
                draw_losses(history, None, title, plot)
        shutil.rmtree(files.training, ignore_errors=True)
    return files.weights


def project_digest(cell: Cell) -> str:
    """Identity of a cell's project: of what it was made from, the same after it was made again."""
    note = read_record(cell.project)
    if note is None or not cell.project.is_dir():
        raise MissingError(
            f"{cell.project}: no finished Darknet project. Run `cmbtk prepare-yolo` for this cell first."
        )
    made_from = [note["version"], note["parameters"], [source["sha256"] for source in note["sources"]]]
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
