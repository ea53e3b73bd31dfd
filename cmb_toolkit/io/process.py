"""Running another program: its lines as they come, its end with ours, and an end when it hangs."""

from __future__ import annotations

import math
import os
import select
import signal
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

from ..aloud import aloud
from ..errors import CmbError

__all__ = ["Running", "running"]

_END_S = 10.0
"""How long [s] to wait for what a killed program has started itself: what is stuck in a disk does not end at once."""
_KEPT_LINES = 12


class Running:
    """A program that runs.

    Attributes
    ----------
    code : int or None
        Exit status once it has ended; Darknet's and FSL's say nothing about success.
    """

    def __init__(self, process: subprocess.Popen[bytes], patience_s: float, silent: CmbError) -> None:
        self._process = process
        self._patience_s = patience_s
        self._silent = silent
        self._last: deque[str] = deque(maxlen=_KEPT_LINES)
        self.code: int | None = None

    def lines(self) -> Iterator[str]:
        """What it prints, line by line, to its end; what it has started and leaves behind is not waited for.

        Raises
        ------
        CmbError
            If it says nothing for too long.
        """
        assert self._process.stdout is not None
        stream = self._process.stdout.fileno()
        rest = b""
        heard = time.monotonic()
        while True:
            left = self._patience_s - (time.monotonic() - heard)
            # what it has said while the last line was dealt with counts, however long that took
            if not select.select([stream], [], [], min(max(left, 0.0), 1.0))[0]:
                if self._process.poll() is not None:
                    break
                if left > 0:
                    continue
                raise self._silent
            heard = time.monotonic()
            block = os.read(stream, 1 << 16)
            *whole, rest = (rest + block).split(b"\n")
            if not block and rest:
                whole, rest = [rest], b""
            for line in whole:
                text = line.decode("utf-8", "replace").strip()
                if text:
                    self._last.append(text)
                yield text
            if not block:
                break
        self.code = self._process.wait()

    def last_words(self) -> str:
        """Its last lines, indented, for an error message."""
        printable = ("".join(c for c in line if c.isprintable()) for line in self._last)
        return "\n".join(f"  {line}" for line in printable)


@contextmanager
def running(  # noqa: PLR0913 (the one way to run a program, for everybody who does)
    argv: Sequence[str],
    folder: Path,
    *,
    cure: str,
    error: type[CmbError] = CmbError,
    stdin: Path | None = None,
    stderr: int = subprocess.STDOUT,
    environment: Mapping[str, str] = MappingProxyType({}),
    hold: int | None = None,
    patience_s: float = math.inf,
    grace_s: float = 0.0,
) -> Iterator[Running]:
    """Run a program in a folder; it and what it has started end with the block, and when this process dies, however it
    dies. After the block nothing of it writes any more.

    Parameters
    ----------
    argv : sequence of str
    folder : Path
        Its working directory.
    cure : str
        What to do where it does not start or hangs: a sentence for the error message.
    error : type
        Of that error.
    stdin : Path, optional
        File that it reads.
    stderr : int
        File descriptor for what it says there; by default among its lines.
    environment : mapping
        Variables that it gets besides this process's own.
    hold : int, optional
        File descriptor of a lock that it is to hold as well.
    patience_s : float
        It is ended when it says nothing for so long [s].
    grace_s : float
        So long it may tidy up where the block ends before it [s].

    Raises
    ------
    CmbError
        Of the type `error`, if it cannot be started.
    """
    aloud(f"{argv[0]}: started with {len(argv) - 1} words")
    try:
        with Path(stdin or os.devnull).open("rb") as source:
            process = subprocess.Popen(
                list(argv), cwd=folder, stdin=source, stdout=subprocess.PIPE, stderr=stderr,
                env={**os.environ, **environment}, start_new_session=True, pass_fds=() if hold is None else (hold,),
            )  # fmt: skip
    except OSError as reason:
        raise error(f"{argv[0]}: does not start ({reason.strerror}). {cure}") from reason
    # it ends the whole group when our end of its pipe closes, however this process dies
    guard = subprocess.Popen(
        ["/bin/sh", "-c", 'read -r _; kill -s KILL -- "-$0"', str(process.pid)],
        stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    silent = error(f"{argv[0]}: said nothing for {patience_s:.0f} s, so it hangs, and was ended. {cure}")
    try:
        yield Running(process, patience_s, silent)
    finally:
        if grace_s and process.poll() is None:
            _interrupt(process, grace_s)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        guard.kill()
        guard.wait()
        assert process.stdout is not None
        assert guard.stdin is not None
        guard.stdin.close()
        _await_end(process.stdout.fileno())
        process.stdout.close()


def _interrupt(process: subprocess.Popen[bytes], grace_s: float) -> None:
    """Let it tidy up. Not SIGINT: who was started with `&` ignores it."""
    with suppress(ProcessLookupError, PermissionError, subprocess.TimeoutExpired, KeyboardInterrupt):
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(grace_s)


def _await_end(stream: int) -> None:
    """Wait until nobody holds the other end of a pipe: what the program itself has started has ended, too."""
    late = time.monotonic() + _END_S
    while (left := late - time.monotonic()) > 0 and select.select([stream], [], [], left)[0]:
        if not os.read(stream, 1 << 16):
            break
