"""The nouns: folds are disjoint, counts add, rates are the paper's."""

import math

import hypothesis.strategies as st
import pytest
from hypothesis import given

from cmb_toolkit.errors import CmbError, DarknetError, DataError, MissingError, Problems, StorageError, UsageError
from cmb_toolkit.model import INPUTS, ROLES, Box, Counts, Fold

numbers = st.integers(0, 10_000)
counts = st.builds(Counts, numbers, numbers, numbers, numbers, numbers)


@given(counts, counts, counts)
def test_counts_add(a, b, c):
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert a + Counts() == a
    assert (a + b).tp == a.tp + b.tp
    assert sum([a, b, c], Counts()).subjects == a.subjects + b.subjects + c.subjects


@given(counts)
def test_rates_are_shares_or_nan(c):
    for rate, denominator in (
        (c.sensitivity, c.tp + c.fn),
        (c.precision, c.tp + c.fp),
        (c.f1, 2 * c.tp + c.fp + c.fn),
        (c.specificity, c.tn + c.fp),
    ):
        assert (0 <= rate <= 1) if denominator else math.isnan(rate)
    if c.tp:
        assert c.f1 == pytest.approx(2 / (1 / c.sensitivity + 1 / c.precision))


def test_the_papers_totals():
    """HR of Tables 4 and 6: 166 of 188 microbleeds after both stages with 102 false ones in 72 subjects."""
    counts = Counts(tp=166, fp=102, fn=22, subjects=72)
    assert counts.sensitivity == pytest.approx(0.8830, abs=5e-5)
    assert counts.precision == pytest.approx(0.6194, abs=5e-5)
    assert counts.fp_per_subject == pytest.approx(1.42, abs=5e-3)


def test_nothing_found_is_not_undefined():
    counts = Counts(fn=3, subjects=2)
    assert counts.sensitivity == 0
    assert math.isnan(counts.precision)
    assert counts.fp_per_subject == 0
    assert math.isnan(Counts().fp_per_subject)


def test_centre_of_a_box():
    assert Box(10, 20, 30, 26).centre == (20, 23)


def test_role_in_a_fold():
    fold = Fold("1", ("sub-1",), ("sub-2",), ("sub-3",), ("sub-4",))
    assert [fold.role(f"sub-{n}") for n in range(1, 6)] == ["train", "validation", "test", "control", None]


@pytest.mark.parametrize("one", ROLES)
@pytest.mark.parametrize("other", ROLES)
def test_a_subject_stands_once_in_a_fold(one, other):
    sets = dict.fromkeys(ROLES, ())
    sets[one] += ("sub-1",)
    sets[other] += ("sub-1",)
    with pytest.raises(DataError, match=r"fold 3: subject sub-1 stands twice.*cmbtk split") as caught:
        Fold("3", **sets)
    assert (
        (f"both {one} and {other}" in str(caught.value))
        or one == other
        or f"both {other} and {one}" in str(caught.value)
    )


def test_the_five_inputs_of_table_2():
    assert len(INPUTS) == len(set(INPUTS)) == 5


# -- errors -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "builtin"),
    [
        (CmbError, 1, Exception),
        (StorageError, 1, Exception),
        (UsageError, 2, ValueError),
        (MissingError, 3, FileNotFoundError),
        (DarknetError, 4, RuntimeError),
        (DataError, 5, ValueError),
    ],
)
def test_exit_codes_and_what_else_the_errors_are(error, code, builtin):
    assert error.exit_code == code
    assert issubclass(error, CmbError)
    assert issubclass(error, builtin)
    assert str(error("scan.nii: not found")) == "scan.nii: not found"


def test_problems_are_raised_together():
    problems = Problems()
    problems.raise_if_any("no hint without a problem")
    problems.add(MissingError("a: gone"))
    problems.add(MissingError("b: gone"))
    with pytest.raises(MissingError, match="a: gone\nb: gone\ntry this"):
        problems.raise_if_any("try this")
    problems.add("c: wrong")
    with pytest.raises(DataError, match=r"a: gone\nb: gone\nc: wrong$"):
        problems.raise_if_any()


def test_problems_are_of_the_kind_that_all_of_them_are():
    for error, expected in ((UsageError, UsageError), (DarknetError, DataError)):
        problems = Problems()
        for name, kind in (("sub-1", UsageError), ("sub-2", error)):
            with problems.of(name):
                raise kind("wrong")
        with pytest.raises(expected, match="sub-1: wrong\nsub-2: wrong"):
            problems.raise_if_any()


def test_every_subject_with_a_problem_is_named():
    problems = Problems()
    for n in range(30):
        problems.add("broken", f"sub-{n:02d}")
    with pytest.raises(DataError) as caught:
        problems.raise_if_any()
    assert str(caught.value).startswith("sub-00: broken\nsub-01: broken\n")
    assert "10 more problems like these, of sub-20, " in str(caught.value)
    assert all(f"sub-{n:02d}" in str(caught.value) for n in range(30))


def test_a_full_disk_is_nobodys_problem_in_particular():
    with pytest.raises(StorageError), Problems().of("sub-1"):
        raise StorageError("full")
