"""``stage2-train``: train the 3D-CNN of a cell on the patches of its training subjects."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..classifiers import CLASSIFIERS
from ..detectors import DETECTORS
from ..errors import DataError
from ..io.publish import Record, publish
from ..io.tables import write_tsv
from ..io.warned import Warned
from ..keras_settings import keras_engine, parameters_trained
from ..machine import cores, in_words
from ..model import OnProgress
from ..stage2.recipe import ClassifierTraining, Scheduled
from ..stage2.schedule import duration, scheduled
from ..study.cell import read_setup
from ..study.evidence import validated
from ..study.layout import Cell, Study
from ..study.made_from import check_patches, patches_digest
from ..study.patches import TABLE, check_values, read_patches
from ..study.purposes import trained_classifier

__all__ = ["stage2_train"]

REVISION = 1

_Patches: TypeAlias = tuple[NDArray[np.float32], NDArray[np.intp]]
"""Patches and their labels."""


def stage2_train(
    cell: Path,
    recipe: ClassifierTraining | None = None,
    *,
    restart: bool = False,
    on_note: Callable[[str], None] = lambda note: None,
    on_progress: OnProgress = lambda done, total, what: None,
) -> Path:
    """Train the second stage of a cell.

    Learns from the training subjects and keeps the epoch that is best on the validation subjects; the rows of test
    and control subjects are never read. Interrupted, the same call goes on at the epoch it was in and ends with the
    same weights. A training that learns nothing begins again with the next seed, at most twice; which did, and why,
    stands in the provenance as ``restarts``.

    Parameters
    ----------
    cell : Path
        A cell with patches.
    recipe : ClassifierTraining, optional
    restart : bool
        Begin anew, even if there is a checkpoint or a finished training.
    on_note : callable
        Given a line on what is trained and how long that takes, and one for each thing that may be wrong; the latter
        stand in the provenance as well.
    on_progress : callable
        Called after every step, with the losses so far.

    Returns
    -------
    Path
        ``cnn.keras``; beside it are ``cnn_history.tsv`` (a row per epoch of every seed) and ``cnn_loss.png``.

    Raises
    ------
    UsageError, MissingError, DataError, StorageError
        Among others a DataError if it learned nothing with any of the seeds; no network is written then.
    """
    from ..device import on_gpu

    study, files = Study.of_cell(cell)
    asked = recipe or ClassifierTraining()
    if asked.network is None:
        asked = replace(asked, network=DETECTORS[read_setup(files).method].network or None)
    plan = scheduled(asked, on_gpu)
    parameters = {**asdict(plan), "patches": patches_digest(files)}
    del parameters["schedule"]  # what it stands for is there
    check_patches(files)
    record = Record("stage2-train", parameters, (files.patches / TABLE,), keras_engine(), REVISION)
    if restart:
        for path in files.scratch.glob("cnn.checkpoint*.npz"):
            path.unlink()
    elif all(record.is_current(path) for path in (files.cnn, files.cnn_history, files.cnn_loss)):
        Warned(on_note).again(files.cnn)
        return files.cnn
    table, training, validation = _patches_of(files, plan.network)
    warned = Warned(on_note)
    warned.add(*validated(study, "the epoch of stage 2", read_setup(files).roles["validation"]))
    trained_for = trained_classifier(study, files).as_json()
    on_note(_announcement(plan, training[1], validation[1]))
    model, history, noted = _train(files, plan, training, validation, warned, on_progress)
    noted |= {
        **{role: _learned_from(table[table["role"] == role]) for role in ("train", "validation")},
        "trained_for": trained_for,
        "warnings": warned.lines,
    }
    _write(files, record, model, history, noted)
    return files.cnn


def _patches_of(files: Cell, network: str) -> tuple[pd.DataFrame, _Patches, _Patches]:
    """The table of patches, and those to train and to validate with.

    Raises
    ------
    DataError
        If they are not of the network's size.
    """
    table, patches = read_patches(files.patches)
    if patches.shape[1] != CLASSIFIERS[network].size:
        raise DataError(
            f"{files.patches}: holds patches of {patches.shape[1]} voxels, but the network {network} takes "
            f"{CLASSIFIERS[network].size}. Run `cmbtk stage2-crop --network {network}` on this cell again."
        )
    rows = partial(_rows, files.patches, table, patches)
    return table, rows("train"), rows("validation")


def _train(
    files: Cell,
    plan: Scheduled,
    training: _Patches,
    validation: _Patches,
    warned: Warned,
    on_progress: OnProgress,
) -> tuple[Any, pd.DataFrame, dict[str, Any]]:
    """The network, its history, and what to note of its training.

    Raises
    ------
    DataError
        If it learned nothing with any of the seeds.
    """
    # only now, after everything was checked: importing Keras takes seconds
    from ..stage2 import networks
    from ..stage2.skill import LEAST, enough
    from ..stage2.training import NoSkillError, train_until_skilled

    if not enough(validation[1]):
        warned.add(
            f"whether stage 2 learns anything is not judged: of its {len(validation[1])} validation patches "
            f"{int(validation[1].sum())} are of microbleeds, and {LEAST} of either kind are needed"
        )
    restarts: list[dict[str, Any]] = []

    def begins_again(failed: int, error: NoSkillError) -> None:
        restarts.append({"seed": failed, "epochs": len(error.history), "why": error.why})
        warned.add(f"with seed {failed} {str(error).rstrip('.')}; it began again with seed {failed + 1}")

    try:
        model, history = train_until_skilled(
            partial(networks.build, plan.network),
            training,
            validation,
            plan,
            checkpoint=files.scratch / "cnn.checkpoint.npz",
            key=json.dumps([patches_digest(files), plan.network, keras_engine()]),
            on_restart=begins_again,
            on_progress=on_progress,
        )
    except NoSkillError as error:
        tried = ", ".join(str(one["seed"]) for one in restarts)
        raise DataError(
            f"{files.folder}: {str(error).rstrip('.')}; nor had it with the seeds {tried}. No network is written. "
            "Train with a lower --learning-rate, more --epochs or another --network (paper, channel or small), and see "
            "whether the patches show what they should (`cmbtk stage2-crop` cuts them)."
        ) from error
    best = history[history["best"]].iloc[-1]
    return (
        model,
        history,
        {
            "best": {"epoch": int(best["epoch"])} | {name: float(best[name]) for name in ("val_loss", "val_auc")},
            "seed_trained": int(best["seed"]),
            "restarts": restarts,
            "parameters_trained": parameters_trained(model),
        },
    )


def _write(files: Cell, record: Record, model: Any, history: pd.DataFrame, noted: dict[str, Any]) -> None:
    from ..report.figures import draw_losses
    from ..stage2 import networks

    writers: dict[Path, Callable[[Path], object]] = {
        files.cnn_history: partial(write_tsv, history),
        files.cnn_loss: lambda path: draw_losses(None, history, f"{files.name}: training of the 3D-CNN", path),
        files.cnn: partial(networks.save, model),
    }
    for target, write in writers.items():
        with publish(target, record) as out:
            out.note(**noted)
            write(out)


def _learned_from(rows: pd.DataFrame) -> dict[str, Any]:
    """Whose patches, and how many of them, for the record."""
    return {
        "subjects": sorted(rows["participant_id"].unique()),
        "microbleed_patches": int((rows["label"] == 1).sum()),
        "other_patches": int((rows["label"] == 0).sum()),
    }


def _announcement(plan: Scheduled, training: NDArray[np.intp], validation: NDArray[np.intp]) -> str:
    """What is trained, on what, and how long that will take."""
    from ..device import on_gpu

    device: Literal["CPU", "GPU"] = "GPU" if on_gpu() else "CPU"
    shown = plan.epochs * int(np.where(training == 1, *plan.copies).sum())
    seconds = duration(plan.network, shown, plan.epochs * len(validation), device, cores())
    marked, others = plan.copies
    return (
        f"Network {plan.network} on a {device}: {len(training)} patches, those of microbleeds {marked} times an epoch "
        f"and others {others}, epochs {plan.epochs}: about {in_words(seconds)}. The paper's own: --schedule paper."
    )


def _rows(folder: Path, table: pd.DataFrame, patches: NDArray[np.float32], role: str) -> _Patches:
    """Labelled patches of one role, copied out of the map: nothing else can be reached from them."""
    rows = np.flatnonzero((table["role"] == role) & table["label"].notna())
    labels = table["label"].to_numpy()[rows]
    if not np.isin(labels, (0, 1)).all():
        raise DataError(f"{folder / TABLE}: labels must be 0 or 1. Run `cmbtk stage2-crop` on this cell again.")
    for label, what, cure in (
        (1, "microbleed", "Take more subjects (`cmbtk split`), or check microbleeds.tsv with `cmbtk check`."),
        (0, "other", "Lower stage 1's threshold (`cmbtk stage1-detect --threshold`) and crop again."),
    ):
        if not (labels == label).any():
            raise DataError(
                f"{folder / TABLE}: no {what} patch among the {len(rows)} of the {role} subjects; stage 2 cannot "
                f"{'learn' if role == 'train' else 'choose its best epoch'} without both kinds. {cure}"
            )
    return check_values(folder, np.array(patches[rows])), labels.astype(np.intp)
