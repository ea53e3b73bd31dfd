"""Progress for people: a bar with time left on a terminal, one line a minute in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..model import OnProgress

__all__ = ["progress"]

_LOG_INTERVAL_S = 60.0


@contextmanager
def progress(title: str) -> Iterator[OnProgress]:
    """Show progress on stderr while the block runs; the yielded function is given to a step as ``on_progress``."""
    if sys.stderr.isatty():
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
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(title, total=None, what="")
            begun = False

            def show(done: int, total: int, what: str) -> None:
                nonlocal begun
                if not begun and done:  # work of an earlier run is no measure of speed
                    begun = True
                    bar.reset(task, completed=done, total=total)
                bar.update(task, completed=done, total=total, what=what)

            yield show
        return
    started = last = time.monotonic()
    before: int | None = None

    def line(done: int, total: int, what: str) -> None:
        nonlocal last, before
        before = max(done - 1, 0) if before is None and done else before  # done by an earlier run
        now = time.monotonic()
        if done < total and now - last < _LOG_INTERVAL_S:
            return
        last = now
        elapsed = now - started
        mine = done - (before or 0)
        left = f", {elapsed * (total - done) / mine:.0f} s left" if mine > 0 and done < total else ""
        print(f"{title}: {done}/{total} in {elapsed:.0f} s{left} {what}".rstrip(), file=sys.stderr, flush=True)

    yield line
