"""The paper's result tables from stored counts, beside what the paper prints: for the screen, Markdown and TSV.

A page is made under one rule, whose name stands on every table. The paper's row is always the paper's rule and the
paper's data; nothing of it is recomputed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import pandas as pd

from ..errors import DataError
from ..evaluation.results import STAGES, CellResult
from ..evaluation.rules import rule_named
from ..evaluation.summary import common_label, in_order, result_rows, result_warnings
from ..report.rates import STAGE_TITLES
from ..report.screen import Page
from ..report.table import Table, plain_table
from .audit import audit
from .published import published_table
from .slips import TOTALS

__all__ = ["audit_page", "result_page"]

_TITLES = {**STAGE_TITLES, "controls": "Healthy controls"}

_LEGEND = (
    "CMBs: microbleeds. FPavg: false positives per subject. dupl.: further candidates at a microbleed, neither hits "
    "nor false positives. 95 %: bootstrap over persons."
)

_SIMULATED = (
    "These are simulated scans: the numbers show that the software works, and say nothing about its performance on "
    "patients."
)


def result_page(results: Sequence[CellResult], subjects: pd.DataFrame, rule: str) -> Page:
    """The tables of all evaluated cells under one rule.

    Parameters
    ----------
    results : sequence of CellResult
    subjects : DataFrame
        The cells' ``subjects.tsv`` with a column ``cell``, for intervals over several folds.
    rule : str
        ``paper`` or ``centre``.

    Raises
    ------
    DataError
        If the cells were not evaluated under the same rule, or none of them on test subjects or controls.
    """
    label = common_label(results, rule)
    shown = []
    for (resolution, input_name, repeat), group in groupby(sorted(results, key=in_order), key=lambda each: each.group):
        cells = list(group)
        rows = {stage: result_rows(cells, subjects, rule, stage) for stage in STAGES}
        if rows["stage1"].empty:
            continue  # evaluated on validation or training subjects only, which have no place in these tables
        tables = {stage: _stage_table(frame, stage) for stage, frame in rows.items() if len(frame)}
        if (rows["stage1"]["controls"] > 0).any():
            tables["controls"] = _control_table(rows)
        for name, table in tables.items():
            again = f", repeat {repeat}" if repeat > 1 else ""
            notes = []
            if name == "overall" and (further := rows[name]["duplicates"].iloc[-1]):
                notes = [
                    f"{further} further findings at microbleeds found before are neither hits nor false positives."
                ]
            heading = f"{resolution}, {input_name}{again}"
            shown.append(_with_paper(heading, f"{_TITLES[name]} ({label})", table, resolution, name, notes))
    if not shown:
        raise DataError("no cell was evaluated on test subjects or controls. Run `cmbtk evaluate` without --role.")
    notes = [_LEGEND, *(_threshold_note(cell) for cell in sorted(results, key=in_order) if cell.thresholds)]
    notes += result_warnings(results)
    if any(cell.simulated for cell in results):
        notes.append(_SIMULATED)
    return Page(f"Results, {label}", tuple(shown), tuple(notes))


def audit_page() -> Page:
    """Where the paper's printed numbers and its own counts disagree."""
    checks = audit()
    slips, close = (checks[checks["verdict"] == verdict] for verdict in ("slip", "rounding"))
    shown = ["where", "quantity", "printed", "recomputed", "from"]
    return Page(
        "The paper against its own counts",
        (
            plain_table("slips", "Slips: the printed value cannot be right", slips[shown], words=2),
            plain_table("rounding", "Rounding: off by one unit in the last digit", close[shown], words=2),
        ),
        (
            f"{len(checks)} printed values recomputed from the paper's own counts: "
            f"{(checks['verdict'] == 'agrees').sum()} agree, {len(close)} are off by one unit in the last digit, "
            f"{slips['slip'].nunique()} places are slips. Printed values are shown everywhere as printed.",
        ),
    )


def _stage_table(rows: pd.DataFrame, stage: str) -> pd.DataFrame:
    """One stage as text: a line per fold, and the interval of the last line under it."""
    lines = [_text(line, stage) for line in rows.to_dict("records")]
    last = rows.to_dict("records")[-1]
    interval = {"fold": "  95 %", "sens. %": _interval(last, "sensitivity", 100, 0)}
    interval |= {"FPavg": _interval(last, "fp_per_subject", 1, 2)}
    if stage != "stage1":
        interval |= {"prec. %": _interval(last, "precision", 100, 0), "F1 %": _interval(last, "f1", 100, 0)}
    return pd.DataFrame([*lines, interval], columns=list(lines[0])).fillna("")


def _text(line: Mapping[Any, Any], stage: str) -> dict[str, str]:
    text = {"fold": _fold(line)}
    if stage == "stage1":
        text["subj."] = f"{line['subjects']}"
    text |= {"CMBs": f"{line['microbleeds']}", "TPs": f"{line['tp']}", "FNs": f"{line['fn']}"}
    text["sens. %"] = _plain(100 * line["sensitivity"], 1)
    if stage != "stage1":
        text |= {"prec. %": _plain(100 * line["precision"], 1), "F1 %": _plain(100 * line["f1"], 1)}
    text |= {"FPs": f"{line['fp']}", "FPavg": _plain(line["fp_per_subject"], 2)}
    if stage == "stage1" and rule_named(line["rule"]).counts_duplicates:
        text["dupl."] = f"{line['duplicates']}"
    return text


def _control_table(rows: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Controls as in the paper's table 7."""
    lines = []
    for n, first in enumerate(rows["stage1"].to_dict("records")):
        line = {
            "fold": _fold(first),
            "scans": f"{first['controls']}",
            "FPavg, stage 1": _plain(first["controls_fp_per_subject"], 2),
        }
        if len(rows["stage2"]) == len(rows["stage1"]):
            line["specificity %"] = _plain(100 * rows["stage2"]["specificity"].iloc[n], 2)
            line["FPavg, both"] = _plain(rows["overall"]["controls_fp_per_subject"].iloc[n], 2)
        lines.append(line)
    return pd.DataFrame(lines)


def _with_paper(
    heading: str, title: str, table: pd.DataFrame, resolution: str, name: str, notes: Sequence[str]
) -> Table:
    """The table with the paper's row, and what is to be said about that before the other `notes`."""
    known = resolution if resolution in ("HR", "LR") else "HR"
    paper, source = _paper_row(known, name)
    slip, explanation = TOTALS.get((known, name), ((), ""))
    for column in slip:
        paper[column] += "*"
    paper["fold"] = f"paper {known}" + ("" if known == resolution else ", other data")
    rows = pd.concat([table, pd.DataFrame([paper])], ignore_index=True)[list(table)].fillna("")
    note = f"paper: {source} as printed, by the paper rule."
    note += f" * {explanation}; see --audit." if explanation else ""
    return plain_table(name, title, rows, notes=(note, *notes), label=heading, printed=1)


def _paper_row(known: str, name: str) -> tuple[dict[str, str], str]:
    """The paper's totals for HR or LR as printed, and where they stand."""
    total, stage2 = f"{known} total", 5 if known == "HR" else 6
    healthy = _line_of(7, known)
    if name == "controls":
        values = {
            "scans": "subjects",
            "FPavg, stage 1": "stage1_fp_per_subject",
            "specificity %": "specificity_percent",
        }
        values["FPavg, both"] = "stage2_fp_per_subject"
        return {column: healthy[value] for column, value in values.items()}, "table 7"
    if name == "stage2":
        return {"CMBs": _line_of(4, total)["tp"], **_printed(_line_of(stage2, total))}, f"table {stage2}"
    row = {"subj.": _line_of(1, total)["subjects"], "CMBs": _line_of(1, total)["microbleeds"]}
    if name == "stage1":
        return row | _printed(_line_of(4, total)), "table 4"
    row |= _printed(_line_of(stage2, total)) | {"FNs": "-", "F1 %": "-"}
    row["sens. %"] = _line_of(9, f"{known} YOLO stage 2")["overall_sensitivity_percent"]
    return row, "table 9"


def _fold(line: Mapping[Any, Any]) -> str:
    return "all folds" if line["fold"] == "all" else f"fold {line['fold']}"


def _plain(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _interval(line: Mapping[Any, Any], name: str, scale: float, digits: int) -> str:
    low, high = line[f"{name}_low"], line[f"{name}_high"]
    return "-" if math.isnan(low) else f"{scale * low:.{digits}f}-{scale * high:.{digits}f}"


def _line_of(table: int, row: str) -> dict[str, str]:
    return {str(name): str(value) for name, value in published_table(table).loc[row].items()}


def _printed(line: Mapping[str, str]) -> dict[str, str]:
    names = {
        "tp": "TPs",
        "fn": "FNs",
        "sensitivity_percent": "sens. %",
        "precision_percent": "prec. %",
        "f1_percent": "F1 %",
        "fp_per_subject": "FPavg",
    }
    return {text: line[name] for name, text in names.items() if name in line}


def _threshold_note(cell: CellResult) -> str:
    words = {"stage1": "stage 1 confidence", "stage2": "probability"}
    parts = [f"{words[name]} >= {each.value:.3g} ({each.origin})" for name, each in sorted(cell.thresholds.items())]
    return f"{cell.cell}: {', '.join(parts)}."
