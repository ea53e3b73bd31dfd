"""What a review has come to, as tables for people."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from ..report.screen import Page
from ..report.table import Table, plain_table
from ..wording import counted
from .agreeing import cohen, fleiss
from .words import VERDICTS

__all__ = ["review_page"]

_MOST_PAIRS = 10


def review_page(words: pd.DataFrame, agreed: pd.DataFrame, scans: pd.DataFrame) -> Page:
    """Readers, how well they agree, and what they agree on.

    Parameters
    ----------
    words : DataFrame
        From :func:`cmb_toolkit.review.agreeing.last_words`.
    agreed, scans : DataFrame
        :data:`cmb_toolkit.schema.AGREED` and :data:`cmb_toolkit.schema.REVIEWED`.
    """
    handed = agreed[agreed["added"] == "no"]
    tables = [_readers(words), *_kappas(words)]
    done = int((scans["reviewed"] == "yes").sum())
    left = scans.loc[scans["reviewed"] == "no", "participant_id"].tolist()
    counts = ", ".join(f"{int((handed['verdict'] == word).sum())} {word}" for word in VERDICTS)
    new = int(((agreed["added"] == "yes") & (agreed["verdict"] == "yes")).sum())
    notes = [
        f"Agreed: of {counted(len(handed), 'finding')} {counts}, {int(handed['verdict'].isna().sum())} without a "
        f"verdict; {new} added.",
        f"{done} of {counted(len(scans), 'scan')} reviewed"
        + (f"; not yet: {', '.join(left[:5])}{' ...' * (len(left) > 5)}." if left else "."),
    ]
    mimics = handed.loc[handed["verdict"] == "no", "mimic"].fillna("not said").value_counts()
    if len(mimics):
        notes.insert(1, "What is none: " + ", ".join(f"{count} {name}" for name, count in mimics.items()) + ".")
    return Page("Review", tuple(tables), tuple(notes))


def _readers(words: pd.DataFrame) -> Table:
    rows = []
    for reader, mine in words.groupby("reader", sort=False):
        own = mine[mine["added"] == "no"]
        votes = [int(((own["verdict"] == word) & (own["id"] > 0)).sum()) for word in VERDICTS]
        rows.append((reader, mine["participant_id"].nunique(), *votes, int((mine["added"] == "yes").sum())))
    return plain_table("readers", "", pd.DataFrame(rows, columns=["Reader", "Scans", *VERDICTS, "added"]))


def _kappas(words: pd.DataFrame) -> list[Table]:
    """Of each pair of readers Cohen's, of more of them together Fleiss', on the findings that all of these judged."""
    said = words[(words["id"] > 0) & (words["added"] == "no")]
    wide = said.pivot(index=["participant_id", "id"], columns="reader", values="verdict")
    readers = list(dict.fromkeys(words["reader"]))
    readers = [name for name in readers if name in wide]
    rows = []
    for pair in list(combinations(readers, 2))[:_MOST_PAIRS]:
        both = wide[[*pair]].dropna()
        if len(both):
            alike = f"{100 * float((both[pair[0]] == both[pair[1]]).mean()):.0f} %"
            kappa = _number(cohen(both[pair[0]].tolist(), both[pair[1]].tolist()))
            rows.append((" and ".join(pair), len(both), alike, kappa))
    whole = wide[readers].dropna()
    if len(readers) > 2 and len(whole):
        votes = np.stack([(whole == word).sum(axis=1).to_numpy() for word in VERDICTS], axis=1)
        alike = f"{100 * float((votes.max(axis=1) == len(readers)).mean()):.0f} %"
        rows.append((f"all {len(readers)} (Fleiss)", len(whole), alike, _number(fleiss(votes))))
    if not rows:
        return []
    return [plain_table("kappa", "", pd.DataFrame(rows, columns=["Agreement of", "Findings", "alike", "kappa"]))]


def _number(value: float) -> str:
    return "n/a" if np.isnan(value) else f"{value:.2f}"
