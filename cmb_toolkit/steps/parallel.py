"""Run one function over many subjects in worker processes; results do not depend on the number of workers."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from ..errors import CmbError
from ..model import OnProgress

__all__ = ["for_each"]

T = TypeVar("T")
R = TypeVar("R")


def for_each(
    function: Callable[[T], R],
    items: Sequence[T],
    *,
    jobs: int,
    on_progress: OnProgress,
    label: Callable[[T], str] = str,
) -> list[R]:
    """Apply `function` to every item, in the order of `items`.

    The first error stops what has not begun and is raised as it is; work already published stays.

    Parameters
    ----------
    function : callable
        Importable (it is sent to worker processes); a :func:`functools.partial` of one will do.
    items : sequence
    jobs : int
        Worker processes; 1 runs in this process.
    on_progress : callable
        ``on_progress(done, total, label(item))`` after each item.
    label : callable
        What to call an item in progress reports.

    Raises
    ------
    CmbError
        If a worker process was killed.
    """
    results: list[R | None] = [None] * len(items)
    on_progress(0, len(items), "")
    if jobs <= 1 or len(items) <= 1:
        for n, item in enumerate(items):
            results[n] = function(item)
            on_progress(n + 1, len(items), label(item))
        return results  # type: ignore[return-value]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(items)), mp_context=context) as pool:
        places = {pool.submit(function, item): n for n, item in enumerate(items)}
        try:
            for done, future in enumerate(as_completed(places), 1):
                n = places[future]
                results[n] = future.result()
                on_progress(done, len(items), label(items[n]))
        except BrokenProcessPool as error:
            raise CmbError(
                "A worker process was ended from outside, most often because memory ran out. "
                "Run the same command again with fewer --jobs; finished subjects are not redone."
            ) from error
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return results  # type: ignore[return-value]
