"""Subject-level folds for cross-validation, balanced in subjects, microbleeds and scanners (paper, section 3.1).

A subject is never split: all its slices are in one set. Within each resolution every patient is tested exactly once;
the validation subjects of a fold come out of its training subjects, so that nothing is ever chosen by looking at the
test subjects. Healthy controls are counted apart in every fold.
"""

from __future__ import annotations

import re
import zlib

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import DataError, UsageError

__all__ = ["SCANNER_FOLD", "make_folds", "make_scanner_folds", "scanner_folds"]

SCANNER_FOLD = "scanner-"
"""How the names of folds begin that were made by scanner; all others are folds of the cross-validation."""

_COLUMNS = ["participant_id", "resolution", "scanner", "group", "microbleeds"]
_SCANNER_WEIGHT = 0.5
"""What a scanner's imbalance costs beside the microbleeds', both as squared shares of a set's fair part."""


def make_folds(table: pd.DataFrame, folds: int, validation: float, seed: int) -> pd.DataFrame:
    """Divide subjects into folds.

    Parameters
    ----------
    table : DataFrame
        One row a subject: participant_id, resolution, scanner, group (``patient`` or ``control``), microbleeds
        (count). The order of rows does not matter.
    folds : int
        Number of folds, at least 2.
    validation : float
        Part of each fold's patients outside the test set that is kept for validation, 0 to 0.5; 0 means none,
        more means at least one subject.
    seed : int
        Equal seeds and tables give equal folds.

    Returns
    -------
    DataFrame
        fold (1..n), participant_id, role (``train``, ``validation``, ``test``, ``control``), sorted by fold and
        subject. Per resolution the test sets' sizes differ by one subject at most.

    Raises
    ------
    UsageError
        If `folds` or `validation` is out of its range.
    DataError
        If a subject stands twice, a control has microbleeds, a group is unknown, or a resolution has too few
        patients.
    """
    if folds < 2:
        raise UsageError(f"--folds {folds}: at least 2 are needed, so that no subject is trained and tested on.")
    _check_share(validation)
    table = table[_COLUMNS].sort_values("participant_id", ignore_index=True)
    _check(table)
    patients = table[table["group"] == "patient"]
    roles = pd.DataFrame(dict.fromkeys(range(1, folds + 1), "control"), index=table["participant_id"])
    load = np.zeros(folds, dtype=int)
    for resolution, subjects in patients.groupby("resolution", sort=True):
        rng = np.random.default_rng([seed, zlib.crc32(str(resolution).encode())])
        sizes = _sizes(len(subjects), load, rng)
        load += sizes
        tested = _divide(subjects, sizes, rng)
        for fold in range(1, folds + 1):
            rest = subjects[tested != fold - 1]
            held_out = max(1, round(validation * len(rest))) if validation > 0 else 0
            if len(subjects) < folds or len(rest) - held_out < 1:
                raise DataError(
                    f"resolution {resolution}: {len(subjects)} patients are too few for {folds} folds"
                    f"{' with validation subjects' * bool(held_out)}. "
                    "Ask for fewer folds (--folds), or leave this resolution out of the participants' table."
                )
            validates = _divide(rest, np.array([len(rest) - held_out, held_out]), rng) == 1
            roles.loc[subjects["participant_id"], fold] = "test"
            roles.loc[rest["participant_id"], fold] = np.where(validates, "validation", "train")
    long = roles.rename_axis("participant_id").reset_index()
    long = long.melt("participant_id", var_name="fold", value_name="role")
    return long.sort_values(["fold", "participant_id"], ignore_index=True)[["fold", "participant_id", "role"]]


def make_scanner_folds(table: pd.DataFrame, validation: float, seed: int) -> pd.DataFrame:
    """One fold for each scanner: trained on its patients, tested on those of all others (paper, Table 8).

    Parameters
    ----------
    table, validation, seed
        As :func:`make_folds` takes them.

    Returns
    -------
    DataFrame
        fold (``scanner-`` and the scanner's label), participant_id, role, sorted. Validation subjects come out of the
        training scanner. Where a resolution has too few patients on a scanner to train on, all of its patients are
        tested in that fold.

    Raises
    ------
    UsageError
        If `validation` is out of its range.
    DataError
        As :func:`make_folds`, and if the patients are all of one scanner or two labels make the same name.
    """
    _check_share(validation)
    table = table[_COLUMNS].sort_values("participant_id", ignore_index=True)
    _check(table)
    scanner = table["scanner"].fillna("unknown").astype(str)
    names = scanner_folds(scanner[table["group"] == "patient"])
    if len(names) < 2:
        raise DataError(
            f"all patients were scanned on {', '.join(names)}, so there is no other scanner to test on. "
            "Leave --by-scanner out, or name the scanners in the participants' table."
        )
    parts = []
    for label, name in names.items():
        role = pd.Series(np.where(table["group"] == "control", "control", "test"), index=table.index)
        mine = table[(table["group"] == "patient") & (scanner == label)]
        for resolution, subjects in mine.groupby("resolution", sort=True):
            held_out = max(1, round(validation * len(subjects))) if validation > 0 else 0
            if len(subjects) <= held_out:
                continue
            rng = np.random.default_rng([seed, zlib.crc32(f"{resolution} {label}".encode())])
            validates = _divide(subjects, np.array([len(subjects) - held_out, held_out]), rng) == 1
            role[subjects.index] = np.where(validates, "validation", "train")
        parts.append(pd.DataFrame({"fold": name, "participant_id": table["participant_id"], "role": role}))
    return pd.concat(parts).sort_values(["fold", "participant_id"], ignore_index=True)


def scanner_folds(scanner: pd.Series[str]) -> dict[str, str]:
    """Names of the folds made by scanner: label -> ``scanner-`` and the label in letters, digits and ``-``.

    Raises
    ------
    DataError
        If two labels make the same name.
    """
    labels = sorted(scanner.fillna("unknown").astype(str).unique())
    names = {
        label: SCANNER_FOLD + re.sub(r"[^A-Za-z0-9]+", "-", label.removeprefix(SCANNER_FOLD)).strip("-")
        for label in labels
    }
    if len(set(names.values())) < len(labels):
        raise DataError(
            f"the scanners {', '.join(labels)} would give folds of the same name; "
            "use letters and digits in the participants' table."
        )
    return names


def _check_share(validation: float) -> None:
    if not 0 <= validation <= 0.5:
        raise UsageError(f"--validation {validation:g}: expected a part between 0 and 0.5 of the training subjects.")


def _check(table: pd.DataFrame) -> None:
    twice = table["participant_id"][table["participant_id"].duplicated()].unique()
    if len(twice):
        raise DataError(f"subject {', '.join(twice)} stands more than once; keep one row per subject.")
    strange = sorted(set(table["group"].astype(str)) - {"patient", "control"})
    if strange:
        raise DataError(f"group {', '.join(strange)}: expected `patient` or `control` in the participants' table.")
    marked = table["participant_id"][(table["group"] == "control") & (table["microbleeds"] > 0)]
    if len(marked):
        raise DataError(
            f"control {', '.join(marked)} has microbleeds. Make it a `patient` in the participants' table, or remove "
            "its marks."
        )
    if not (table["group"] == "patient").any():
        raise DataError("no patients in the participants' table: there is nothing to train on.")


def _sizes(subjects: int, load: NDArray[np.int_], rng: np.random.Generator) -> NDArray[np.int_]:
    """Equal test sets; what does not divide goes to the folds that other resolutions filled least."""
    sizes = np.full(load.size, subjects // load.size)
    shuffled = rng.permutation(load.size)
    sizes[shuffled[np.argsort(load[shuffled], kind="stable")][: subjects % load.size]] += 1
    return sizes


def _divide(subjects: pd.DataFrame, sizes: NDArray[np.int_], rng: np.random.Generator) -> NDArray[np.int_]:
    """Divide subjects into sets of given sizes, each with its share of the microbleeds and of every scanner.

    Those with most microbleeds are dealt first, each to the set that lacks most; then pairs are exchanged as long as
    that makes the sets more alike. The cost is the sum over sets of squared deviations from the fair share, as a
    fraction of it.

    Parameters
    ----------
    subjects : DataFrame
        n rows with ``microbleeds`` and ``scanner``.
    sizes : (m,) integer array
        Sum n.
    rng : Generator
        Breaks ties.

    Returns
    -------
    (n,) integer array
        Number of each subject's set, 0..m-1.
    """
    features = _features(subjects)
    n, m = len(subjects), sizes.size
    # in units of one set's fair share of microbleeds and subjects; an empty set wants nothing
    scale = 1 / np.maximum(sizes, 1)
    fair = features.mean(axis=0) * sizes[:, None]
    total = np.zeros((m, features.shape[1]))
    free = sizes.copy()
    place = np.full(n, -1)
    shuffled = rng.permutation(n)
    for subject in shuffled[np.argsort(-features[shuffled, 0], kind="stable")]:
        after = ((total + features[subject] - fair) ** 2).sum(axis=1) - ((total - fair) ** 2).sum(axis=1)
        best = int(np.argmin(np.where(free > 0, after * scale**2, np.inf)))
        place[subject], free[best] = best, free[best] - 1
        total[best] += features[subject]
    excess = total - fair
    while _exchange(features, place, excess, scale):
        pass
    return place


def _features(subjects: pd.DataFrame) -> NDArray[np.float64]:
    """What is balanced: microbleeds relative to the mean, then one column a scanner."""
    microbleeds = subjects["microbleeds"].to_numpy(float)
    scanners = subjects["scanner"].fillna("unknown").astype(str)
    columns = [microbleeds / (microbleeds.mean() or 1.0)]
    columns += [np.sqrt(_SCANNER_WEIGHT) * (scanners == name) for name in sorted(scanners.unique())]
    return np.stack(columns, axis=1)


def _exchange(
    features: NDArray[np.float64], place: NDArray[np.int_], excess: NDArray[np.float64], scale: NDArray[np.float64]
) -> bool:
    """Exchange each subject with the best partner in another set where that lowers the cost; False if none did.

    Changes `place` and `excess` (what every set has beyond its fair share).
    """
    improved = False
    for one in range(len(place)):
        mine, theirs = place[one], place
        gain = features - features[one]  # what my set would get more of, and theirs less
        change = scale[mine] ** 2 * ((excess[mine] + gain) ** 2 - excess[mine] ** 2).sum(axis=1) + scale[
            theirs
        ] ** 2 * ((excess[theirs] - gain) ** 2 - excess[theirs] ** 2).sum(axis=1)
        change[theirs == mine] = 0
        other = int(np.argmin(change))
        if change[other] < -1e-9:
            excess[mine] += gain[other]
            excess[place[other]] -= gain[other]
            place[one], place[other] = place[other], mine
            improved = True
    return improved
