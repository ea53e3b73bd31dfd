"""Progress for people: a bar with time left on a terminal, one line a minute in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress

from .streams import drawing, is_quiet, say

__all__ = ["Reporter", "progress"]

_LOG_INTERVAL_S = 60.0


class Reporter(Protocol):
    """What :func:`progress` yields: to be given to a step as ``on_progress``, its ``note`` as ``on_note``."""

    def __call__(self, done: int, total: int, what: str) -> None: ...

    def note(self, text: str) -> None:
        """Print a line that stays."""


@contextmanager
def progress(title: str) -> Iterator[Reporter]:
    """Show progress on stderr while the block runs."""
    if not sys.stderr.isatty() or is_quiet():
        yield _Log(title)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[what]}"),
    )
    with drawing() as heard, Progress(*columns, console=Console(stderr=True)) as bar:
        yield _Bar(bar, title, heard)


class _Work:
    """What is being done: a new total, or a smaller count than before, begins another part, with a speed of its own."""

    def __init__(self) -> None:
        self._total = self._done = 0
        self._before: int | None = None
        self._started = time.monotonic()

    def moved(self, done: int, total: int) -> bool:
        """Take note of a count; whether speed is measured from here on."""
        if total != self._total or done < self._done:
            if self._total:
                self._started = time.monotonic()
            self._before = None
        self._total, self._done = total, done
        if self._before is not None or not done:
            return False
        self._before = done - 1  # done by an earlier run
        return True

    def seconds(self) -> float:
        """Since this part began."""
        return time.monotonic() - self._started

    def left(self) -> float | None:
        """Seconds; None before one in a hundred is done: a first step that compiles is no measure."""
        before = self._before or 0
        mine = self._done - before
        return self.seconds() * (self._total - self._done) / mine if 0 < self._total - before <= 100 * mine else None


class _Bar:
    """A line that is drawn over and over."""

    def __init__(self, bar: Progress, title: str, heard: Callable[[str], object]) -> None:
        self._bar, self._heard = bar, heard
        self._task = bar.add_task(title, total=None, what="")
        self._work = _Work()

    def __call__(self, done: int, total: int, what: str) -> None:
        if self._work.moved(done, total):
            self._bar.reset(self._task, completed=done, total=total)
        self._bar.update(self._task, completed=done, total=total, what=what)

    def note(self, text: str) -> None:
        self._bar.console.print(text, highlight=False, markup=False)
        self._heard(text)


class _Log:
    """A line now and then."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._last = time.monotonic()
        self._work = _Work()

    def __call__(self, done: int, total: int, what: str) -> None:
        self._work.moved(done, total)
        now = time.monotonic()
        if done < total and now - self._last < _LOG_INTERVAL_S:
            return
        self._last = now
        seconds = self._work.left()
        left = f", {seconds:.0f} s left" if seconds is not None and done < total else ""
        self.note(f"{self._title}: {done}/{total} in {self._work.seconds():.0f} s{left} {what}".rstrip())

    def note(self, text: str) -> None:
        say(text)
