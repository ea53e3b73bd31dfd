"""``cmbtk evaluate`` on findings of anything: what `cmbtk detect` wrote, or another detector's table of candidates."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..errors import DataError, MissingError
from ..evaluation.recipe import Evaluating
from ..evaluation.results import Evaluation, evaluate
from ..evaluation.rules import rule_named
from ..evaluation.rules.base import Rule
from ..io.publish import Record, publish
from ..io.tables import ANY_SIGN, read_tsv, write_tsv
from ..report.figures import draw_froc
from ..schema import EVALUATION, WORLD
from ..study.persons import person_of

__all__ = ["Counted", "evaluate_findings"]

REVISION = 1

_FINDINGS, _COHORT = "findings.tsv", "cohort.tsv"


@dataclass(frozen=True)
class Counted:
    """What came of it.

    Attributes
    ----------
    folder : Path
    rule : Rule
    evaluation : Evaluation
    notes : tuple of str
        What may be wrong with it.
    """

    folder: Path
    rule: Rule
    evaluation: Evaluation
    notes: tuple[str, ...]


def evaluate_findings(found: Path, truth: Path, recipe: Evaluating | None = None, out: Path | None = None) -> Counted:
    """Count hits, misses and false positives of a table of candidates.

    Parameters
    ----------
    found : Path
        A folder of `cmbtk detect`, or a table with ``participant_id``, ``x_mm``, ``y_mm``, ``z_mm`` and ``confidence``
        (or ``probability``) of each candidate; with ``kept`` those are counted apart that were kept.
    truth : Path
        A table with ``participant_id``, ``x_mm``, ``y_mm``, ``z_mm`` of each microbleed. Subjects with candidates or
        microbleeds are counted, and all that `cmbtk detect` looked at.
    recipe : Evaluating, optional
        Its rule and distance count; a rule that asks for more than places needs its columns in both tables.
    out : Path, optional
        Folder; by default ``evaluation`` in the folder, or beside the table.

    Returns
    -------
    Counted

    Raises
    ------
    MissingError, DataError, StorageError
        Among others a DataError if the model of `cmbtk detect` has learned from a scan that is counted.
    """
    recipe = recipe or Evaluating()
    table, looked_at, cohort = _found(found)
    marks = _read(truth, "microbleeds")
    everybody = sorted({*looked_at, *table["participant_id"], *marks["participant_id"]})
    notes = []
    if cohort is None:
        notes.append("whether the detector has learned from a person counted here is not known")
    lost = sorted(set(marks["participant_id"]) - set(looked_at or table["participant_id"]))
    if lost:
        who = f"{', '.join(lost[:10])}{' ...' * (len(lost) > 10)}"
        notes.append(f"microbleeds of {who}, of whom there is no candidate, all count as missed")
    rule = rule_named(recipe.rule, distance_mm=recipe.distance_mm, slices=1)
    subjects = {"test": everybody}
    counted = evaluate(table, marks, subjects, (rule,), persons={name: person_of(name) for name in everybody})
    folder = out or (found / "evaluation" if found.is_dir() else found.with_name(f"{found.stem}_evaluation"))
    sources = {"candidates": found / _FINDINGS if found.is_dir() else found, "microbleeds": truth}
    record = Record("evaluate", {"rule": rule.name, "distance_mm": recipe.distance_mm}, sources, revision=REVISION)
    with publish(folder, record) as target:
        target.mkdir()
        target.note(columns={name: each.described() for name, each in EVALUATION.items()}, warnings=notes)
        _write(target, counted, rule)
    return Counted(folder, rule, counted, tuple(notes))


def _found(found: Path) -> tuple[pd.DataFrame, list[str], pd.DataFrame | None]:
    """Candidates, who was looked at, and the table of the cohort where `cmbtk detect` wrote one."""
    if not found.is_dir():
        return _candidates(_read(found, "candidates"), found), [], None
    if not (found / _FINDINGS).is_file():
        raise MissingError(
            f"{found}: holds no {_FINDINGS}. Give a folder that `cmbtk detect` wrote for several scans, a table of "
            "candidates, or a cell (STUDY/cells/NAME) without --truth."
        )
    cohort = read_tsv(found / _COHORT, ["participant_id"], may_lack=["range"])
    looked = cohort[cohort["range"].notna()]
    known = looked["participant_id"][looked["learned_from"].astype(str) == "True"].tolist()
    if known:
        raise DataError(
            f"{found}: the model has learned from the scans of {', '.join(known[:10])}, and finds there what it was "
            "taught. Leave them out of the scans that it looks at, or take a model that does not know them."
        )
    return _candidates(_read(found / _FINDINGS, "candidates"), found), looked["participant_id"].tolist(), cohort


def _read(path: Path, what: str) -> pd.DataFrame:
    if path.is_dir():
        raise MissingError(f"{path}: is a folder, not a table of {what}.")
    return read_tsv(path, ["participant_id", *WORLD], between=ANY_SIGN)


def _candidates(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """With a name and both scores of each."""
    scores = [name for name in ("confidence", "probability") if name in table]
    if not scores:
        raise DataError(f"{path}: has neither a column confidence nor probability to order candidates by. Add one.")
    table = table.assign(confidence=table.get("confidence", table[scores[0]]))
    if "candidate_id" not in table:
        number = table.groupby("participant_id").cumcount() + 1
        table["candidate_id"] = [f"{s}_cand-{n:04d}" for s, n in zip(table["participant_id"], number, strict=True)]
    if "kept" in table:
        table["probability"] = table.get("probability", table["confidence"])
        table["kept"] = table["kept"].astype(str).str.lower() == "true"
    return table


def _write(folder: Path, counted: Evaluation, rule: Rule) -> None:
    stages = [
        {
            "stage": each.stage,
            "counts": vars(each.counts),
            "duplicates": each.duplicates,
            "intervals": {name: list(span) for name, span in each.intervals.items()},
        }
        for each in counted.stages
        if each.stage != "stage2"
    ]
    content = json.dumps({"rule": rule.label, "stages": stages}, indent=2, sort_keys=True)
    (folder / "metrics.json").write_text(content.replace("NaN", "null") + "\n", "utf-8")
    for name in ("subjects", "microbleeds", "candidates", "froc"):
        write_tsv(getattr(counted, name), folder / f"{name}.tsv")
    if len(counted.froc):
        draw_froc(
            counted.froc.assign(fold="all"), {}, rule.label, "Sensitivity against false positives", folder / "froc.png"
        )
