"""A model that has learned from what readers said of another one's findings, held against that one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from ..evaluation.comparison import compare
from ..evaluation.results import evaluate
from ..io.tables import read_tsv
from ..schema import FINDINGS
from ..study.cell import labelled_by, read_setup
from ..study.cohort import read_microbleeds, read_participants
from ..study.layout import Cell, Study
from .content import OPERATING, Compared, Content, Parent

__all__ = ["Heritage", "verdict", "with_parent"]


@dataclass(frozen=True)
class Heritage:
    """What a model is given beside its study.

    Attributes
    ----------
    content : Content
        Of its parent.
    sha256 : str
        Of its parent's ``model.json``.
    judged : tuple of Cell
        The parent's, fold by fold those that the model has.
    persons, microbleeds, added : int
        Of the reviewed scans.
    digests : tuple of str
        Of each reviewed scan.
    simulated : bool
        Whether all of these scans are.
    rejected : mapping
        What findings were taken for that are none -> how many.
    """

    content: Content
    sha256: str
    judged: tuple[Cell, ...]
    persons: int
    microbleeds: int
    added: int
    digests: tuple[str, ...]
    simulated: bool
    rejected: Mapping[str, int]


def with_parent(content: Content, study: Study, judged: Sequence[Cell], heritage: Heritage) -> Content:
    """The content of a model with its parent and what it learned from reviewed scans.

    Parameters
    ----------
    content : Content
        From the study alone.
    study : Study
    judged : sequence of Cell
        The model's, in the order of the parent's.
    heritage : Heritage
    """
    before, learned = heritage.content, content.learned
    subjects, points = _compared(study, heritage.judged, before, judged, content)
    kind = before.learned.kind
    if heritage.simulated != (kind == "simulated"):
        kind = "real and simulated"
    return replace(
        content,
        learned=replace(
            learned,
            kind=kind,
            persons=learned.persons + heritage.persons,
            scans=learned.scans + len(heritage.digests),
            microbleeds=learned.microbleeds + heritage.microbleeds,
            digests=tuple(sorted({*learned.digests, *before.learned.digests, *heritage.digests})),
        ),
        parent=Parent(
            f"{before.name} {before.version}".strip(),
            heritage.sha256,
            len(heritage.digests),
            heritage.microbleeds,
            heritage.added,
            dict(heritage.rejected),
            subjects,
            points,
            verdict(points.get("balanced")),
        ),
    )


def verdict(compared: Compared | None) -> Literal["better", "worse", "not told apart"]:
    """Whether a model is better than its parent: worse where it finds less beyond chance, whatever else it does.

    >>> verdict(Compared((0.8, 0.5, -0.3, -0.5, -0.1), (3.0, 1.0, -2.0, -3.0, -1.0)))
    'worse'
    >>> verdict(Compared((0.8, 0.7, -0.1, -0.3, 0.1), (3.0, 1.0, -2.0, -3.0, -1.0)))
    'better'
    """
    if compared is None:
        return "not told apart"
    *_, least, most = compared.sensitivity
    *_, fewest, greatest = compared.false_positives
    if most < 0 or (fewest > 0 and not least > 0):
        return "worse"
    return "better" if greatest < 0 or (least > 0 and not fewest > 0) else "not told apart"


def _compared(
    study: Study, old: Sequence[Cell], before: Content, new: Sequence[Cell], after: Content
) -> tuple[int, dict[str, Compared]]:
    """How many subjects were held out, and what both reach on them at each operating point."""
    found: dict[str, Compared] = {}
    subjects = 0
    for name in OPERATING:
        one, other = (
            _subjects(study, cells, content.points[name].threshold) for cells, content in ((old, before), (new, after))
        )
        subjects = len(one)
        if not one["microbleeds"].sum():
            continue
        rates = compare(one, other).set_index("rate")[["first", "second", "difference", "low", "high"]]
        values: Any = [tuple(map(float, rates.loc[rate])) for rate in ("sensitivity", "fp_per_subject")]
        if np.isfinite(values).all():
            found[name] = Compared(*values)
    return subjects, found


def _subjects(study: Study, cells: Sequence[Cell], threshold: float) -> pd.DataFrame:
    """Counts of the held-out subjects of all cells."""
    marks, participants = read_microbleeds(study), read_participants(study)
    person = dict(zip(participants["participant_id"], participants["person_id"], strict=True))
    tables = []
    for n, cell in enumerate(cells):
        roles = read_setup(cell).roles
        names = [*roles["test"], *roles["control"]]
        found = read_tsv(cell.findings, FINDINGS.needed)
        kept = found[found["participant_id"].isin(names)].assign(kept=lambda rows: rows["probability"] >= threshold)
        truth = marks[marks["participant_id"].isin(names)]
        counted = evaluate(kept, truth, {"test": names}, (labelled_by(cell),), persons=person).subjects
        mine = counted[counted["stage"] == "overall"]
        tables.append(mine.assign(participant_id=[f"{n}/{name}" for name in mine["participant_id"]]))
    return pd.concat(tables, ignore_index=True)
