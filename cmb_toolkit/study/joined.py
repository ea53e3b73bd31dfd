"""Which subjects of a study are simulated ones that were added to learn from: the column simulated of participants.tsv.

They are in the training set of every fold. Nothing is chosen on them, and nothing is tested on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pandas as pd

from ..model import EXCLUDED
from ..names import shown

__all__ = ["COLUMN", "PREFIX", "held_out", "joined", "said_of", "wrong_marks"]

COLUMN = "simulated"
"""``yes``: added by `cmbtk add-simulated`; n/a or ``no``: a subject of the study itself."""

PREFIX = "sub-sim"
"""How their names begin, so that they are nobody else's."""


def joined(participants: pd.DataFrame) -> list[str]:
    """Their names, in order."""
    if COLUMN not in participants:
        return []
    return sorted(participants["participant_id"][(participants[COLUMN] == "yes").to_numpy()].astype(str))


def wrong_marks(participants: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Values of the column that it cannot hold: the subject, and what to say."""
    if COLUMN in participants:
        for name, value in zip(participants["participant_id"], participants[COLUMN], strict=True):
            if not (pd.isna(value) or value in ("yes", "no")):
                yield str(name), f"{name}: {COLUMN} is {shown(value)}; expected yes, no or n/a."


def held_out(participants: pd.DataFrame, roles: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Role -> simulated subjects that have it, and may not."""
    mine = set(joined(participants))
    wrong = {role: sorted(mine & set(names)) for role, names in roles.items() if role not in ("train", EXCLUDED)}
    return {role: names for role, names in wrong.items() if names}


def said_of(participants: pd.DataFrame, train: Iterable[str]) -> list[str]:
    """What stands under results that were learned from simulated subjects as well; empty where none were."""
    learned = list(train)
    mine = set(joined(participants)) & set(learned)
    if not mine:
        return []
    return [f"{len(mine)} of the {len(learned)} subjects it was trained on are simulated"]
