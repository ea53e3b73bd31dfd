"""What has changed since an earlier scan of the same person: both brains laid on each other, findings held together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from nibabel.affines import apply_affine
from numpy.typing import NDArray

from ..errors import MissingError, UsageError
from ..evaluation.matching import match
from ..evaluation.rules.centre import Centre
from ..io.files import load_json
from ..io.nifti import read_volume
from ..io.tables import read_tsv
from ..regions.brain import Brain
from ..regions.registration import Laid, lay
from ..schema import CHANGED, GONE, LESIONS, WORLD

__all__ = ["FILES", "LEAST_SIMILARITY", "SAME_MM", "Earlier", "Since", "check_earlier", "read_earlier", "since"]

FILES = {"table": "candidates.tsv", "brain": "brain.nii.gz", "summary": "summary.json"}
"""What is read of an earlier scan, of what `cmbtk detect` wrote."""

SAME_MM = 3.0
"""Findings that lie no further apart are the same."""

LEAST_SIMILARITY = 0.9
"""Mutual information of the two scans below which they are not of one brain (docs/regions.md) [nat]."""

_LEAST_SHARED = 0.5
"""Of this scan's brain, that the earlier one must show."""


@dataclass(frozen=True, eq=False)
class Earlier:
    """What was found in an earlier scan.

    Attributes
    ----------
    candidates : DataFrame
        All, :data:`cmb_toolkit.schema.LESIONS`.
    brain : Brain
    looked_with : str
        The model and its operating point.
    """

    candidates: pd.DataFrame
    brain: Brain
    looked_with: str


@dataclass(frozen=True, eq=False)
class Since:
    """What has changed.

    Attributes
    ----------
    table : DataFrame
        :data:`cmb_toolkit.schema.CHANGED`, a row each candidate of this scan.
    gone : DataFrame
        :data:`cmb_toolkit.schema.GONE`, a row each finding of the earlier scan that is none in this one.
    laid : Laid or None
        How this scan lies on the earlier one; None where there is none.
    doubt : str
        Why nothing can be said; empty where it can.
    note : str
        What to think of before believing a change; or empty.
    """

    table: pd.DataFrame
    gone: pd.DataFrame
    laid: Laid | None = None
    doubt: str = ""
    note: str = ""

    def numbers(self) -> dict[str, int]:
        """How many findings are new, unchanged and unseen then, and how many of the earlier are gone or unseen now."""
        counts = {word: int((self.table["change"] == word).sum()) for word in ("new", "unchanged", "unseen")}
        return counts | {word: int((self.gone["change"] == word).sum()) for word in ("gone", "unseen now")}


def check_earlier(folder: Path, out: Path) -> None:
    """Refuse a folder that is not of an earlier scan, before long work.

    Raises
    ------
    MissingError, UsageError
    """
    if folder.resolve() == out.resolve():
        raise UsageError(f"{folder}: is where this scan's own results go. Give those of the earlier scan.")
    for name in FILES.values():
        if not (folder / name).is_file():
            raise MissingError(
                f"{folder}: has no {name}. Give the folder that `cmbtk detect` wrote of the earlier scan; what an "
                "older version wrote is made again by the same command."
            )


def read_earlier(folder: Path) -> Earlier:
    """What `cmbtk detect` wrote of an earlier scan.

    Raises
    ------
    MissingError, DataError
    """
    summary = load_json(folder / FILES["summary"], "Remove the folder and run `cmbtk detect` again.")
    brain = read_volume(folder / FILES["brain"])
    return Earlier(
        read_tsv(folder / FILES["table"], LESIONS.needed),
        Brain(brain.data, brain.affine),
        f"{summary['model']}, {summary['operating']}",
    )


def since(
    table: pd.DataFrame, brain: Brain, looked_with: str, earlier: Earlier | None, *, force: bool = False
) -> Since:
    """Hold a scan against an earlier one of the same person.

    Parameters
    ----------
    table : DataFrame
        Candidates of this scan, :data:`cmb_toolkit.schema.LESIONS`.
    brain : Brain
        Of this scan.
    looked_with : str
        As :class:`Earlier` has it.
    earlier : Earlier or None
        None: there is none of this person.
    force : bool
        Compare scans that are too little alike to be of one brain, too, and say so.

    Raises
    ------
    MissingError
        Without what the extra `regions` installs.
    """
    nothing = Since(pd.DataFrame(None, index=table.index, columns=CHANGED.names), pd.DataFrame(columns=GONE.names))
    if earlier is None:
        return Since(nothing.table, nothing.gone, doubt="there is no earlier scan of this name")
    laid = lay(brain, earlier.brain, "rigid")
    if laid.shared < _LEAST_SHARED:
        why = f"the earlier scan shows only {laid.shared:.0%} of this one's brain"
        return Since(nothing.table, nothing.gone, laid, why)
    notes = []
    if laid.similarity < LEAST_SIMILARITY:
        why = (
            f"the two scans are too little alike ({laid.similarity:.2f} of mutual information, and "
            f"{LEAST_SIMILARITY:.2f} is needed): is it the same person, and the same part of the brain?"
        )
        if not force:
            return Since(nothing.table, nothing.gone, laid, f"{why} If it is, --force compares them all the same")
        notes.append(why)
    if earlier.looked_with != looked_with:
        notes.append(f"the earlier scan was looked at with {earlier.looked_with}: changes may be those of the model")
    return Since(*_held_together(table, brain, earlier, laid.matrix), laid, note="; ".join(notes))


def _held_together(
    table: pd.DataFrame, brain: Brain, earlier: Earlier, matrix: NDArray[np.float64]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    old = earlier.candidates
    mine, then = (np.flatnonzero(each["kept"]) for each in (table, old))
    there = apply_affine(matrix, table[[*WORLD]].to_numpy(float).reshape(-1, 3))
    here = apply_affine(np.linalg.inv(matrix), old[[*WORLD]].to_numpy(float).reshape(-1, 3))
    held = match(_places(there[mine]), _places(old[[*WORLD]].to_numpy(float)[then]), Centre(SAME_MM))

    known = _probability(old)
    rows: list[dict[str, object]] = [{} for _ in range(len(table))]
    for n, partner in zip(mine, held.candidates["microbleed"], strict=True):
        rows[n] = {"change": "new" if _inside(there[n], earlier.brain) else "unseen"}
        if partner >= 0:
            rows[n] = {"change": "unchanged", "earlier_id": int(old["id"].iloc[then[partner]])}
        rows[n]["earlier_probability"] = _best_at(there[n], old, known)
    changed = pd.DataFrame(rows, index=table.index, columns=CHANGED.names).astype({"earlier_id": "Int64"})

    now = _probability(table)
    lost = []
    for n, hit in zip(then, held.truth["candidate"], strict=True):
        if hit < 0:
            x, y, z = (round(float(value), 2) for value in here[n])
            what = "gone" if _inside(here[n], brain) else "unseen now"
            best = _best_at(here[n], table, now)
            lost.append((int(old["id"].iloc[n]), what, x, y, z, old["diameter_mm"].iloc[n], known[n], best))
    return changed, pd.DataFrame(lost, columns=GONE.names)


def _places(world: NDArray[np.float64]) -> pd.DataFrame:
    return pd.DataFrame(world.reshape(-1, 3), columns=[*WORLD]).assign(participant_id="sub-scan")


def _probability(table: pd.DataFrame) -> NDArray[np.float64]:
    """The probability; the score where there is none."""
    column = table["probability"] if table["probability"].notna().any() else table["score"]
    return column.to_numpy(float)


def _best_at(place: NDArray[np.float64], table: pd.DataFrame, known: NDArray[np.float64]) -> float:
    """The highest probability of a candidate at a place, kept or not; NaN where there is none."""
    near = np.linalg.norm(table[[*WORLD]].to_numpy(float).reshape(-1, 3) - place, axis=1) <= SAME_MM
    return float(known[near].max()) if near.any() else float("nan")


def _inside(place: NDArray[np.float64], brain: Brain) -> bool:
    """Whether a scan has the place in its brain."""
    index = np.rint(apply_affine(np.linalg.inv(brain.affine), place)).astype(int)
    return bool(((index >= 0) & (index < brain.image.shape)).all()) and bool(brain.mask[tuple(index)])
