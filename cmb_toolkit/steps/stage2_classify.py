"""``stage2-classify``: a probability for every candidate, and which ones are kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..detectors import DETECTORS
from ..errors import DataError, MissingError, UsageError
from ..evaluation.thresholds import choose_threshold
from ..io.publish import Record, publish
from ..io.tables import read_tsv, write_tsv
from ..io.warned import Warned
from ..machine import stopwatch
from ..model import OnProgress
from ..stage2.batches import in_batches
from ..stage2.looking import looking
from ..stage2.recipe import Classifying
from ..stage2.weighing import pooled
from ..study.cell import finding, labelled_by, read_setup
from ..study.evidence import hit_distance, validated
from ..study.layout import Cell, Study
from ..study.made_from import changed_in_cell, check_patches, patches_digest
from ..study.patches import check_values, read_patches
from ..study.purposes import check_classifier
from ..study.truth import truth_table

__all__ = ["DEFAULT", "stage2_classify"]

REVISION = 1

DEFAULT = 0.5
"""Threshold where none is given and none can be chosen: the likelier of two classes."""

MOST_FALSE = 0.5
"""False positives per validation subject where nothing is asked for. The greatest F1 hangs on the faintest of few
microbleeds: where the network tells those of validation apart, it asks so much of the others that they are lost."""


BY_VALIDATION = "on the validation subjects"
"""How a threshold was chosen, as provenance has it."""


def stage2_classify(
    cell: Path,
    recipe: Classifying | None = None,
    *,
    on_note: Callable[[str], None] = lambda note: None,
    on_progress: OnProgress = lambda done, total, what: None,
) -> Path:
    """Classify every candidate of a cell.

    Parameters
    ----------
    cell : Path
        A cell with patches and a trained network.
    recipe : Classifying, optional
        A threshold chosen on the *validation* subjects counts each microbleed once, however many candidates lie on
        it, under the rule that the patches were labelled by; of all values that keep the same candidates the middle
        one is taken. By default it is the lowest that leaves at most :data:`MOST_FALSE` false positives per validation
        subject, where one can be chosen, else :data:`DEFAULT`.
    on_note : callable
        Given a line for each thing that may be wrong; they stand in the provenance as well.
    on_progress : callable
        Called after each batch.

    Returns
    -------
    Path
        ``findings.tsv``: the candidates with ``network_probability``, ``probability`` and ``kept``. The threshold used
        stands in its provenance.

    Raises
    ------
    UsageError, MissingError, DataError, StorageError
        Among others a DataError if the network was trained for other patches, these were changed by hand, or the
        network tells nothing apart (:mod:`cmb_toolkit.stage2.skill`).
    """
    recipe = recipe or Classifying()
    by_default = recipe.threshold is None and recipe.most_false is None
    most_false = MOST_FALSE if by_default else recipe.most_false
    threshold = "validation" if recipe.threshold is None else recipe.threshold
    if most_false is not None and threshold != "validation":
        raise UsageError("--most-false needs a threshold chosen on the validation subjects.")
    study, files = Study.of_cell(cell)
    digest = patches_digest(files)
    for path, before in ((files.cnn, "stage2-train"), (files.candidates, finding(files))):
        if not path.is_file():
            raise MissingError(f"{path}: not found. Run `cmbtk {before}` on this cell first.")
    check_patches(files)
    candidates = read_tsv(files.candidates, ["candidate_id", "participant_id", "role", "confidence"])
    by = _by(files, recipe.by)
    warned = Warned(on_note)
    warned.add(*check_classifier(study, files, candidates["participant_id"].unique()))
    warned.add(*changed_in_cell(study, files))
    sources = [files.cnn, files.candidates]
    if threshold == "validation":
        sources.append(study.microbleeds)
    asked: dict[str, Any] = {"threshold": threshold, "most_false": most_false, "by": by, "patches": digest}
    asked |= {"by_default": True} if by_default else {}
    looks = looking(files.cnn)
    record = Record("stage2-classify", asked, tuple(sources), looks.engine, REVISION)
    if record.is_current(files.findings):
        warned.again(files.findings)
        return files.findings
    table, patches = _patches_of(files, candidates)
    classifier = looks.classifier()
    timed = stopwatch()
    probability = in_batches(classifier, patches, batch=recipe.batch, on_progress=on_progress)
    _check_skill(files, table, probability)
    probability = probability[: len(candidates)]
    work = timed(sum(len(read_setup(files).roles[role]) for role in candidates["role"].unique()))
    decides = pooled(candidates["confidence"].to_numpy(float), probability) if by == "both" else probability
    # as many digits as the table keeps, so that kept and probability agree there
    columns = {"network_probability": probability, "probability": decides}
    findings = candidates.assign(**{name: [float(f"{p:.6g}") for p in column] for name, column in columns.items()})
    if threshold == "validation":
        value, chosen = _chosen(study, files, findings, most_false, warned if by_default else None)
        if chosen == BY_VALIDATION:
            warned.add(*_too_little(study, files))
    else:
        value, chosen = float(threshold), "given"
    findings["kept"] = findings["probability"] >= value
    with publish(files.findings, record) as out:
        out.note(
            threshold={"value": value, "chosen": chosen},
            work=work,
            kept={str(role): int(kept.sum()) for role, kept in findings.groupby("role")["kept"]},
            warnings=warned.lines,
        )
        write_tsv(findings, out)
    return files.findings


def _by(cell: Cell, asked: str) -> str:
    """Whose word counts: stage 2's alone where stage 1 knows no probabilities, or as the method was published."""
    detector = DETECTORS[read_setup(cell).method]
    learned = detector.learns
    if asked == "both" and not learned:
        raise UsageError(
            f"{cell.folder}: candidates of `cmbtk {finding(cell)}` have no probability of their own. Take --by stage2."
        )
    return asked if asked != "auto" else "both" if learned and not detector.network else "stage2"


def _patches_of(cell: Cell, candidates: pd.DataFrame) -> tuple[pd.DataFrame, NDArray[np.float32]]:
    """The patches of the candidates, row by row, and after them those of the marks of validation subjects: with these
    the network was chosen, and is judged."""
    table, patches = read_patches(cell.patches)
    first = table.iloc[: len(candidates)]
    if list(first["candidate_id"]) != list(candidates["candidate_id"]) or (
        list(table["origin"] == "candidate") != [n < len(candidates) for n in range(len(table))]
    ):
        raise DataError(
            f"{cell.patches}: not made from the present {cell.candidates.name}. "
            "Run `cmbtk stage2-crop` and `cmbtk stage2-train` again."
        )
    used = np.flatnonzero((table["origin"] == "candidate") | (table["role"] == "validation"))
    return table.iloc[used], check_values(cell.patches, patches[used])


def _check_skill(cell: Cell, table: pd.DataFrame, probability: NDArray[np.float64]) -> None:
    """Refuse a network that tells nothing apart; where too few validation patches could show it, one whose outputs are
    all the same."""
    from ..stage2.skill import FLAT, LEAST, auc, no_skill, spread

    mine = ((table["role"] == "validation") & table["label"].notna()).to_numpy()
    labels = table["label"].to_numpy()[mine].astype(np.intp)
    why = no_skill(labels, auc(labels, probability[mine]), spread(probability[mine]))
    if not why and len(probability) >= LEAST and spread(probability) <= FLAT:
        why = f"gives one output for all {len(probability)} patches"
    if why:
        raise DataError(
            f"{cell.cnn}: the network {why}. "
            "Train it again with `cmbtk stage2-train`, with another --seed or --network."
        )


def _too_little(study: Study, cell: Cell) -> list[str]:
    """Say what is too little to choose a threshold by."""
    subjects = read_setup(cell).roles["validation"]
    reach = labelled_by(cell).reach_mm
    near = hit_distance(study, reach, subjects) if reach is not None else []
    return [*validated(study, "the threshold of stage 2", subjects), *near]


def _chosen(
    study: Study, cell: Cell, findings: pd.DataFrame, most_false: float | None, warned: Warned | None
) -> tuple[float, str]:
    """The threshold chosen on the validation subjects and how it was chosen; where that cannot be and nobody asked for
    it, :data:`DEFAULT`, with a warning."""
    setup, rule = read_setup(cell), labelled_by(cell)
    subjects = setup.roles["validation"]
    truth = truth_table(study, subjects, size=setup.size, mode=setup.mode)
    try:
        return choose_threshold(findings, truth, rule, subjects, "probability", most_false=most_false), BY_VALIDATION
    except DataError as error:
        if warned is None:
            raise
        warned.add(f"the threshold is {DEFAULT:g}, for none could be chosen: {str(error).rstrip('.')}")
        return DEFAULT, "by default, as none could be chosen on validation subjects"
