"""``stage1-train``: train the detector of a cell on its Darknet project."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ..darknet.cfg import read_cfg
from ..darknet.engine import TrainingOptions, choose_engine
from ..darknet.project import CFG, check_project
from ..darknet.weights import read_weights
from ..errors import MissingError, UsageError
from ..io.layout import Cell, Study
from ..io.publish import Record, publish, read_record
from ..io.tables import write_tsv
from ..model import OnProgress
from ..report.figures import draw_losses
from .cohort import cell_parameters

__all__ = ["project_digest", "stage1_train"]


def stage1_train(
    cell: Path,
    *,
    weights: Path | None = None,
    seed: int = 0,
    restart: bool = False,
    checkpoint_every_s: float = 60.0,
    engine: str = "auto",
    darknet: Path | None = None,
    on_progress: OnProgress = lambda done, total, what: None,
) -> Path:
    """Train the detector of a cell.

    A training that was interrupted goes on at its last checkpoint when it is called again with the same arguments,
    and ends with the same weights as one that was not.

    Parameters
    ----------
    cell : Path
        A cell with a Darknet project; how long and how to train stands in its ``yolo.cfg``.
    weights : Path, optional
        Darknet weights to begin with: those of the same network, or of its first layers.
    seed : int
        Decides the first weights and the order of the images.
    restart : bool
        Begin anew, even if there is a checkpoint or a finished training.
    checkpoint_every_s : float
        Seconds between two checkpoints.
    engine : {"auto", "embedded", "darknet"}
    darknet : Path, optional
        A Darknet binary.
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
    cell_parameters(files)
    if weights is not None:
        if not weights.is_file():
            raise MissingError(f"{weights}: starting weights not found. Check the path, or leave --weights out.")
        read_weights(weights, read_cfg(files.project / CFG), partial=True)
    chosen = choose_engine(engine, darknet)
    record = Record(
        step="stage1-train",
        parameters={
            "seed": seed,
            "project": project_digest(files),
            "iterations": read_cfg(files.project / CFG).net.max_batches,
        },
        sources=(files.project / CFG, *([weights] if weights is not None else [])),
        engine=chosen.describe(),
    )
    checkpoint = files.scratch / "yolo.checkpoint.npz"
    if restart:
        checkpoint.unlink(missing_ok=True)
    elif record.is_current(files.weights):
        return files.weights
    check_project(files.project)
    options = TrainingOptions(seed, weights, checkpoint, checkpoint_every_s)
    with publish(files.weights, record) as temporary:
        history = chosen.train(files.project, temporary, options, on_progress)
        with publish(files.yolo_history, record) as table:
            write_tsv(history, table)
        with publish(files.yolo_history.with_name("yolo_loss.png"), record) as plot:
            draw_losses(history, None, f"{files.name}: training of the detector", plot)
    checkpoint.unlink(missing_ok=True)
    return files.weights


def project_digest(cell: Cell) -> str:
    """Identity of a cell's project: of what it was made from, the same after it was made again."""
    note = read_record(cell.project)
    if note is None:
        raise MissingError(
            f"{cell.project}: no finished Darknet project. Run `cmbtk prepare-yolo` for this cell first."
        )
    made_from = [note["version"], note["parameters"], [source["sha256"] for source in note["sources"]]]
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
