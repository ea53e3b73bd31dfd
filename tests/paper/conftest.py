"""A study whose every count is the paper's own, so that its tables must be the paper's; studies that are a table."""

from dataclasses import replace

import pandas as pd
import pytest

from cmb_toolkit.evaluation.results import CellResult, StageResult, Threshold
from cmb_toolkit.model import Counts
from cmb_toolkit.paper.published import published_counts, published_table
from cmb_toolkit.paper.tables import PAPER_FOLDS, StudyResults

INPUT = "swi+cphase-averaged"
RULES = {"paper": "paper rule: IoU > 0.8 on the labelled slice", "centre": "centre rule: within 3 mm"}
BETWEEN = dict.fromkeys(("sensitivity", "precision", "f1", "fp_per_subject"), (0.25, 0.75))


def stage(name, counts, role="test"):
    return StageResult("paper", role, name, counts, 0, BETWEEN)


def overall(first, second):
    return Counts(second.tp, second.fp, first.tp + first.fn - second.tp, 0, second.subjects)


def cell(resolution, input_name, fold, *stages):
    threshold = {"stage1": Threshold(0.01 if resolution == "HR" else 0.05, "given")}
    name = f"{resolution}_{input_name}_fold-{fold}"
    return CellResult(name, resolution, input_name, fold, False, RULES, threshold, tuple(stages))


def healthy(name, fold):
    """The controls' stages in a cell, if the paper took the fold's weights for them."""
    counts = published_counts(7, name)
    seen = Counts(fp=counts.fp + counts.tn, subjects=counts.subjects)
    stages = []
    if fold == PAPER_FOLDS[name][0]:
        stages.append(stage("stage1", seen, "control"))
    if fold == PAPER_FOLDS[name][1]:
        stages += [stage("stage2", counts, "control"), stage("overall", counts, "control")]
    return stages


def subject_rows(results):
    """One subject a cell and stage, who has all of its counts: bootstrap intervals are then points."""
    rows = []
    for result in results:
        for each in result.stages:
            c = each.counts
            seen, marked = c.tp + c.fp + c.tn, c.tp + c.fn
            rows.append((result.cell, "paper", each.role, each.stage, "sub-001", marked, c.tp, c.fn, c.fp, seen))
    return pd.DataFrame(
        rows,
        columns=["cell", "rule", "role", "stage", "participant_id", "microbleeds", "tp", "fn", "fp", "candidates"],
    )


def _study(leave_out=()):
    results = []
    for name, second in (("HR", 5), ("LR", 6)):
        for n in "12345":
            stage1, stage2 = published_counts(4, f"{name} fold {n}"), published_counts(second, f"{name} fold {n}")
            own = [stage("stage1", stage1), stage("stage2", stage2), stage("overall", overall(stage1, stage2))]
            results.append(cell(name, INPUT, n, *own, *healthy(name, n)))
        transfer = published_counts(8, name)
        results.append(cell(name, INPUT, "scanner-verio", stage("stage2", transfer)))
        frst = [published_counts(9, f"{name} FRST stage {n}") for n in "12"]
        own = [stage("stage1", frst[0]), stage("stage2", frst[1]), stage("overall", overall(*frst))]
        results.append(cell(name, "frst", "1", *own))
    for input_name in ("swi", "swi+phase", "swi+phase+magnitude", "swi+cphase"):
        results.append(cell("HR", input_name, "1", stage("stage1", published_counts(2, input_name))))
    results.append(cell("HR+LR", INPUT, "1", stage("stage1", published_counts(3, "HR+LR"))))
    results = [each for each in results if each.cell not in leave_out]
    printed = published_table(1)
    cohort = [
        (name, n, int(printed.at[f"{name} fold {n}", "subjects"]), int(printed.at[f"{name} fold {n}", "microbleeds"]))
        for name in ("HR", "LR")
        for n in "12345"
    ]
    seconds = pd.DataFrame(
        [(each.cell, "stage1", 0.69 * 14, 14, "a GTX 1080 Ti") for each in results if each.input == INPUT],
        columns=["cell", "stage", "seconds", "subjects", "machine"],
    )
    return StudyResults(
        resolutions={"HR": "HR", "LR": "LR"},
        input=INPUT,
        rule="paper",
        cells=tuple(results),
        subjects=subject_rows(results),
        cohort=pd.DataFrame(cohort, columns=["resolution", "fold", "subjects", "microbleeds"]),
        best=PAPER_FOLDS,
        best_how="the folds that the paper took",
        seconds=seconds,
    )


@pytest.fixture
def papers_study():
    """A function that gives the study, without the cells named, and with other attributes as given."""

    def make(leave_out=(), **changes):
        return replace(_study(leave_out), **changes)

    return make


@pytest.fixture
def of_cells():
    """A function that gives the paper's study with other cells, and what their subjects came to."""

    def make(*cells, **changes):
        return replace(_study(), cells=cells, subjects=subject_rows(cells), **changes)

    return make


@pytest.fixture
def one_cell():
    """A function that makes a CellResult of stages."""
    return cell


@pytest.fixture
def participants():
    """Six patients and a control of each resolution, on two scanners, four patients of the first."""

    def make(*resolutions, scanners=("A", "B")):
        rows = []
        for resolution in resolutions:
            for n in range(7):
                group = "control" if n == 6 else "patient"
                scanner = scanners[-1] if n in (4, 5) else scanners[0]
                rows.append((f"sub-{len(rows) + 1:03d}", resolution, scanner, group))
        return pd.DataFrame(rows, columns=["participant_id", "resolution", "scanner", "group"])

    return make
