"""Folds: every patient tested once, sets disjoint, subjects, microbleeds and scanners balanced."""

import warnings

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from cmb_toolkit.errors import DataError, UsageError
from cmb_toolkit.evaluation.folds import make_folds, make_scanner_folds, scanner_folds
from cmb_toolkit.model import ROLES, Fold


def cohort(counts, resolution="HR", scanners=("Verio",), controls=0, start=1):
    """Subjects with given microbleed counts, dealt to scanners in turn, and some controls."""
    rows = [
        (f"sub-{n:03d}", resolution, scanners[n % len(scanners)], "patient", count)
        for n, count in enumerate(counts, start)
    ]
    rows += [
        (f"sub-{n:03d}", resolution, scanners[0], "control", 0)
        for n in range(start + len(counts), start + len(counts) + controls)
    ]
    return pd.DataFrame(rows, columns=["participant_id", "resolution", "scanner", "group", "microbleeds"])


def paper_cohort(seed=0):
    """72 HR subjects with 188 microbleeds, 107 LR with 572 (heavy tail), two scanners each, 14 + 8 controls."""
    rng = np.random.default_rng(seed)
    hr = 1 + rng.multinomial(188 - 72, rng.dirichlet(np.full(72, 4)))
    lr = 1 + rng.multinomial(572 - 107, rng.dirichlet(np.full(107, 0.5)))
    return pd.concat(
        [
            cohort(hr, "HR", ("Verio", "Verio", "Skyra"), 14),
            cohort(lr, "LR", ("Verio", "Verio", "Skyra"), 8, start=201),
        ],
        ignore_index=True,
    )


def spread(table, folds, role="test", column="microbleeds"):
    """Largest minus smallest sum over folds."""
    merged = folds[folds["role"] == role].merge(table, on="participant_id")
    sums = merged.groupby("fold")[column].sum().reindex(folds["fold"].unique(), fill_value=0)
    return sums.max() - sums.min()


counts = st.lists(st.integers(0, 60), min_size=6, max_size=40)


@given(
    st.tuples(*[st.lists(st.integers(0, 60), min_size=8, max_size=40)] * 2),
    st.integers(1, 3),
    st.integers(0, 5),
    st.integers(2, 5),
    st.tuples(st.sampled_from([0.0, 0.1, 0.2, 0.3]), st.integers(0, 2**31)),
)
@settings(max_examples=60, deadline=None)
def test_structure(lists, n_scanners, controls, n, parts):
    (hr, lr), (validation, seed) = lists, parts
    scanners = tuple("ABC"[:n_scanners])
    table = pd.concat([cohort(hr, "HR", scanners, controls), cohort(lr, "LR", scanners, start=500)], ignore_index=True)
    folds = make_folds(table, n, validation, seed)
    assert list(folds.columns) == ["fold", "participant_id", "role"]
    assert sorted(folds["fold"].unique()) == list(range(1, n + 1))
    for fold, rows in folds.groupby("fold"):
        # disjoint by construction of Fold, and nobody is left out
        sets = {role: tuple(rows["participant_id"][rows["role"] == role]) for role in ROLES}
        Fold(str(fold), **sets)
        assert sorted(rows["participant_id"]) == sorted(table["participant_id"])
        assert len(sets["control"]) == controls
        for resolution in ("HR", "LR"):
            here = rows.merge(table, on="participant_id")
            here = here[(here["resolution"] == resolution) & (here["group"] == "patient")]
            rest = (here["role"] != "test").sum()
            held_out = (here["role"] == "validation").sum()
            assert held_out == (max(1, round(validation * rest)) if validation else 0)
            assert (here["role"] == "train").sum() >= 1
    merged = folds.merge(table, on="participant_id")
    tests = merged[merged["role"] == "test"]
    patients = table.loc[table["group"] == "patient", "participant_id"]
    assert sorted(tests["participant_id"]) == sorted(patients), "every patient is tested exactly once"
    for _, rows in tests.groupby("resolution"):
        sizes = rows.groupby("fold").size()
        assert sizes.max() - sizes.min() <= 1
    overall = tests.groupby("fold").size()
    assert overall.max() - overall.min() <= 1, "what does not divide is spread over the folds"


@given(counts, st.integers(2, 5), st.integers(0, 1000))
@settings(max_examples=80, deadline=None)
def test_microbleeds_differ_by_no_more_than_one_subject_has(numbers, n, seed):
    """Where sets are equal in size no exchange can help any more, and then they differ by the largest count at most."""
    numbers = numbers[: len(numbers) // n * n]
    table = cohort(numbers)
    assert spread(table, make_folds(table, n, 0.0, seed)) <= max(numbers)


@pytest.mark.parametrize("seed", range(3))
def test_better_balanced_than_chance(seed):
    table = paper_cohort(seed)
    folds = make_folds(table, 5, 0.2, seed)
    rng = np.random.default_rng(seed)
    for resolution in ("HR", "LR"):
        patients = table[(table["resolution"] == resolution) & (table["group"] == "patient")]
        ours = spread(patients, folds)
        chance = []
        for _ in range(200):
            order = rng.permutation(len(patients)) % 5
            sums = patients.groupby(order)["microbleeds"].sum()
            chance.append(sums.max() - sums.min())
        assert ours <= np.quantile(chance, 0.05)
        assert ours <= max(6, 0.1 * patients["microbleeds"].sum() / 5)
    merged = folds.merge(table, on="participant_id").query("role == 'test'")
    by_scanner = merged.groupby(["resolution", "scanner", "fold"]).size().unstack()
    assert ((by_scanner.max(axis=1) - by_scanner.min(axis=1)) <= 2).all()


def test_validation_is_balanced_likewise():
    table = paper_cohort()
    merged = make_folds(table, 5, 0.2, 0).merge(table, on="participant_id")
    for (_, _), rows in merged[merged["role"].isin(["train", "validation"])].groupby(["resolution", "fold"]):
        part = rows.groupby("role")["microbleeds"].sum()["validation"] / rows["microbleeds"].sum()
        share = (rows["role"] == "validation").mean()
        assert part == pytest.approx(share, rel=0.15)
        skyra = rows[rows["role"] == "validation"]["scanner"].eq("Skyra").mean()
        assert skyra == pytest.approx(rows["scanner"].eq("Skyra").mean(), abs=0.1)


def test_a_person_who_is_the_only_one_of_the_resolutions_leaves_nobody_to_divide():
    table = pd.concat([cohort(range(1, 8)), cohort(range(1, 8), "LR", start=500)], ignore_index=True)
    table["person_id"] = table["participant_id"].where(~table["participant_id"].isin(["sub-001", "sub-500"]), "one")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of a mean of nobody
        folds = make_folds(table, 3, 0.2, 0)
    both = folds[folds["participant_id"].isin(["sub-001", "sub-500"])]
    assert (both.groupby("fold")["role"].nunique() == 1).all()


def test_deterministic_and_seeded():
    table = paper_cohort()
    first = make_folds(table, 5, 0.2, 3)
    pd.testing.assert_frame_equal(first, make_folds(table, 5, 0.2, 3))
    shuffled = table.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(first, make_folds(shuffled, 5, 0.2, 3))
    assert not first.equals(make_folds(table, 5, 0.2, 4))


def test_one_resolution_does_not_disturb_the_other():
    """With as many subjects as divide evenly, HR's folds are the same with and without LR beside them."""
    hr, lr = cohort(range(10), "HR"), cohort(range(15), "LR", start=100)
    both = make_folds(pd.concat([hr, lr]), 5, 0.2, 1)
    alone = make_folds(hr, 5, 0.2, 1)
    ours = both[both["participant_id"].isin(hr["participant_id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(ours, alone)


def test_unknown_scanners_are_one_scanner():
    table = cohort([1, 2, 3, 4, 5, 6])
    table["scanner"] = None
    assert len(make_folds(table, 3, 0.2, 0)) == 18


def test_nobody_has_a_microbleed():
    assert len(make_folds(cohort([0] * 6), 3, 0.2, 0)) == 18


@pytest.mark.parametrize("folds", [-1, 0, 1])
def test_too_few_folds(folds):
    with pytest.raises(UsageError, match=f"--folds {folds}: at least 2"):
        make_folds(cohort([1] * 10), folds, 0.2, 0)


@pytest.mark.parametrize("validation", [-0.1, 0.51, 1.0, float("nan")])
def test_impossible_validation(validation):
    with pytest.raises(UsageError, match="--validation"):
        make_folds(cohort([1] * 10), 5, validation, 0)


@pytest.mark.parametrize(("subjects", "folds", "validation"), [(4, 5, 0.0), (2, 2, 0.2), (1, 2, 0.0)])
def test_too_few_patients(subjects, folds, validation):
    table = cohort([1] * subjects, controls=10)
    with pytest.raises(DataError, match=f"resolution HR: {subjects} patients are too few for {folds} folds"):
        make_folds(table, folds, validation, 0)


def test_bad_tables():
    table = cohort([1] * 10, controls=1)
    with pytest.raises(DataError, match="sub-001 stands more than once"):
        make_folds(pd.concat([table, table[:1]]), 5, 0.2, 0)
    with pytest.raises(DataError, match="group Healthy"):
        make_folds(table.replace("control", "Healthy"), 5, 0.2, 0)
    with pytest.raises(DataError, match="no patients"):
        make_folds(table[table["group"] == "control"], 5, 0.2, 0)
    table.loc[10, "microbleeds"] = 2
    with pytest.raises(DataError, match="control sub-011 has microbleeds"):
        make_folds(table, 5, 0.2, 0)


# --- by scanner -------------------------------------------------------------------------------------------------------


@given(st.tuples(*[st.lists(st.integers(0, 9), min_size=4, max_size=20)] * 2), st.integers(0, 4), st.integers(0, 2**31))
def test_a_scanner_is_trained_on_or_tested_on_never_both(lists, controls, seed):
    hr, lr = (np.array(counts) + 1 for counts in lists)
    table = pd.concat(
        [cohort(hr, "HR", ("A", "B"), controls), cohort(lr, "LR", ("A", "B"), start=101)], ignore_index=True
    )
    folds = make_scanner_folds(table, 0.2, seed).merge(table, on="participant_id")
    assert sorted(folds["fold"].unique()) == ["scanner-A", "scanner-B"]
    for name, fold in folds.groupby("fold"):
        assert sorted(fold["participant_id"]) == sorted(table["participant_id"])
        mine = fold["scanner"] == name.removeprefix("scanner-")
        healthy = fold["group"] == "control"
        assert (fold["role"][healthy] == "control").all()
        assert set(fold["role"][mine & ~healthy]) == {"train", "validation"}
        assert set(fold["role"][~mine & ~healthy]) <= {"test"}
        for _, of_resolution in fold[mine & ~healthy].groupby("resolution"):
            assert set(of_resolution["role"]) == {"train", "validation"}


def test_a_resolution_with_one_patient_on_a_scanner_is_not_trained_there():
    table = pd.concat([cohort([1] * 4, "HR", ("A", "B")), cohort([1], "LR", ("A",), start=9)], ignore_index=True)
    folds = make_scanner_folds(table, 0.2, 0).set_index(["fold", "participant_id"])["role"]
    assert folds["scanner-A", "sub-009"] == folds["scanner-B", "sub-009"] == "test"


def test_labels_become_names_of_folds():
    names = scanner_folds(pd.Series(["Siemens Verio (3T)", "scanner-b", None]))
    assert names == {
        "Siemens Verio (3T)": "scanner-Siemens-Verio-3T",
        "scanner-b": "scanner-b",
        "unknown": "scanner-unknown",
    }
    with pytest.raises(DataError, match="folds of the same name"):
        scanner_folds(pd.Series(["A 1", "A-1"]))


def test_one_scanner_cannot_be_tested_on_another():
    with pytest.raises(DataError, match="all patients were scanned on Verio"):
        make_scanner_folds(cohort([1] * 6), 0.2, 0)


# --- one person, several scans ---------------------------------------------------------------------------------------


def scans_of(people, scanners=("Verio",), rng=None):
    """Scans of persons, given as (person, resolution, resolution, ...), each scan with microbleeds of its own."""
    rng = rng or np.random.default_rng(0)
    rows = [
        (f"{person}_ses-{n}", person, resolution, str(rng.choice(scanners)), "patient", int(rng.integers(0, 9)))
        for person, *resolutions in people
        for n, resolution in enumerate(resolutions, 1)
    ]
    columns = ["participant_id", "person_id", "resolution", "scanner", "group", "microbleeds"]
    return pd.DataFrame(rows, columns=columns).sample(frac=1, random_state=1)


@given(
    st.tuples(*[st.integers(0, 12)] * 5),
    st.integers(2, 4),
    st.tuples(st.sampled_from([0.0, 0.2, 0.4]), st.integers(0, 1000)),
    st.sampled_from([("A",), ("A", "B", "C")]),
)
@settings(max_examples=25, deadline=None)
def test_all_scans_of_a_person_are_in_one_set(numbers, n, parts, scanners):
    kinds = (("HR",), ("LR",), ("HR", "HR"), ("HR", "LR"), ("HR", "LR", "LR"))
    people = [
        (f"sub-{kind}x{m}", *resolutions)
        for kind, (count, resolutions) in enumerate(zip(numbers, kinds, strict=True))
        for m in range(count)
    ]
    table = scans_of([*people, *((f"sub-9{r}{m}", r) for r in ("HR", "LR") for m in range(6))], scanners)
    validation, seed = parts
    folds = make_folds(table, n, validation, seed).merge(table, on="participant_id")
    assert len(folds) == n * len(table)
    assert folds.groupby(["fold", "person_id"])["role"].nunique().max() == 1, "over sessions and over resolutions"
    tested = folds[folds["role"] == "test"]
    assert sorted(tested["participant_id"]) == sorted(table["participant_id"]), "every scan is tested once"
    for _, rows in folds.groupby(["fold", "resolution"]):
        assert {"train", "test", *(["validation"] if validation else [])} == set(rows["role"])
    for scanner_folds_of in [make_scanner_folds(table, validation, seed)] if table["scanner"].nunique() > 1 else []:
        merged = scanner_folds_of.merge(table, on="participant_id")
        for fold, rows in merged.groupby("fold"):
            sets = {role: set(rows["person_id"][rows["role"] == role]) for role in ("train", "validation", "test")}
            assert not sets["train"] & sets["test"]
            assert not sets["validation"] & (sets["train"] | sets["test"])
            assert set(rows["scanner"][rows["role"].isin(["train", "validation"])]) <= {fold.removeprefix("scanner-")}


def test_persons_are_balanced_in_number_and_microbleeds():
    table = scans_of([(f"sub-{m:02d}", *("HR",) * (1 + m % 3)) for m in range(30)])
    merged = make_folds(table, 5, 0.2, 0).merge(table, on="participant_id").query("role == 'test'")
    people = merged.groupby("fold").agg(
        people=("person_id", "nunique"), scans=("role", "size"), marks=("microbleeds", "sum")
    )
    assert people["people"].tolist() == [6] * 5
    assert people["scans"].max() - people["scans"].min() <= 2
    assert people["marks"].max() - people["marks"].min() <= 6


def test_a_person_on_both_scanners_is_learned_from_or_left_out_never_tested_as_well():
    people = [(f"sub-{m}", "HR") for m in range(8)] + [("sub-both", "HR", "HR")]
    table = scans_of(people).sort_values("participant_id", ignore_index=True)
    table["scanner"] = ["A" if n % 2 else "B" for n in range(len(table))]
    of_both = table["person_id"] == "sub-both"
    assert sorted(table["scanner"][of_both]) == ["A", "B"]
    folds = make_scanner_folds(table, 0.2, 0)
    for _, rows in folds[folds["participant_id"].isin(table["participant_id"][of_both])].groupby("fold"):
        assert "excluded" in set(rows["role"])
        assert set(rows["role"]) <= {"train", "validation", "excluded"}


def test_controls_scanned_twice_stay_controls_and_nobody_is_patient_and_control():
    table = cohort([1] * 10, controls=2).assign(person_id=[*(f"p{n}" for n in range(10)), "healthy", "healthy"])
    assert set(make_folds(table, 5, 0.2, 0).query("role == 'control'")["participant_id"]) == {"sub-011", "sub-012"}
    table.loc[10, "person_id"] = "p3"
    with pytest.raises(DataError, match=r"sub-004 \(patient\), sub-011 \(control\) are scans of one person, p3"):
        make_folds(table, 5, 0.2, 0)


def test_persons_are_counted_not_scans():
    with pytest.raises(DataError, match="resolution HR: 3 patients are too few for 4 folds"):
        make_folds(scans_of([("a", "HR", "HR"), ("b", "HR", "HR"), ("c", "HR", "HR")]), 4, 0.0, 0)


def test_patients_who_were_not_read_are_excluded_from_every_fold():
    table = cohort([3, 0, 2, 1, 0, 4, 2, 0], scanners=("A", "B"), controls=1).assign(read=True)
    table.loc[[1, 4], "read"] = False
    folds = pd.concat([make_folds(table, 3, 0.2, 0), make_scanner_folds(table, 0.2, 0)])
    excluded = folds[folds["role"] == "excluded"]
    assert set(excluded["participant_id"]) == {"sub-002", "sub-005"}
    assert len(excluded) == 2 * folds["fold"].nunique()
    with pytest.raises(DataError, match="no patient's scans were read"):
        make_folds(table.assign(read=False), 3, 0.2, 0)
