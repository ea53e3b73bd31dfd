"""Every printed number that the paper's own counts determine, recomputed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pandas as pd

from ..model import Counts
from .published import published_counts, published_table, read_published
from .slips import SLIP_AT, SLIPS

__all__ = ["audit"]

_Quotient = Callable[[Counts], tuple[int, int]]

_RATES: dict[str, tuple[str, float, _Quotient]] = {
    "sensitivity_percent": ("sensitivity", 100, lambda c: (c.tp, c.tp + c.fn)),
    "precision_percent": ("precision", 100, lambda c: (c.tp, c.tp + c.fp)),
    "f1_percent": ("F1", 100, lambda c: (2 * c.tp, 2 * c.tp + c.fp + c.fn)),
    "specificity_percent": ("specificity", 100, lambda c: (c.tn, c.tn + c.fp)),
    "fp_per_subject": ("FPavg", 1, lambda c: (c.fp, c.subjects)),
    "stage2_fp_per_subject": ("FPavg, stage 2", 1, lambda c: (c.fp, c.subjects)),
    # every candidate of a healthy control is either thrown out by stage 2 (tn) or left (fp)
    "stage1_fp_per_subject": ("FPavg, stage 1", 1, lambda c: (c.fp + c.tn, c.subjects)),
}


def _cell(table: pd.DataFrame, row: str, column: str) -> str:
    return str(table.at[row, column])


@dataclass(frozen=True)
class _Check:
    """One printed value and the quotient that should give it."""

    where: str
    quantity: str
    printed: str
    numerator: float
    denominator: float
    scale: float = 1
    source: str = ""


def audit() -> pd.DataFrame:
    """Recompute every cell of the paper that its own counts determine.

    Returns
    -------
    DataFrame
        where, quantity, printed, recomputed (with as many digits), from (the quotient), verdict (``agrees``,
        ``rounding``: one unit in the last digit, or ``slip``), slip (its name in SLIPS, ``new`` for one that is not
        known, empty otherwise).
    """
    rows = []
    for check in (*_rate_checks(), *_sum_checks(), *_cited_checks(), *_text_checks()):
        digits = len(check.printed.partition(".")[2])
        value = check.scale * check.numerator / check.denominator
        units = abs(round(float(check.printed) * 10**digits) - round(round(value, digits) * 10**digits))
        source = check.source or f"{check.numerator:.10g} / {check.denominator:.10g}"
        verdict = ("agrees", "rounding")[units] if units < 2 else "slip"
        number = SLIP_AT.get((check.where, check.quantity))
        slip = "" if verdict != "slip" else "new" if number is None else SLIPS[number]
        rows.append((check.where, check.quantity, check.printed, f"{value:.{digits}f}", source, verdict, slip))
    return pd.DataFrame(rows, columns=["where", "quantity", "printed", "recomputed", "from", "verdict", "slip"])


def _rate_checks() -> Iterator[_Check]:
    """Rates of tables 2 to 9 from the counts of their row; those of our two stages in table 9 from tables 4 to 6."""
    known = read_published("counts.tsv")
    for number in range(2, 10):
        totals = [row for row in published_table(number).index if row.endswith("total")]
        for row in [*known["row"][known["table"] == str(number)], *totals]:
            yield from _row_checks(number, row, published_counts(number, row))
    for name, number in (("HR", 5), ("LR", 6)):
        yolo = published_counts(4, f"{name} total"), published_counts(number, f"{name} total")
        frst = published_counts(9, f"{name} FRST stage 1"), published_counts(9, f"{name} FRST stage 2")
        for n, counts in enumerate(yolo, 1):
            yield from _row_checks(9, f"{name} YOLO stage {n}", counts)
        for method, (first, second) in (("YOLO", yolo), ("FRST", frst)):
            row = f"{name} {method} stage 2"  # one cell for both stages
            printed = _cell(published_table(9), row, "overall_sensitivity_percent")
            yield _Check(f"Table 9, {row}", "overall sensitivity", printed, second.tp, first.tp + first.fn, 100)


def _row_checks(number: int, row: str, counts: Counts) -> Iterator[_Check]:
    table = published_table(number)
    for column, (quantity, scale, quotient) in _RATES.items():
        if column in table and _cell(table, row, column) != "n/a":
            yield _Check(f"Table {number}, {row}", quantity, _cell(table, row, column), *quotient(counts), scale)


def _sum_checks() -> Iterator[_Check]:
    """Whole numbers that must add up: folds to totals, one table's hits to the next one's microbleeds."""
    marks = published_table(1)
    for name, number in (("HR", 1), ("LR", 1), ("both", 1), ("HR", 4), ("LR", 4), ("HR", 5), ("LR", 6)):
        table = published_table(number)
        folds = [row for row in table.index if row.startswith(f"{name} fold")]
        for column in ("subjects", "microbleeds", "tp", "fn"):
            if column in table:
                total = table.loc[folds, column].astype(int).sum()
                printed = _cell(table, f"{name} total", column)
                yield _Check(f"Table {number}, {name} total", column, printed, total, 1, source="sum of the folds")
    for fold in [row.removeprefix("both ") for row in marks.index if row.startswith("both")]:
        for column in ("subjects", "microbleeds"):
            parts = sum(int(_cell(marks, f"{name} {fold}", column)) for name in ("HR", "LR"))
            printed = _cell(marks, f"both {fold}", column)
            yield _Check(f"Table 1, both {fold}", f"{column}, HR and LR", printed, parts, 1, source="HR + LR")
    for name, stage2 in (("HR", 5), ("LR", 6)):
        for fold in [row for row in marks.index if row.startswith(f"{name} fold")]:
            first, second = (published_table(n).loc[fold, ["tp", "fn"]].astype(int).sum() for n in (4, stage2))
            yield _Check(
                f"Table 1, {fold}", "microbleeds", _cell(marks, fold, "microbleeds"), first, 1, source="table 4"
            )
            yield _Check(
                f"Table 4, {fold}", "tp", _cell(published_table(4), fold, "tp"), second, 1, source=f"table {stage2}"
            )


def _cited_checks() -> Iterator[_Check]:
    """What the paper computed of cited work whose row allows one set of counts only."""
    printed = _cell(published_table(9), "dou stage 2", "overall_sensitivity_percent")
    only = "109 / 117, all that fits the row (50 subjects, 115 found by stage 1, 137 false)"
    yield _Check("Table 9, dou stage 2", "overall sensitivity", printed, 109, 117, 100, source=only)


def _text_checks() -> Iterator[_Check]:
    """Statements of the text that its tables contradict or confirm."""
    yield _Check("Section 3.2, LR", "451 microbleeds out of", "472", 451 + 121, 1, source="451 found + 121 missed")
    seconds = published_table(9)["seconds_per_subject"]
    for name, printed in (("LR", "13.4"), ("HR", "47.9")):
        frst, yolo = (float(seconds[f"{name} {method} stage 1"]) for method in ("FRST", "YOLO"))
        yield _Check(f"Section 4, {name}", "times that YOLO is faster than FRST", printed, frst, yolo)
    fold = {name: published_counts(3, name) for name in ("HR", "LR")}
    pooled = fold["HR"] + fold["LR"]
    for column, kind in (("sensitivity_percent", "microbleeds"), ("fp_per_subject", "subjects")):
        quantity, scale, quotient = _RATES[column]
        yield _Check(
            "Table 3, HR+LR",
            f"{quantity} as average of HR and LR weighted by {kind}",
            _cell(published_table(3), "HR+LR", column),
            *quotient(pooled),
            scale,
        )
