"""Folds for cross-validation, person by person, balanced in subjects, microbleeds and scanners (paper, section 3.1).

A person is never split: all slices of all scans of one person are in one set, in whatever session or resolution they
were scanned. Within each resolution every patient is tested exactly once; the validation subjects of a fold come out
of its training subjects, so that nothing is ever chosen by looking at the test subjects. Healthy controls are counted
apart in every fold. Patients whose scans nobody has read have no microbleeds that anybody knows of, which is not to
have none: they are excluded from every fold.
"""

from __future__ import annotations

import re
import zlib
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import DataError, UsageError
from ..model import EXCLUDED

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
        (count); where some are scans of one person, person_id; where some patients were not read, read (bool). The
        order of rows does not matter.
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
        fold (1..n), participant_id, role (``train``, ``validation``, ``test``, ``control``, ``excluded``), sorted by
        fold and subject. Of the persons with scans of the same resolutions, the test sets have equally many or differ
        by one.

    Raises
    ------
    UsageError
        If `folds` or `validation` is out of its range.
    DataError
        If a subject stands twice, a control has microbleeds, a group is unknown, a person is a patient in one scan
        and a control in another, or a resolution has too few patients.
    """
    if folds < 2:
        raise UsageError(f"--folds {folds}: at least 2 are needed, so that no subject is trained and tested on.")
    _check_share(validation)
    table = _checked(table)
    patients = table[(table["group"] == "patient") & table["read"]]
    roles = pd.DataFrame(dict.fromkeys(range(1, folds + 1), "control"), index=table["participant_id"])
    roles.loc[table.loc[~table["read"], "participant_id"]] = EXCLUDED
    for resolution, count in patients.groupby("resolution")["person_id"].nunique().items():
        if count < folds:
            raise _too_few(str(resolution), count, folds, validation)
    load = {resolution: np.zeros(folds, dtype=int) for resolution in patients["resolution"].unique()}
    for stratum, people in _people(patients).groupby("stratum", sort=True):
        resolutions = str(people["resolutions"].iloc[0]).split()
        rng = np.random.default_rng([seed, zlib.crc32(str(stratum).encode())])
        own, total = (np.sum(each, axis=0) for each in ([load[name] for name in resolutions], [*load.values()]))
        sizes = _sizes(len(people), own, total, rng)
        for name in resolutions:
            load[name] += sizes
        tested = _divide(people, sizes, rng)
        for fold in range(1, folds + 1):
            rest = people[tested != fold - 1]
            validating = table["resolution"][(roles[fold] == "validation").to_numpy()]
            held_out = _held_out(len(rest), validation, not set(resolutions) <= set(validating))
            validates = _divide(rest, np.array([len(rest) - held_out, held_out]), rng) == 1
            role = pd.Series("test", index=people["person_id"])
            role[rest["person_id"]] = np.where(validates, "validation", "train")
            mine = patients[patients["person_id"].isin(role.index)]
            roles.loc[mine["participant_id"], fold] = mine["person_id"].map(role).to_numpy()
    _check_sets(roles, patients, validation)
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
        tested in that fold. Scans on other scanners of a person who is learned from are excluded.

    Raises
    ------
    UsageError
        If `validation` is out of its range.
    DataError
        As :func:`make_folds`, and if the patients are all of one scanner or two labels make the same name.
    """
    _check_share(validation)
    table = _checked(table)
    scanner = table["scanner"].fillna("unknown").astype(str)
    patient = (table["group"] == "patient") & table["read"]
    names = scanner_folds(scanner[patient])
    if len(names) < 2:
        raise DataError(
            f"all patients were scanned on {', '.join(names)}, so there is no other scanner to test on. "
            "Leave --by-scanner out, or name the scanners in the participants' table."
        )
    parts = []
    for label, name in names.items():
        role: pd.Series[Any] = pd.Series(
            np.where(patient, "test", np.where(table["read"], "control", EXCLUDED)), index=table.index
        )
        mine = table[patient & (scanner == label)]
        for stratum, people in _people(mine).groupby("stratum", sort=True):
            resolutions = set(str(people["resolutions"].iloc[0]).split())
            validating = table["resolution"][role == "validation"]
            held_out = _held_out(len(people), validation, not resolutions <= set(validating))
            if len(people) <= held_out:
                continue
            rng = np.random.default_rng([seed, zlib.crc32(f"{stratum} {label}".encode())])
            validates = _divide(people, np.array([len(people) - held_out, held_out]), rng) == 1
            chosen = pd.Series(np.where(validates, "validation", "train"), index=people["person_id"])
            scans = mine[mine["person_id"].isin(chosen.index)]
            role[scans.index] = scans["person_id"].map(chosen)
        # nobody is tested who was learned from, on whatever scanner, nor on the scanner that was learned from
        learned = table[role.isin(["train", "validation"])]
        known = table["person_id"].isin(learned["person_id"])
        alike = (scanner == label) & table["resolution"].isin(learned["resolution"])
        role[(role == "test") & (known | alike)] = EXCLUDED
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


def _checked(table: pd.DataFrame) -> pd.DataFrame:
    """The table sorted by subject, with person_id and read filled in, if all of it can be."""
    table = table.reindex(columns=[*_COLUMNS, *(name for name in ("person_id", "read") if name in table)])
    table = table.sort_values("participant_id", ignore_index=True)
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
    if "person_id" not in table:
        table["person_id"] = table["participant_id"]
    if "read" not in table:
        table["read"] = True
    groups = table.groupby("person_id")["group"].nunique()
    for person in groups.index[groups > 1]:
        scans = table[table["person_id"] == person]
        listed = ", ".join(
            f"{name} ({group})" for name, group in zip(scans["participant_id"], scans["group"], strict=True)
        )
        raise DataError(
            f"{listed} are scans of one person, {person}, who cannot be patient and control at once: a control is "
            "tested in every fold. Give these scans one group in the participants' table."
        )
    if not (table["group"] == "patient").any():
        raise DataError("no patients in the participants' table: there is nothing to train on.")
    if not ((table["group"] == "patient") & table["read"]).any():
        raise DataError(
            "no patient's scans were read: there is no mark, and nobody says that there is nothing to mark. Add marks, "
            "or write `yes` in the column `read` of the patients who were read."
        )
    return table


def _people(scans: pd.DataFrame) -> pd.DataFrame:
    """One row a person, in the order of their first scans: person_id, resolutions (in one string, sorted), stratum (the
    same as a name), microbleeds (of all scans), scanners (tuple, one for each scan)."""
    scanners = scans["scanner"].fillna("unknown").astype(str)
    own: dict[str, list[tuple[str, int, str]]] = {}
    for person, *scan in zip(scans["person_id"], scans["resolution"], scans["microbleeds"], scanners, strict=True):
        own.setdefault(person, []).append(tuple(scan))
    rows = []
    for person, found in own.items():
        resolutions, microbleeds, labels = zip(*found, strict=True)
        rows.append((person, " ".join(sorted(set(resolutions))), sum(microbleeds), labels))
    table = pd.DataFrame(rows, columns=["person_id", "resolutions", "microbleeds", "scanners"])
    return table.assign(stratum=table["resolutions"].str.replace(" ", "+"))


def _held_out(people: int, validation: float, lacking: bool) -> int:
    """How many of so many persons validate; `lacking` where nobody does yet, so that one has to."""
    return max(int(validation > 0 and lacking), round(validation * people)) if people else 0


def _too_few(resolution: str, patients: int, folds: int, validation: float) -> DataError:
    return DataError(
        f"resolution {resolution}: {patients} patients are too few for {folds} folds"
        f"{' with validation subjects' * (validation > 0)}. "
        "Ask for fewer folds (--folds), or leave this resolution out of the participants' table."
    )


def _check_sets(roles: pd.DataFrame, patients: pd.DataFrame, validation: float) -> None:
    """Refuse folds that lack somebody to train on, to validate on or to test."""
    needed = {"train", "test", *(["validation"] if validation > 0 else [])}
    for resolution, scans in patients.groupby("resolution"):
        mine = roles.loc[scans["participant_id"]]
        if any(not needed <= set(mine[fold]) for fold in mine):
            raise _too_few(str(resolution), scans["person_id"].nunique(), roles.shape[1], validation)


def _sizes(people: int, own: NDArray[np.int_], total: NDArray[np.int_], rng: np.random.Generator) -> NDArray[np.int_]:
    """Equal test sets; what does not divide goes to the folds that have fewest of these resolutions (`own`), and of
    these to those that all resolutions together filled least."""
    sizes = np.full(total.size, people // total.size)
    shuffled = rng.permutation(total.size)
    sizes[shuffled[np.lexsort((total[shuffled], own[shuffled]))][: people % total.size]] += 1
    return sizes


def _divide(subjects: pd.DataFrame, sizes: NDArray[np.int_], rng: np.random.Generator) -> NDArray[np.int_]:
    """Divide subjects into sets of given sizes, each with its share of the microbleeds and of every scanner.

    Those with most microbleeds are dealt first, each to the set that lacks most; then pairs are exchanged as long as
    that makes the sets more alike. The cost is the sum over sets of squared deviations from the fair share, as a
    fraction of it.

    Parameters
    ----------
    subjects : DataFrame
        n rows with ``microbleeds`` and ``scanners``, from :func:`_people`.
    sizes : (m,) integer array
        Sum n.
    rng : Generator
        Breaks ties.

    Returns
    -------
    (n,) integer array
        Number of each subject's set, 0..m-1.
    """
    n, m = len(subjects), sizes.size
    if not n:
        return np.full(0, -1)
    features = _features(subjects)
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
    """What is balanced: microbleeds relative to the mean, then scans on each scanner."""
    microbleeds = subjects["microbleeds"].to_numpy(float)
    columns = [microbleeds / (microbleeds.mean() or 1.0)]
    for name in sorted({label for labels in subjects["scanners"] for label in labels}):
        columns.append(np.sqrt(_SCANNER_WEIGHT) * np.array([labels.count(name) for labels in subjects["scanners"]]))
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
