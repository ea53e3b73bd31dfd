"""The sign that is taken, what is said about it, and scanners that have both."""

from __future__ import annotations

import pytest

from cmb_toolkit.errors import DataError
from cmb_toolkit.imaging.settled_sign import settled_sign
from cmb_toolkit.imaging.sign import SinusEvidence, VeinEvidence
from cmb_toolkit.study.phase_sign import disagreeing

VEINS = {1: VeinEvidence(1372, 1043, 0.48), 0: VeinEvidence(20, 11, 0.35), -1: VeinEvidence(1372, 329, -0.48)}
SINUSES = {1: SinusEvidence(64, 62, 2.7, 576.0), 0: SinusEvidence(), -1: SinusEvidence(64, 2, -2.7, 576.0)}


def settled(asked, veins, sinuses, *, in_table=False):
    return settled_sign(asked, in_table=in_table, veins=VEINS[veins], sinuses=SINUSES[sinuses])


@pytest.mark.parametrize(
    ("veins", "sinuses", "expected"),
    [
        (
            1,
            1,
            "+1 from the veins and the sinuses: in the file, 1043 of 1372 dark vessel-like voxels (76%) are positive",
        ),
        (-1, 0, "-1 from the veins: in the file, 329 of 1372 dark vessel-like voxels (24%) are positive"),
        (
            0,
            -1,
            "-1 from the sinuses: in the file, over the sinuses the phase rises towards the air in 2 of 64 columns",
        ),
    ],
)
def test_what_is_seen_is_taken_and_said(veins, sinuses, expected):
    found = settled("auto", veins, sinuses)
    assert found.why.startswith(expected)
    assert found.sign == (veins or sinuses)
    assert not found.warning


def test_contradiction_is_refused_with_both_counts():
    with pytest.raises(DataError, match="contradict each other") as error:
        settled("auto", -1, 1)
    assert "329 of 1372 dark vessel-like voxels (24%) are positive, median -0.48 rad" in str(error.value)
    assert "62 of 64 columns (97%), median +2.70 rad" in str(error.value)


def test_too_little_is_refused_with_true_counts():
    with pytest.raises(
        DataError, match=r"not to be seen: in the file, 11 of 20 dark.*\(55%\) are positive.*no frontal"
    ):
        settled("auto", 0, 0)
    with pytest.raises(DataError, match="no dark vessel-like voxels"):
        settled_sign("auto", in_table=False, veins=VeinEvidence(), sinuses=SinusEvidence())


@pytest.mark.parametrize(
    ("asked", "veins", "in_table", "sure"),
    [("auto", 1, False, True), (1, 0, True, True), (1, 0, False, False), (1, 1, False, True), (1, -1, True, False)],
)
def test_it_is_sure_where_it_is_seen_or_said_of_this_scan_and_not_contradicted(asked, veins, in_table, sure):
    assert settled(asked, veins, veins, in_table=in_table).sure is sure


def test_given_and_assumed_are_told_apart():
    assert settled(1, 1, 1, in_table=True).why == "+1 as given"
    assert settled(-1, -1, 0).why.startswith("-1 assumed")


@pytest.mark.parametrize(("veins", "sinuses"), [(-1, -1), (-1, 0), (0, -1)])
def test_a_sign_that_is_contradicted_stays_with_a_warning(veins, sinuses):
    found = settled(1, veins, sinuses, in_table=True)
    assert found.sign == 1
    assert "sign looks wrong" in found.warning
    assert "set phase_sign -1" in found.warning


def test_counts_of_the_warning_are_those_with_the_sign_that_was_given():
    warning = settled(-1, 1, 1).warning
    assert "with phase_sign -1, 329 of 1372 dark vessel-like voxels (24%) are positive, median -0.48 rad" in warning
    assert "2 of 64 columns (3%), median -2.70 rad" in warning


@pytest.mark.parametrize(("veins", "sinuses"), [(1, 1), (0, 0), (1, -1), (-1, 1)])
def test_no_warning_without_one_voice_against_it(veins, sinuses):
    assert not settled(1, veins, sinuses).warning


def test_scanners_with_both_signs_are_listed_once():
    scans = [("a", "sub-001", 1), ("b", "sub-002", -1), ("a", "sub-003", -1), ("a", "sub-004", 1), ("b", "sub-005", -1)]
    ((sentence, names),) = disagreeing(scans)
    assert names == ["sub-001", "sub-004", "sub-003"]
    assert sentence.startswith("scanner a has phases of both signs (+1 for sub-001, sub-004; -1 for sub-003)")


def test_unknown_scanners_and_signs_are_no_disagreement():
    assert not list(disagreeing([(None, "sub-001", 1), (float("nan"), "sub-002", -1), ("a", "sub-003", 0)]))
