"""What several readers agree on, and how well they do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..schema import AGREED, REVIEWED, WORLD
from .words import NEAR_MM, VERDICTS

__all__ = ["agreed", "cohen", "fleiss", "last_words", "majority", "microbleeds", "scans_reviewed"]


def last_words(rounds: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Of each reader his last verdict on each thing, over all rounds."""
    whole = pd.concat(rounds, ignore_index=True)
    return whole.drop_duplicates(["participant_id", "id", "reader"], keep="last").reset_index(drop=True)


def majority(votes: Counter[str]) -> str | None:
    """The verdict of more than half of the readers, else ``unsure``; None of nobody.

    >>> majority(Counter(yes=2, no=1)), majority(Counter(yes=1, no=1)), majority(Counter())
    ('yes', 'unsure', None)
    """
    total = sum(votes.values())
    if not total:
        return None
    return next((word for word in VERDICTS if 2 * votes[word] > total), "unsure")


def agreed(known: pd.DataFrame, words: pd.DataFrame) -> pd.DataFrame:
    """The verdict on each finding, and on what was added.

    Parameters
    ----------
    known : DataFrame
        participant_id, id, x_mm, y_mm, z_mm, added of the findings handed out.
    words : DataFrame
        From :func:`last_words`.

    Returns
    -------
    DataFrame
        :data:`cmb_toolkit.schema.AGREED`; a reader who read a scan says no to what others added there.
    """
    words = words[words["id"] > 0]
    added = words[words["added"] == "yes"].drop_duplicates(["participant_id", "id"])
    things = pd.concat([known, added[known.columns]], ignore_index=True)
    readers = words.groupby("participant_id")["reader"].agg(set).to_dict()
    said = words.groupby(["participant_id", "id"]).indices
    rows = []
    for thing in things.to_dict("records"):
        mine = words.iloc[said.get((thing["participant_id"], thing["id"]), [])]
        votes = Counter(mine["verdict"])
        if thing["added"] == "yes":
            votes["no"] += len(readers[thing["participant_id"]] - set(mine["reader"]))
        mimics = Counter(mine.loc[mine["verdict"] == "no", "mimic"].dropna())
        line: dict[Any, Any] = {**thing, **{word: votes[word] for word in VERDICTS}, "verdict": majority(votes)}
        line["mimic"] = min(mimics, key=lambda word: (-mimics[word], word)) if mimics else None
        line |= dict(zip(WORLD, _place(thing, mine), strict=True))
        rows.append(line)
    table = pd.DataFrame(rows, columns=AGREED.names)
    return table.sort_values(["participant_id", "id"], kind="stable", ignore_index=True)


def _place(thing: Mapping[Hashable, Any], words: pd.DataFrame) -> list[float]:
    """Where most of those who say yes put it, or else where it was."""
    yes = words[words["verdict"] == "yes"]
    moved = yes if thing["added"] == "yes" else yes[yes["moved_mm"] > NEAR_MM]
    if len(moved) and 2 * len(moved) > len(yes):
        return [round(float(x), 2) for x in moved[[*WORLD]].mean()]
    return [float(thing[name]) for name in WORLD]


def microbleeds(table: pd.DataFrame) -> pd.DataFrame:
    """The agreed microbleeds among the rows of :func:`agreed`; of several findings within 3 mm, which are of one
    lesion, that with the lowest id."""
    yes = table[table["verdict"] == "yes"]
    kept: list[Hashable] = []
    for _, mine in yes.sort_values("id", kind="stable").groupby("participant_id"):
        places = mine[[*WORLD]].to_numpy(float)
        first: list[int] = []
        for n, place in enumerate(places):
            if not (np.linalg.norm(places[first] - place, axis=1) <= NEAR_MM).any():
                first.append(n)
        kept += mine.index[first].tolist()
    return yes.loc[sorted(kept)]  # type: ignore[type-var]  # numbers of rows


def scans_reviewed(scans: Sequence[str], table: pd.DataFrame, words: pd.DataFrame) -> pd.DataFrame:
    """How far each scan is, :data:`cmb_toolkit.schema.REVIEWED`.

    Parameters
    ----------
    scans : sequence of str
        All that were handed out.
    table : DataFrame
        From :func:`agreed`.
    words : DataFrame
        From :func:`last_words`.
    """
    rows = []
    for scan in scans:
        mine = table[table["participant_id"] == scan]
        handed = mine[mine["added"] == "no"]
        readers = words.loc[words["participant_id"] == scan, "reader"].nunique()
        judged = int(handed["verdict"].notna().sum())
        counts = {word: int((handed["verdict"] == word).sum()) for word in VERDICTS}
        more = int(((mine["added"] == "yes") & (mine["verdict"] == "yes")).sum())
        whole = "yes" if readers and judged == len(handed) else "no"
        rows.append((scan, whole, len(handed), judged, *counts.values(), more, readers))
    return pd.DataFrame(rows, columns=REVIEWED.names)


def cohen(one: Sequence[str], other: Sequence[str]) -> float:
    """Cohen's kappa of two readers on the same things; NaN where both always say the same one word.

    Source: Cohen 1960, Educational and Psychological Measurement 20, 37.
    """
    a, b = np.asarray(one, object), np.asarray(other, object)
    chance = sum(float((a == word).mean() * (b == word).mean()) for word in VERDICTS)
    return (float((a == b).mean()) - chance) / (1 - chance) if chance < 1 else float("nan")


def fleiss(votes: NDArray[np.int_]) -> float:
    """Fleiss' kappa; NaN where everybody always says the same one word.

    Source: Fleiss 1971, Psychological Bulletin 76, 378.

    Parameters
    ----------
    votes : (n, words) int array
        How many readers say each word of each thing; equally many of all.
    """
    readers = votes[0].sum()
    alike = ((votes**2).sum(axis=1) - readers) / (readers * (readers - 1))
    chance = float(((votes.sum(axis=0) / votes.sum()) ** 2).sum())
    return float((alike.mean() - chance) / (1 - chance)) if chance < 1 else float("nan")
