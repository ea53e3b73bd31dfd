"""``stage2-classify``: a probability for every candidate, and which ones are kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from ..errors import DataError, MissingError, UsageError
from ..evaluation.metrics import choose_threshold, threshold_within
from ..evaluation.rules import Rule
from ..io.layout import Cell, Study
from ..io.patches import read_patches
from ..io.publish import Record, publish, read_record
from ..io.tables import read_tsv, write_tsv
from ..model import OnProgress
from .cohort import cell_parameters
from .machine import stopwatch
from .stage2_crop import patches_digest
from .truth import truth_table

__all__ = ["stage2_classify"]


def stage2_classify(
    cell: Path,
    *,
    threshold: float | Literal["validation"] = "validation",
    most_false: float | None = None,
    batch: int = 256,
    on_progress: OnProgress = lambda done, total, what: None,
) -> Path:
    """Classify every candidate of a cell.

    Parameters
    ----------
    cell : Path
        A cell with patches and a trained network.
    threshold : float or "validation"
        Candidates with at least this probability are kept. ``validation`` takes the one with the greatest F1 over the
        microbleeds of the *validation* subjects (each counts once, however many candidates lie on it), under the rule
        that the patches were labelled by; of all values that keep the same candidates it takes the middle one.
    most_false : float, optional
        For ``validation``: instead of the greatest F1, the lowest threshold that leaves at most so many false
        positives per validation subject (paper: 1.42 in HR, 1.89 in LR).
    batch : int
        Patches at a time.
    on_progress : callable
        Called after each batch.

    Returns
    -------
    Path
        ``findings.tsv``: the candidates with ``probability`` and ``kept``. The threshold used stands in its
        provenance.

    Raises
    ------
    UsageError, MissingError, DataError, StorageError
    """
    from ..stage2.training import engine

    if threshold != "validation" and not (isinstance(threshold, int | float) and 0 <= threshold <= 1):
        raise UsageError(f"threshold {threshold}: must be from 0 to 1, or validation.")
    if most_false is not None and (threshold != "validation" or not most_false > 0):
        raise UsageError("--most-false needs a number above 0, and a threshold chosen on the validation subjects.")
    if batch < 1:
        raise UsageError(f"batch {batch}: must be 1 or more.")
    study, files = Study.of_cell(cell)
    digest = patches_digest(files)
    for path, before in ((files.cnn, "stage2-train"), (files.candidates, "stage1-detect")):
        if not path.is_file():
            raise MissingError(f"{path}: not found. Run `cmbtk {before}` on this cell first.")
    sources = [files.cnn, files.candidates]
    if threshold == "validation":
        sources.append(study.microbleeds)
    extra: dict[str, Any] = {}
    asked = {"threshold": threshold, "most_false": most_false, "patches": digest}
    record = Record("stage2-classify", asked, tuple(sources), engine(), extra)
    if record.is_current(files.findings):
        return files.findings
    candidates = read_tsv(files.candidates, ["candidate_id", "participant_id", "role"])
    table, patches = read_patches(files.patches)
    first = table.iloc[: len(candidates)]
    if list(first["candidate_id"]) != list(candidates["candidate_id"]) or (
        list(table["origin"] == "candidate") != [n < len(candidates) for n in range(len(table))]
    ):
        raise DataError(
            f"{files.patches}: not made from the present {files.candidates.name}. "
            "Run `cmbtk stage2-crop` and `cmbtk stage2-train` again."
        )
    from ..stage2 import networks
    from ..stage2.training import predict

    model = networks.load(files.cnn)
    timed = stopwatch()
    probability = predict(model, patches[: len(candidates)], batch=batch, on_progress=on_progress)
    work = timed(sum(len(cell_parameters(files)["roles"][role]) for role in candidates["role"].unique()))
    # as many digits as the table keeps, so that kept and probability agree there
    findings = candidates.assign(probability=[float(f"{p:.6g}") for p in probability])
    value, chosen = (
        (_threshold(study, files, findings, most_false), "on the validation subjects")
        if threshold == "validation"
        else (float(threshold), "given")
    )
    findings["kept"] = findings["probability"] >= value
    extra["threshold"] = {"value": value, "chosen": chosen}
    extra["work"] = work
    extra["kept"] = {str(role): int(kept.sum()) for role, kept in findings.groupby("role")["kept"]}
    with publish(files.findings, record) as path:
        write_tsv(findings, path)
    return files.findings


def _threshold(study: Study, cell: Cell, findings: pd.DataFrame, most_false: float | None) -> float:
    """The middle of the range of thresholds that keeps the candidates with the greatest F1 on validation, or the
    lowest threshold there with at most `most_false` false positives per subject."""
    parameters = cell_parameters(cell)
    labelled = (read_record(cell.patches) or {})["parameters"]
    rule = Rule(labelled["rule"], distance_mm=labelled["distance_mm"])
    subjects: Sequence[str] = parameters["roles"]["validation"]
    mine = findings[findings["role"] == "validation"]
    truth = truth_table(study, subjects, size=parameters["size"], mode=parameters["mode"])
    if most_false is not None:
        return threshold_within(mine, truth, rule, subjects, "probability", most_false=most_false)
    upper = choose_threshold(mine, truth, rule, subjects, "probability")
    below = mine["probability"][mine["probability"] < upper]
    return float(f"{(upper + (below.max() if len(below) else 0.0)) / 2:.6g}")
