"""The numbers of Al-masni et al. 2020 as printed, the counts behind them, and where the two disagree.

The tables are shipped as text (``data/published`` in the source), every value as the paper prints it. A printed value
is never corrected: what the paper's own counts give instead stands beside it, in the ``note`` column and in
:func:`audit`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import pandas as pd

from ..errors import MissingError, UsageError
from ..model import Counts

__all__ = ["SLIPS", "TABLES", "audit", "published_counts", "published_table"]

TABLES: dict[int, str] = {
    1: "Subjects and microbleeds by fold",
    2: "Stage 1 with five inputs (HR, fold 1)",
    3: "Stage 1 with HR, LR and both (fold 1)",
    4: "Stage 1 by fold",
    5: "Stage 2 by fold, HR",
    6: "Stage 2 by fold, LR",
    7: "Both stages on healthy controls",
    8: "Stage 2 trained on Verio, tested on Skyra",
    9: "Both stages beside earlier work",
}

SLIPS: tuple[str, ...] = (
    "section 3.2: LR microbleeds",
    "table 4: LR FPavg",
    "table 7: LR FPavg",
    "table 9: LR overall sensitivity",
    "table 3: weighted average",
)
"""The paper's slips by name. One may show in several places: the value is repeated, or two values hang on it."""

_SLIP_AT = {
    ("Section 3.2, LR", "451 microbleeds out of"): 0,
    ("Table 4, LR total", "FPavg"): 1,
    ("Table 9, LR YOLO stage 1", "FPavg"): 1,
    ("Table 7, LR", "FPavg, stage 2"): 2,
    ("Table 9, LR YOLO stage 2", "overall sensitivity"): 3,
    ("Table 3, HR+LR", "sensitivity as average of HR and LR weighted by microbleeds"): 4,
    ("Table 3, HR+LR", "FPavg as average of HR and LR weighted by subjects"): 4,
}

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


@cache
def _read(name: str) -> pd.DataFrame:
    try:
        text = (files("cmb_toolkit") / "published" / name).read_text("utf-8")
    except OSError as error:
        raise MissingError(
            f"published/{name}: the paper's numbers are not with the installed package. Install cmb_toolkit again."
        ) from error
    return pd.read_csv(io.StringIO(text), sep="\t", dtype=str, keep_default_na=False)


def published_table(number: int) -> pd.DataFrame:
    """One of the paper's tables as printed.

    Parameters
    ----------
    number : int
        1 to 9. Halves that the paper prints side by side (HR, LR) are stacked; the row's name says which.

    Returns
    -------
    DataFrame
        Indexed by ``row`` (for example ``HR fold 1``); every value is text exactly as printed, ``n/a`` for a dash;
        ``note`` says where the paper's own counts give something else.
    """
    if number not in TABLES:
        raise UsageError(f"the paper has no table {number}; choose from {min(TABLES)} to {max(TABLES)}.")
    return _read(f"table-{number}.tsv").set_index("row")


def published_counts(number: int, row: str) -> Counts:
    """The whole numbers behind one row of the paper's tables 2 to 9; ``... total`` adds the folds.

    False positives are the only whole numbers that reproduce the printed rates (to one unit in the last digit).
    """
    table = _read("counts.tsv")
    table = table[table["table"] == str(number)]
    wanted = (
        table["row"].str.startswith(row.removesuffix("total") + "fold")
        if row.endswith(" total")
        else table["row"] == row
    )
    if not wanted.any():
        raise UsageError(f"the counts behind row {row!r} of the paper's table {number} are not known.")
    total = Counts()
    for _, line in table[wanted].iterrows():
        tp, fp, fn, subjects = (int(line[name]) for name in ("tp", "fp", "fn", "subjects"))
        total += Counts(tp, fp, fn, 0 if line["tn"] == "n/a" else int(line["tn"]), subjects)
    return total


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
    for check in (*_rate_checks(), *_sum_checks(), *_text_checks()):
        digits = len(check.printed.partition(".")[2])
        value = check.scale * check.numerator / check.denominator
        units = abs(round(float(check.printed) * 10**digits) - round(round(value, digits) * 10**digits))
        source = check.source or f"{check.numerator:.10g} / {check.denominator:.10g}"
        verdict = ("agrees", "rounding")[units] if units < 2 else "slip"
        number = _SLIP_AT.get((check.where, check.quantity))
        slip = "" if verdict != "slip" else "new" if number is None else SLIPS[number]
        rows.append((check.where, check.quantity, check.printed, f"{value:.{digits}f}", source, verdict, slip))
    return pd.DataFrame(rows, columns=["where", "quantity", "printed", "recomputed", "from", "verdict", "slip"])


def _rate_checks() -> Iterator[_Check]:
    """Rates of tables 2 to 9 from the counts of their row; those of our two stages in table 9 from tables 4 to 6."""
    known = _read("counts.tsv")
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
