"""A whole study in little: scans, marks, folds, a cell after both stages, its evaluation; made in a second."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from cmb_toolkit.darknet.recipe import Preparing
from cmb_toolkit.evaluation.recipe import Evaluating, Folding
from cmb_toolkit.io.publish import Record, publish
from cmb_toolkit.io.tables import read_tsv, write_tsv
from cmb_toolkit.sources.table import Table
from cmb_toolkit.steps.evaluate import evaluate
from cmb_toolkit.steps.import_ import import_
from cmb_toolkit.steps.prepare_yolo import prepare_yolo
from cmb_toolkit.steps.split import split
from cmb_toolkit.steps.stage2_crop import stage2_crop
from cmb_toolkit.study.cell import read_setup
from cmb_toolkit.study.geometry import read_geometry
from cmb_toolkit.study.layout import Cell, Study

from .networks import NETWORK
from .volumes import phantom

__all__ = ["CELL", "SUBJECTS", "copied", "make_study"]

SHAPE = (40, 48, 6)
SPACING = (0.9, 0.9, 2.0)
SUBJECTS = ("sub-001", "sub-002", "sub-003", "sub-004", "sub-005", "sub-006")
CELL = "LR_swi+cphase-averaged_fold-1"


def make_study(folder: Path) -> None:
    """Write ``folder/source`` (scans, import table, marks) and ``folder/study``."""
    _write_source(folder / "source")
    root = folder / "study"
    source = folder / "source"
    import_(Table(marks=(source / "marks.tsv",)), source / "files.tsv", root, on_progress=_quiet)
    study = Study.open(root)
    random = np.random.default_rng(2)
    for subject in SUBJECTS:
        _write_preprocessed(study, subject, random)
    split(root, Folding(folds=2, seed=1), on_progress=_quiet)
    (folder / "net.cfg").write_text(NETWORK)
    made = prepare_yolo(root, Preparing("1", size=64, mode="resize", cfg=str(folder / "net.cfg"), augment=False))
    (folder / "net.cfg").rename(root / "net.cfg")
    cell = Study.of_cell(made)[1]
    _write_candidates(study, cell)
    stage2_crop(cell.folder)
    evaluate(cell.folder, Evaluating(most_false=0))


def copied(source: Path, target: Path) -> Path:
    """A copy that shares its files with the first: whoever changes one must write it anew."""
    return Path(shutil.copytree(source, target, copy_function=os.link))


def _write_source(folder: Path) -> None:
    folder.mkdir()
    random = np.random.default_rng(1)
    affine = np.diag([*SPACING, 1.0])
    rows, marks = [], []
    for n, subject in enumerate(SUBJECTS):
        values = phantom(random, SHAPE)
        phase = 4095 * np.tanh(random.standard_normal(SHAPE))
        phase[0, 0, 0], phase[0, 0, 1] = -4096, 4094
        for name, data in (("mag", values), ("phase", phase)):
            nib.save(nib.Nifti1Image(data.astype(np.int16), affine), folder / f"{subject}_{name}.nii.gz")
        control = n == len(SUBJECTS) - 1
        rows.append(
            {
                "participant_id": subject,
                "magnitude": f"{subject}_mag.nii.gz",
                "phase": f"{subject}_phase.nii.gz",
                "resolution": "LR",
                "scanner": "ab"[n % 2],
                "group": "control" if control else "patient",
                "echo_time_ms": 20.0,
                "phase_sign": 1,
            }
        )
        if not control:
            marks += [(subject, SHAPE[0] // 3, SHAPE[1] // 2, SHAPE[2] // 2), (subject, 20, 20 + n, 2)]
    write_tsv(pd.DataFrame(rows), folder / "files.tsv")
    write_tsv(pd.DataFrame(marks, columns=["participant_id", "i", "j", "k"]), folder / "marks.tsv")


def _write_preprocessed(study: Study, subject: str, random: np.random.Generator) -> None:
    values = phantom(random, SHAPE)
    phase = (0.2 * random.standard_normal(SHAPE)).astype(np.float32) * (values > 0)
    study.subject(subject).mkdir()
    for path, data in (
        (study.swi(subject), values),
        (study.magnitude(subject), values),
        (study.phase(subject), phase),
        (study.mask(subject), (values != 0).astype(np.uint8)),
    ):
        nib.save(nib.Nifti1Image(data, np.diag([*SPACING, 1.0])), path)


def _write_candidates(study: Study, cell: Cell) -> None:
    """What stage 1 would have found and stage 2 said of it: each mark, one beside it and one elsewhere."""
    roles = read_setup(cell).roles
    role_of = {subject: role for role, names in roles.items() for subject in names}
    rows = []
    marks = read_tsv(study.microbleeds)
    places = marks[["i", "j", "k"]].to_numpy(float).tolist()
    for n, (subject, (i, j, k)) in enumerate(zip(marks["participant_id"], places, strict=True)):
        rows.append((subject, i, j, int(k), 0.9 - 0.01 * n, 0.8, True))
        rows.append((subject, 10.5, 12.25 + n, 4, 0.3 + 0.01 * n, 0.2, False))
    rows += [("sub-006", 15.0, 15.0, 3, 0.5, 0.6, True)]
    table = pd.DataFrame(
        [row for row in rows if row[0] in role_of],
        columns=["participant_id", "i", "j", "k", "confidence", "probability", "kept"],
    )
    table.insert(0, "candidate_id", [f"{s}_cand-{n:04d}" for n, s in enumerate(table["participant_id"], 1)])
    table["role"] = table["participant_id"].map(role_of)
    for axis, mm, name in zip("ijk", SPACING, ("x_mm", "y_mm", "z_mm"), strict=True):
        table[name] = table[axis] * mm
    frame = read_geometry(study, "sub-001", size=64, mode="resize").frame
    column = frame.scale_column * (SHAPE[0] - table["i"] - 0.5) + frame.offset_column
    row = frame.scale_row * (SHAPE[1] - table["j"] - 0.5) + frame.offset_row
    table["left"], table["top"], table["right"], table["bottom"] = column - 10, row - 10, column + 10, row + 10
    looked_at = sorted(set(table["role"]))
    given, chosen = {"value": 0.05, "chosen": "given"}, {"value": 0.5, "chosen": "on the validation subjects"}
    with publish(cell.candidates, Record("stage1-detect", {"roles": looked_at})) as path:
        path.note(threshold=given)
        write_tsv(table.drop(columns=["probability", "kept"]), path)
    with publish(cell.findings, Record("stage2-classify", {})) as path:
        path.note(threshold=chosen)
        write_tsv(table, path)
    at = np.arange(1, 31)
    history = {"iteration": at, "loss": 20 / at, "avg_loss": 21 / at, "images": at * 4, "seconds": at * 0.5}
    write_tsv(pd.DataFrame(history).assign(rate=1e-3, engine="embedded"), cell.yolo_history)
    epochs = {"epoch": at, "loss": 1 / at, "val_loss": 1.1 / at, "val_auc": 0.9, "best": True}
    write_tsv(pd.DataFrame(epochs), cell.cnn_history)


def _quiet(done: int, total: int, what: str) -> None:
    """No progress."""
