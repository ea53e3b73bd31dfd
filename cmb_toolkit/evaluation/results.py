"""Everything that is counted for one cell, and its form in ``metrics.json``.

Three stages are counted. ``stage1``: all candidates against all microbleeds. ``overall``: the candidates that stage 2
kept against all microbleeds. ``stage2``: what stage 2 did by itself, so that a microbleed that stage 1 missed is not
held against it (paper, section 3.3). Counts are stored; rates are computed from them wherever they are shown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

from ..errors import DataError
from ..model import Counts
from .metrics import bootstrap, froc, per_subject
from .rules import Matching, Rule, match

__all__ = ["STAGES", "CellResult", "Evaluation", "StageResult", "Threshold", "evaluate"]

STAGES: tuple[str, ...] = ("stage1", "stage2", "overall")

Interval = tuple[float, float]


@dataclass(frozen=True)
class StageResult:
    """Counts of one stage over the subjects of one role, under one rule.

    Attributes
    ----------
    rule, role, stage : str
        A rule's name, one of :data:`cmb_toolkit.model.ROLES`, one of STAGES.
    counts : Counts
        tn is known for stage 2 only.
    duplicates : int
        Candidates that are neither hits nor false positives (centre rule only).
    intervals : mapping
        Rate -> 95 % bootstrap interval over subjects.
    """

    rule: str
    role: str
    stage: str
    counts: Counts
    duplicates: int = 0
    intervals: Mapping[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True)
class Threshold:
    """A score from which on candidates were kept, and who chose it: ``validation``, ``given``, ..."""

    value: float
    origin: str


@dataclass(frozen=True)
class Evaluation:
    """What :func:`evaluate` returns: the results and the tables behind them.

    Attributes
    ----------
    stages : tuple of StageResult
    subjects : DataFrame
        rule, role, stage, participant_id, microbleeds, candidates, tp, fn, fp, duplicates.
    candidates : DataFrame
        The candidates with ``<rule>_stage1`` and ``<rule>_overall``: tp, fp, duplicate, or NaN where thrown out.
    microbleeds : DataFrame
        The truth with ``<rule>_stage1`` and ``<rule>_overall``: the candidate_id that found it, NaN where missed.
    froc : DataFrame
        rule, role, stage and the columns of :func:`cmb_toolkit.evaluation.metrics.froc`, for roles with microbleeds.
        Stage 1 by confidence; overall by stage 2's probability.
    """

    stages: tuple[StageResult, ...]
    subjects: pd.DataFrame
    candidates: pd.DataFrame
    microbleeds: pd.DataFrame
    froc: pd.DataFrame


def evaluate(
    candidates: pd.DataFrame, truth: pd.DataFrame, subjects: Mapping[str, Sequence[str]], rules: Sequence[Rule]
) -> Evaluation:
    """Count everything for one cell.

    Parameters
    ----------
    candidates : DataFrame
        Stage 1's candidates: candidate_id and the columns of :func:`cmb_toolkit.evaluation.rules.match`,
        ``confidence`` and, once stage 2 has run, ``probability`` and ``kept``.
    truth : DataFrame
        The microbleeds with the same geometry columns.
    subjects : mapping
        Role -> every subject of it that was looked at. Rows of other subjects are left out.
    rules : sequence of Rule

    Returns
    -------
    Evaluation
    """
    everybody = [subject for names in subjects.values() for subject in names]
    candidates = candidates[candidates["participant_id"].isin(everybody)].reset_index(drop=True)
    truth = truth[truth["participant_id"].isin(everybody)].reset_index(drop=True)
    if not candidates["candidate_id"].is_unique:
        twice = candidates["candidate_id"][candidates["candidate_id"].duplicated()].iloc[0]
        raise DataError(f"candidate {twice} stands more than once in the candidates table. Run stage1-detect again.")
    classified = "kept" in candidates
    stages: list[StageResult] = []
    tables: list[pd.DataFrame] = []
    curves: list[pd.DataFrame] = []
    outcomes, hits = candidates.copy(), truth.copy()
    for rule in rules:
        matchings = {"stage1": match(candidates, truth, rule)}
        if classified:
            matchings["overall"] = match(candidates[candidates["kept"].astype(bool)], truth, rule)
        for stage, matching in matchings.items():
            outcomes[f"{rule.name}_{stage}"] = matching.candidates["outcome"]
            hits[f"{rule.name}_{stage}"] = _hits(matching, candidates)
        for role, names in subjects.items():
            counted = {stage: _count(matching, names) for stage, matching in matchings.items()}
            if classified:
                counted["stage2"] = _by_itself(counted["stage1"], counted["overall"])
            for stage in STAGES:
                if stage in counted:
                    stages.append(_result(rule, role, stage, counted))
                    tables.append(_tagged(counted[stage], rule, role, stage))
            mine, marks = _of(candidates, names), _of(truth, names)
            if len(marks):
                curves.append(_tagged(froc(mine, marks, rule, names, "confidence"), rule, role, "stage1"))
                if classified:
                    curves.append(_tagged(froc(mine, marks, rule, names, "probability"), rule, role, "overall"))
    return Evaluation(tuple(stages), _stack(tables), outcomes, hits, _stack(curves))


@dataclass(frozen=True)
class CellResult:
    """The results of one cell, as ``metrics.json`` holds them.

    Attributes
    ----------
    cell, resolution, input, fold : str
    simulated : bool
        Whether the scans were simulated: such numbers show that the software works, nothing else.
    rules : mapping
        Name of each rule -> the rule in words.
    thresholds : mapping
        ``stage1``, ``stage2`` -> Threshold.
    stages : tuple of StageResult
    """

    cell: str
    resolution: str
    input: str
    fold: str
    simulated: bool
    rules: Mapping[str, str]
    thresholds: Mapping[str, Threshold]
    stages: tuple[StageResult, ...]

    def find(self, rule: str, role: str, stage: str) -> StageResult | None:
        """The result of one stage, or None where it was not evaluated."""
        for result in self.stages:
            if (result.rule, result.role, result.stage) == (rule, role, stage):
                return result
        return None

    def as_json(self) -> dict[str, Any]:
        """A form that JSON can hold; NaN becomes null."""
        content = asdict(self)
        for stage in content["stages"]:
            stage["intervals"] = {
                rate: [None if math.isnan(end) else end for end in ends] for rate, ends in stage["intervals"].items()
            }
        return content

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> CellResult:
        """The inverse of :meth:`as_json`.

        Raises
        ------
        DataError
            If the content is not that of a ``metrics.json``.
        """
        try:
            stages = tuple(
                StageResult(
                    stage["rule"],
                    stage["role"],
                    stage["stage"],
                    Counts(**stage["counts"]),
                    stage["duplicates"],
                    {rate: (_number(low), _number(high)) for rate, (low, high) in dict(stage["intervals"]).items()},
                )
                for stage in content["stages"]
            )
            thresholds = {name: Threshold(**value) for name, value in content["thresholds"].items()}
            plain = {name: content[name] for name in ("cell", "resolution", "input", "fold", "simulated", "rules")}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"not the content of a metrics.json ({error!r}). Run `cmbtk evaluate` again.") from error
        return cls(**plain, thresholds=thresholds, stages=stages)


def _count(matching: Matching, names: Sequence[str]) -> pd.DataFrame:
    mine = Matching(matching.rule, _of(matching.candidates, names), _of(matching.truth, names))
    return per_subject(mine, names)


def _by_itself(stage1: pd.DataFrame, overall: pd.DataFrame) -> pd.DataFrame:
    """Stage 2 alone: its microbleeds are those that stage 1 found, and it can only lose them."""
    return overall.assign(microbleeds=stage1["tp"], candidates=stage1["candidates"], fn=stage1["tp"] - overall["tp"])


def _result(rule: Rule, role: str, stage: str, counted: Mapping[str, pd.DataFrame]) -> StageResult:
    table = counted[stage]
    tp, fp, fn, duplicates = (int(table[name].sum()) for name in ("tp", "fp", "fn", "duplicates"))
    tn = int(counted["stage1"]["fp"].sum()) - fp if stage == "stage2" else 0
    return StageResult(rule.name, role, stage, Counts(tp, fp, fn, tn, len(table)), duplicates, bootstrap(table))


def _hits(matching: Matching, candidates: pd.DataFrame) -> pd.Series[Any]:
    """candidate_id of each microbleed's hit; NaN where it was missed."""
    names = candidates.loc[matching.candidates.index, "candidate_id"].reset_index(drop=True)
    return matching.truth["candidate"].map(names)


def _of(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    return frame[frame["participant_id"].isin(list(names))]


def _tagged(frame: pd.DataFrame, rule: Rule, role: str, stage: str) -> pd.DataFrame:
    return pd.concat(
        [pd.DataFrame({"rule": rule.name, "role": role, "stage": stage}, index=frame.index), frame], axis=1
    )


def _stack(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["rule", "role", "stage"])


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
