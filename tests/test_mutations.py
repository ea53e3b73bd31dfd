"""Damaged inputs of every kind are read rightly or refused in one message that names the file.

A few of each here; ``benchmarks/mutations.py`` makes thousands of the same.
"""

import os
import time

import numpy as np
import pytest
from mutants import FAULTS, KINDS, OUTCOMES, Kind, Mutant, Outcome, run
from mutations import examples, originals, plan, table

from cmb_toolkit.errors import CmbError, DataError

SEED = 7
FEW = {"commands": 12, "keras": 5, "findings": 4, "candidates": 15, "nifti": 60, "records": 25}


@pytest.fixture(scope="module")
def whole():
    with originals(KINDS) as folders:
        yield folders


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_damaged_inputs(kind, whole):
    outcomes = list(run(kind, range(FEW.get(kind.name, 30)), whole[kind.name], seed=SEED))
    assert len(outcomes) == FEW.get(kind.name, 30)
    assert not [outcome for outcome in outcomes if outcome.outcome in FAULTS], examples(outcomes, SEED, 3)


# -- what watches over them -------------------------------------------------------------------------------------


def outcome_of(read, *, wrong=lambda content: "", file=None, seconds=60.0):
    """What is said of a mutant that is read like this."""
    kind = Kind("kind", lambda folder: None, lambda random, whole, folder: Mutant("so", read, file, wrong))
    (outcome,) = run(kind, [0], None, seed=1, seconds=seconds, memory=1 << 30)
    return outcome.outcome


def fails(error):
    def read():
        raise error

    return read


def test_what_is_read(tmp_path):
    assert outcome_of(lambda: 1) == "accepted"
    assert outcome_of(lambda: 1, wrong=lambda content: "not so" * (content == 1)) == "damaged"
    assert outcome_of(lambda: 1, wrong=lambda content: "not so" * (content == 2)) == "accepted"


def test_what_is_refused(tmp_path):
    assert outcome_of(fails(DataError("a.tsv: bad")), file=tmp_path / "a.tsv") == "refused"
    assert outcome_of(fails(DataError("bad")), file=tmp_path / "a.tsv") == "unexpected", "no file is named"
    assert outcome_of(fails(CmbError("bad"))) == "unexpected", "exit code 1"
    assert outcome_of(fails(DataError("x" * 10_000))) == "unexpected", "a message of ten thousand characters"


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), RecursionError(), SystemExit(1), PermissionError()])
def test_what_is_not_expected(error):
    assert outcome_of(fails(error)) == "unexpected"


def test_what_takes_too_much():
    assert outcome_of(lambda: np.ones(1 << 28)) == "memory"
    assert outcome_of(lambda: time.sleep(600), seconds=0.5) == "hang"
    assert outcome_of(lambda: os._exit(1)) == "unexpected"


def test_the_others_go_on_after_one_that_died_or_hung():
    def mutate(random, whole, folder):
        number = int(folder.name)
        return Mutant("so", {1: lambda: os._exit(1), 3: lambda: time.sleep(600)}.get(number, lambda: number))

    outcomes = list(run(Kind("kind", lambda folder: None, mutate), range(6), None, seed=1, seconds=0.5))
    assert [o.number for o in outcomes] == list(range(6))
    assert [o.outcome for o in outcomes] == ["accepted", "unexpected", "accepted", "hang", "accepted", "accepted"]


def test_a_mutant_can_be_had_again(whole):
    kind = next(kind for kind in KINDS if kind.name == "cfg")
    several = [outcome.what for outcome in run(kind, range(10), whole["cfg"], seed=3)]
    (again,) = run(kind, [7], whole["cfg"], seed=3)
    assert again.what == several[7]
    assert len(set(several)) > 5


def test_the_table_fits_a_terminal():
    outcomes = [Outcome(kind.name, 0, outcome, "so") for kind in KINDS for outcome in OUTCOMES for _ in range(12)]
    lines = table(outcomes).split("\n")
    assert max(map(len, lines)) <= 80
    assert len(lines) == len(KINDS) + 2
    assert lines[-1].split() == ["all", *map(str, [len(outcomes), *[12 * len(KINDS)] * len(OUTCOMES)])]


def test_every_kind_is_in_the_plan():
    parts = plan(KINDS, 10_000)
    assert {kind.name for kind, _ in parts} == {kind.name for kind in KINDS}
    assert 9_900 < sum(len(numbers) for _, numbers in parts) < 10_100
