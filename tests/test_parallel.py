"""One function over many subjects: same results with any number of workers; errors and killed workers are told."""

import multiprocessing
import os
from functools import partial

import pytest

from cmb_toolkit.errors import CmbError, DataError, MissingError, Problems, StorageError
from cmb_toolkit.parallel import for_each, workers


def quiet(done, total, what):
    pass


def fail(n, error=DataError):
    if n == 2:
        raise error("broken")
    return n


# workers import functions by the name of their module, which pytest's importlib mode does not register
IMPORTABLE = partial(pow, exp=2)


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_order(jobs):
    reports = []
    results = for_each(
        IMPORTABLE, range(5), jobs=jobs, on_progress=lambda *r: reports.append(r), label=lambda n: f"s{n}"
    )
    assert results == [0, 1, 4, 9, 16]
    assert reports[0] == (0, 5, "")
    assert [done for done, _, _ in reports] == list(range(6))
    assert {what for _, _, what in reports[1:]} == {f"s{n}" for n in range(5)}


def test_more_jobs_than_processors_are_not_more_workers():
    one_each = partial(pow, exp=2)
    before = set(multiprocessing.active_children())
    most = []
    results = for_each(
        one_each, range(40), jobs=2**31, on_progress=lambda *r: most.append(len(multiprocessing.active_children()))
    )
    assert results == [n * n for n in range(40)]
    assert 1 < max(most) <= max(2, len(os.sched_getaffinity(0))) + len(before)


def test_nothing_to_do():
    assert for_each(abs, [], jobs=4, on_progress=lambda *r: None) == []


@pytest.mark.parametrize("error", [DataError, MissingError])
def test_one_that_fails_does_not_stop_the_others(error):
    done = []
    with pytest.raises(error, match=r"^2: broken$"):
        for_each(partial(fail, error=error), range(5), jobs=1, on_progress=lambda d, *_: done.append(d))
    assert done == [0, 1, 2, 3, 4, 5]


def test_the_results_of_the_others_can_be_had():
    problems = Problems()
    results = for_each(fail, range(5), jobs=1, on_progress=quiet, label=lambda n: f"sub-{n}", problems=problems)
    assert results == [0, 1, 3, 4]
    with pytest.raises(DataError, match=r"^sub-2: broken$"):
        problems.raise_if_any()


def test_errors_of_workers_are_listed_in_the_order_of_the_items(tmp_path):
    from cmb_toolkit.io.nifti import read_grid

    paths = [tmp_path / f"{n}.nii" for n in range(3)]
    paths[1].write_bytes(b"no scan")
    with pytest.raises(DataError) as caught:
        for_each(read_grid, paths, jobs=2, on_progress=quiet, label=lambda path: path.stem)
    assert [line[:2] for line in str(caught.value).splitlines()] == ["0:", "1:", "2:"]
    paths[1].unlink()
    with pytest.raises(MissingError, match=r"\.nii: not found") as caught:
        for_each(read_grid, paths, jobs=2, on_progress=quiet)
    assert caught.value.exit_code == 3


def test_what_is_no_items_fault_stops_all():
    done = []
    with pytest.raises(StorageError):
        for_each(partial(fail, error=StorageError), range(5), jobs=1, on_progress=lambda d, *_: done.append(d))
    assert done == [0, 1, 2]


def test_an_item_that_is_too_large_for_the_memory_is_one_of_those_that_fail():
    with pytest.raises(CmbError, match=r"^2: needs more memory than there is.*--jobs"):
        for_each(partial(fail, error=MemoryError), range(5), jobs=1, on_progress=quiet)


def test_a_killed_worker_is_told():
    with pytest.raises(CmbError, match=r"worker process was ended from outside.*--jobs"):
        for_each(os._exit, [7, 7], jobs=2, on_progress=lambda *r: None)


def test_as_many_workers_as_processors_and_memory_allow(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(64))
    assert workers(memory_gb=1e-6) == 64
    assert workers(memory_gb=1e6) == 1
