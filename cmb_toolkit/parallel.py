"""Run one function over many subjects in worker processes; results do not depend on the number of workers."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.synchronize import Event as EventClass
from pathlib import Path
from typing import Generic, TypeVar

from .errors import CmbError, Problems, StorageError
from .model import OnProgress

__all__ = ["for_each", "workers"]

T = TypeVar("T")
R = TypeVar("R")


def workers(memory_gb: float = 2.0) -> int:
    """How many worker processes there are processors and memory for.

    Parameters
    ----------
    memory_gb : float
        What one of them needs at most [GB].
    """
    facts = Path("/proc/meminfo").read_text("utf-8")
    free = int(facts.partition("MemAvailable:")[2].split()[0]) * 1024 / 1e9
    return max(1, min(len(os.sched_getaffinity(0)), int(free / memory_gb)))


def for_each(
    function: Callable[[T], R],
    items: Sequence[T],
    *,
    jobs: int,
    on_progress: OnProgress,
    label: Callable[[T], str] = str,
    problems: Problems | None = None,
) -> list[R]:
    """Apply `function` to every item, in the order of `items`.

    An item that fails does not stop the others: what went wrong is gathered, each with its label, and raised when all
    are done. Only what is no single item's fault stops everything: a full disk, a worker that was killed, Ctrl-C.

    Parameters
    ----------
    function : callable
        Importable (it is sent to worker processes); a :func:`functools.partial` of one will do.
    items : sequence
    jobs : int
        Worker processes, at most as many as there are items, or processors where there are two or more; 1 runs in
        this process.
    on_progress : callable
        ``on_progress(done, total, label(item))`` after each item.
    label : callable
        What to call an item in progress reports and problems.
    problems : Problems, optional
        Where to gather what goes wrong, instead of raising it: the results are then those of the other items.

    Returns
    -------
    list
        Results of all items, or without those that failed where `problems` are given.

    Raises
    ------
    CmbError
        What went wrong with any items, as :meth:`cmb_toolkit.errors.Problems.raise_if_any` has it; or if a worker
        process was killed.
    """
    gathered = Problems() if problems is None else problems
    results: dict[int, R] = {}
    failed: dict[int, CmbError] = {}
    on_progress(0, len(items), "")
    with closing(_outcomes(function, items, jobs)) as outcomes:
        for done, (n, outcome) in enumerate(outcomes, 1):
            try:
                results[n] = outcome()
            except StorageError:
                raise
            except CmbError as error:
                failed[n] = error
            except MemoryError:
                failed[n] = CmbError("needs more memory than there is. Run the same command again with fewer --jobs.")
            on_progress(done, len(items), label(items[n]))
    for n in sorted(failed):
        gathered.add(failed[n], label(items[n]))
    if problems is None:
        gathered.raise_if_any()
    return [results[n] for n in sorted(results)]


def _outcomes(function: Callable[[T], R], items: Sequence[T], jobs: int) -> Generator[tuple[int, Callable[[], R]]]:
    """The place of each item as it is done, and what returns its result or raises its error."""
    if jobs <= 1 or len(items) <= 1:
        yield from ((n, partial(function, item)) for n, item in enumerate(items))
        return
    context = multiprocessing.get_context("spawn")
    over = context.Event()
    with ProcessPoolExecutor(_workers(jobs, len(items)), context, _begin, (over,)) as pool:
        with _deaf():
            places = {pool.submit(_Interruptible(function), item): n for n, item in enumerate(items)}
        try:
            for future in as_completed(places):
                if isinstance(error := future.exception(), BrokenProcessPool):
                    raise CmbError(
                        "A worker process was ended from outside, most often because memory ran out. "
                        "Run the same command again with fewer --jobs; finished subjects are not redone."
                    ) from error
                yield places[future], future.result
        except BaseException:
            over.set()
            for worker in multiprocessing.active_children():
                with suppress(ProcessLookupError):
                    os.kill(worker.pid or 0, signal.SIGINT)
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _workers(jobs: int, items: int) -> int:
    """More processes than processors only wait for each other, and each takes seconds to start."""
    return min(jobs, items, max(2, len(os.sched_getaffinity(0))))


# A terminal sends Ctrl-C to workers as well, and one that is starting or waiting would end in a traceback. So they are
# born deaf, and hear only while they work; what they missed is told by an event, which is set before they are called.


@contextmanager
def _deaf() -> Iterator[None]:
    """Ignore Ctrl-C inside; processes that are started there ignore it for good."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


_worker: dict[str, EventClass] = {}


def _begin(over: EventClass) -> None:
    _worker["over"] = over


def _end(_signal: int, _frame: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


@dataclass(frozen=True)
class _Interruptible(Generic[T, R]):
    """A function that Ctrl-C ends, in a worker that it does not."""

    function: Callable[[T], R]

    def __call__(self, item: T) -> R:
        signal.signal(signal.SIGINT, _end)
        try:
            if _worker["over"].is_set():
                raise KeyboardInterrupt
            return self.function(item)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
