"""How long it took and will take."""

import pytest

from cmb_toolkit.workflow.jobs import Job, uses_gpu
from cmb_toolkit.workflow.times import expected, total


def job(step, cell):
    return Job(step, cell, (), (), ())


def test_expected_takes_the_nearest_that_is_known():
    paces = {
        job("train", "HR_a"): 10.0,
        job("train", "HR_b"): 20.0,
        job("train", "LR_a"): 60.0,
        job("crop", "LR_a"): 1.0,
    }
    stated = {"train": 500, "classify": 7}
    assert expected(job("train", "HR_c"), paces, {}, stated) == 15
    assert expected(job("train", "HR+LR_c"), paces, {}, stated) == 30
    assert expected(job("classify", "HR_c"), paces, {}, stated) == 7
    assert expected(job("evaluate", "HR_c"), paces, {}, stated) is None


def test_expected_follows_the_amount_of_work():
    """A training that was measured at 5 s per amount; what the settings state is of the whole job."""
    amounts = {"train": 4.0, "classify": 4.0}
    paces = {job("train", "HR_a"): 5.0, job("crop", "HR_a"): 3.0}
    assert expected(job("train", "HR_b"), paces, amounts, {}) == 20
    assert expected(job("crop", "HR_b"), paces, amounts, {}) == 3
    assert expected(job("classify", "HR_b"), paces, amounts, {"classify": 7}) == 7


@pytest.mark.parametrize(
    ("at_once", "gpus", "hours"),
    [(1, 0, 12), (2, 0, 6), (2, 1, 8), (100, 4, 4), (100, 0, 4)],
    ids=["one by one", "two", "two, of which one on a GPU", "no shorter than the longest", "on processors"],
)
def test_total(at_once, gpus, hours):
    seconds = {job("stage1-train", f"HR_{n}"): 4.0 for n in range(2)} | {
        job("evaluate", f"HR_{n}"): 1.0 for n in range(4)
    }
    assert total(seconds, at_once, gpus) == hours
    assert total(seconds | {job("frst", "HR_1"): None}, at_once, gpus) is None
    assert total({}, at_once, gpus) == 0


def test_methods_that_learn_use_a_gpu_and_others_do_not():
    assert [uses_gpu(step) for step in ("stage1-train", "heatmap", "dou", "frst", "liu", "evaluate")] == [
        True, True, True, False, False, False
    ]  # fmt: skip
