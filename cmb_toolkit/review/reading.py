"""A round: what readers gave back, as verdicts on what was handed out and on what they added."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError
from ..schema import ROUND, WORLD
from .forms.base import Returned
from .matching import matched
from .words import NEAR_MM

__all__ = ["Reading", "enter"]


@dataclass
class Reading:
    """Verdicts as they are entered.

    Attributes
    ----------
    known : DataFrame
        participant_id, id, x_mm, y_mm, z_mm, added ("yes" or "no") of all that has an id by now.
    scans : tuple of str
        All that were handed out, with or without findings.
    rows : list of dict
        :data:`cmb_toolkit.schema.ROUND`.
    unmatched : list of str
        Rows that are about nothing known, as sentences.
    """

    known: pd.DataFrame
    scans: tuple[str, ...]
    rows: list[dict[str, object]] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)

    def table(self) -> pd.DataFrame:
        """The round."""
        return pd.DataFrame(self.rows, columns=ROUND.names)


def enter(reading: Reading, scan: str, reader: str, returned: Returned, rows: pd.DataFrame) -> None:
    """Enter what one reader says of one scan.

    Parameters
    ----------
    reading : Reading
        Grows by it.
    scan, reader : str
    returned : Returned
        The file.
    rows : DataFrame
        Those of it that are this reader's, on this scan.

    Raises
    ------
    DataError
        If the reader has said something of this scan before in this round.
    """
    if any(row["participant_id"] == scan and row["reader"] == reader for row in reading.rows):
        where = rows["where"].iloc[0] if len(rows) else "a file without marks"
        raise DataError(
            f"{where}: {reader} has given back {scan} in another file of this round. Give one of them, or say whose "
            "each is: a column reader, or `cmbtk review read` once for each with --reader."
        )
    known = reading.known[reading.known["participant_id"] == scan].reset_index(drop=True)
    places, at = known[[*WORLD]].to_numpy(float), rows[[*WORLD]].to_numpy(float).reshape(-1, 3)
    found = matched(known["id"].to_numpy(int), places, rows["id"].to_numpy(float), at)

    def note(number: int, verdict: str, place: object, added: str, said: Mapping[Any, Any], moved: float) -> None:
        words = {"mimic": said.get("mimic") if verdict == "no" else None, "comment": said.get("comment")}
        line: dict[str, object] = {"participant_id": scan, "id": number, "reader": reader, "verdict": verdict}
        line |= dict(zip(WORLD, np.round(np.asarray(place, float), 2).tolist(), strict=True))
        reading.rows.append(
            line | {"moved_mm": round(moved, 2), "added": added} | {k: v or None for k, v in words.items()}
        )

    before = len(reading.rows)
    last = int(reading.known.loc[reading.known["participant_id"] == scan, "id"].max()) if len(known) else 0
    for which, place, row in zip(found.tolist(), at, rows.to_dict("records"), strict=True):
        verdict, here = str(row["verdict"]), bool(np.isfinite(place).all())
        if which >= 0 and verdict:
            moved = float(np.linalg.norm(place - places[which])) if here else 0.0
            new = place if moved > NEAR_MM else places[which]
            note(int(known["id"][which]), verdict, new, str(known["added"][which]), row, moved)
        elif which == -1 and here and verdict in ("", "yes", "unsure"):
            last += 1
            note(last, verdict or "yes", place, "yes", row, 0.0)
            new_one = dict(zip(["participant_id", "id", *WORLD, "added"], [scan, last, *place, "yes"], strict=True))
            reading.known = pd.concat([reading.known, pd.DataFrame([new_one])], ignore_index=True)
        elif which == -1 and np.isnan(row["id"]) and verdict == "no" and not here:
            note(0, "no", np.full(3, np.nan), "no", {**row, "mimic": None}, np.nan)
        elif which == -1:
            about = f"id {row['id']:g}" if not np.isnan(row["id"]) else "a place"
            reading.unmatched.append(f"{row['where']}: {about} is no finding of {scan} ({verdict or 'no verdict'})")
    if returned.whole:
        gone = np.setdiff1d(np.flatnonzero(known["added"] == "no"), found)
        for which in gone[~np.isin(known["id"].to_numpy(int)[gone], returned.unplaced)]:
            note(int(known["id"][which]), "no", places[which], "no", {}, 0.0)
        if len(reading.rows) == before:
            note(0, "no", np.full(3, np.nan), "no", {}, np.nan)
