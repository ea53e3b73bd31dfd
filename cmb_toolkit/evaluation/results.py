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
from .cpm import Cpm, cpm
from .intervals import Interval, bootstrap
from .leaks import LeakCheck
from .matching import Matching, match
from .merging import merge_boxes
from .metrics import froc, per_subject
from .patients import Average, averages, burden_classes
from .rules.base import Rule
from .strata import strata

__all__ = ["STAGES", "CellResult", "Evaluation", "StageResult", "Threshold", "evaluate"]

STAGES: tuple[str, ...] = ("stage1", "stage2", "overall")
_MOST_COUNTED = 10**12


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
        Candidates that are neither hits nor false positives (under rules that count them apart).
    intervals : mapping
        Rate -> 95 % bootstrap interval over persons.
    cpm : Cpm or None
        Average sensitivity at 1/8 to 8 false positives a subject; None for stage 2 by itself, and where there is no
        microbleed.
    averages : mapping
        Mean and median over subjects of each of :func:`cmb_toolkit.evaluation.patients.averages`.
    classes : mapping
        Class of subjects by microbleeds -> by findings -> number of subjects; not for stage 2 by itself.
    """

    rule: str
    role: str
    stage: str
    counts: Counts
    duplicates: int = 0
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    cpm: Cpm | None = None
    averages: Mapping[str, Average] = field(default_factory=dict)
    classes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


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
        rule, role, stage, participant_id, person_id (where persons were given), microbleeds, candidates, tp, fn, fp,
        duplicates.
    candidates : DataFrame
        The candidates with ``<rule>_stage1`` and ``<rule>_overall``: one of
        :data:`cmb_toolkit.evaluation.matching.OUTCOMES`, or NaN where thrown out; with ``lesion`` where boxes were
        merged.
    microbleeds : DataFrame
        The truth with ``<rule>_stage1`` and ``<rule>_overall``: the candidate_id that found it, NaN where missed.
    froc : DataFrame
        rule, role, stage and the columns of :func:`cmb_toolkit.evaluation.metrics.froc`, for roles with microbleeds.
        Stage 1 by confidence; overall by probability.
    strata : DataFrame
        From :func:`cmb_toolkit.evaluation.strata.strata`.
    """

    stages: tuple[StageResult, ...]
    subjects: pd.DataFrame
    candidates: pd.DataFrame
    microbleeds: pd.DataFrame
    froc: pd.DataFrame
    strata: pd.DataFrame


def evaluate(
    candidates: pd.DataFrame,
    truth: pd.DataFrame,
    subjects: Mapping[str, Sequence[str]],
    rules: Sequence[Rule],
    *,
    link_mm: float | None = None,
    persons: Mapping[str, str] | None = None,
) -> Evaluation:
    """Count everything for one cell.

    Parameters
    ----------
    candidates : DataFrame
        Stage 1's candidates: candidate_id and the columns of :func:`cmb_toolkit.evaluation.matching.match`,
        ``confidence`` and, once stage 2 has run, ``probability`` and ``kept``; ``nature`` where it is known.
    truth : DataFrame
        The microbleeds with the same geometry columns, and what is known of them.
    subjects : mapping
        Role -> every subject of it that was looked at. Rows of other subjects are left out.
    rules : sequence of Rule
    link_mm : float, optional
        Boxes no further apart than this on neighbouring slices count as one lesion, see
        :func:`cmb_toolkit.evaluation.merging.merge_boxes`; None counts boxes, as the paper does. A lesion is kept
        when stage 2 keeps any of its boxes.
    persons : mapping, optional
        Subject -> person, where some are scans of one; intervals are then over persons.

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
    counted_as = candidates if link_mm is None else merge_boxes(candidates, link_mm)
    if link_mm is not None:
        outcomes["lesion"] = counted_as["lesion"]
    for rule in rules:
        matchings = {"stage1": match(counted_as, truth, rule)}
        if classified:
            matchings["overall"] = match(counted_as[counted_as["kept"].astype(bool)], truth, rule)
        for stage, matching in matchings.items():
            outcomes[f"{rule.name}_{stage}"] = matching.candidates["outcome"]
            hits[f"{rule.name}_{stage}"] = _hits(matching, candidates)
        for role, names in subjects.items():
            counted = {stage: _count(matching, names, persons) for stage, matching in matchings.items()}
            if classified:
                counted["stage2"] = _by_itself(counted["stage1"], counted["overall"])
            mine, marks = _of(counted_as, names), _of(truth, names)
            averaged: dict[str, Cpm] = {}
            for stage, score in (("stage1", "confidence"), ("overall", "probability")):
                if stage in counted and len(marks):
                    curves.append(_tagged(froc(mine, marks, rule, names, score), rule, role, stage))
                    averaged[stage] = cpm(mine, marks, rule, names, score, persons=persons)
            for stage in STAGES:
                if stage in counted:
                    stages.append(_result(rule, role, stage, counted, averaged.get(stage)))
                    tables.append(_tagged(counted[stage], rule, role, stage))
    by_stratum = strata(outcomes, hits, subjects, rules)
    return Evaluation(tuple(stages), _stack(tables), outcomes, hits, _stack(curves), by_stratum)


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
    count : str
        What counts as one finding: ``per-box`` or ``per-lesion``.
    link_mm : float or None
        Within what distance boxes were linked to lesions [mm].
    strata : tuple of mapping
        The rows of :func:`cmb_toolkit.evaluation.strata.strata`; what does not apply is None.
    leak_check : LeakCheck or None
        Which records were searched for subjects that were both learned from and tested on.
    repeat : int
        Which training of the same, each with another seed.
    warnings : tuple of str
        What should be known before the numbers are believed.
    """

    cell: str
    resolution: str
    input: str
    fold: str
    simulated: bool
    rules: Mapping[str, str]
    thresholds: Mapping[str, Threshold]
    stages: tuple[StageResult, ...]
    count: str = "per-box"
    link_mm: float | None = None
    strata: tuple[Mapping[str, Any], ...] = ()
    leak_check: LeakCheck | None = None
    repeat: int = 1
    warnings: tuple[str, ...] = ()

    @property
    def group(self) -> tuple[str, str, int]:
        """What cells have in common that differ in the fold alone: resolution, input, repeat."""
        return self.resolution, self.input, self.repeat

    def find(self, rule: str, role: str, stage: str) -> StageResult | None:
        """The result of one stage, or None where it was not evaluated."""
        for result in self.stages:
            if (result.rule, result.role, result.stage) == (rule, role, stage):
                return result
        return None

    def as_json(self) -> dict[str, Any]:
        """A form that JSON can hold; NaN becomes null."""
        content: dict[str, Any] = _without_nan(asdict(self))
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
                    _counts(stage["counts"]),
                    _count_of(stage["duplicates"]),
                    {rate: (_number(low), _number(high)) for rate, (low, high) in dict(stage["intervals"]).items()},
                    _cpm(stage.get("cpm")),
                    {
                        name: Average(_number(each["mean"]), _number(each["median"]), each["subjects"])
                        for name, each in stage.get("averages", {}).items()
                    },
                    stage.get("classes", {}),
                )
                for stage in content["stages"]
            )
            thresholds = {name: Threshold(**value) for name, value in content["thresholds"].items()}
            plain = {name: content[name] for name in ("cell", "resolution", "input", "fold", "simulated", "rules")}
            plain |= {name: content[name] for name in ("count", "link_mm", "repeat") if name in content}
            plain["strata"] = tuple(content.get("strata", ()))
            plain["warnings"] = tuple(content.get("warnings", ()))
            searched = content.get("leak_check")
            plain["leak_check"] = searched and LeakCheck(tuple(searched["searched"]), tuple(searched["unknown"]))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise DataError(
                f"not the content of a metrics.json ({error!r:.200}). Run `cmbtk evaluate` again."
            ) from error
        return cls(**plain, thresholds=thresholds, stages=stages)


def _counts(content: Mapping[str, Any]) -> Counts:
    return Counts(**{name: _count_of(value) for name, value in content.items()})


def _count_of(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _MOST_COUNTED:
        raise ValueError(f"a count of {value!r:.40}")
    return value


def _count(matching: Matching, names: Sequence[str], persons: Mapping[str, str] | None) -> pd.DataFrame:
    mine = Matching(matching.rule, _of(matching.candidates, names), _of(matching.truth, names))
    table = per_subject(mine, names)
    if persons is not None:
        table.insert(1, "person_id", table["participant_id"].replace(dict(persons)))
    return table


def _by_itself(stage1: pd.DataFrame, overall: pd.DataFrame) -> pd.DataFrame:
    """Stage 2 alone: its microbleeds are those that stage 1 found, and it can only lose them."""
    found, kept = (table["microbleeds"] - table["fn"] for table in (stage1, overall))
    return overall.assign(microbleeds=found, candidates=stage1["candidates"], fn=found - kept)


def _result(
    rule: Rule, role: str, stage: str, counted: Mapping[str, pd.DataFrame], averaged: Cpm | None
) -> StageResult:
    table = counted[stage]
    tp, fp, fn, duplicates = (int(table[name].sum()) for name in ("tp", "fp", "fn", "duplicates"))
    tn = int(counted["stage1"]["fp"].sum()) - fp if stage == "stage2" else 0
    own = Counts(tp, fp, fn, tn, len(table))
    classes = {} if stage == "stage2" else burden_classes(table)
    return StageResult(rule.name, role, stage, own, duplicates, bootstrap(table), averaged, averages(table), classes)


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


def _cpm(content: Mapping[str, Any] | None) -> Cpm | None:
    if content is None:
        return None
    value, low, high = (_number(content[name]) for name in ("value", "low", "high"))
    return Cpm(value, low, high, tuple(map(_number, content["sensitivity"])))


def _without_nan(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _without_nan(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_without_nan(value) for value in content]
    return None if isinstance(content, float) and math.isnan(content) else content


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
