"""Running a Darknet: its lines as they come, its end with ours, and an end when it hangs."""

from __future__ import annotations

import ctypes
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

from ..errors import DarknetError

__all__ = ["PATIENCE_S", "Running", "running"]

PATIENCE_S = 1800.0
"""A Darknet that says nothing for so long [s] hangs: an iteration of 64 images takes minutes on two processors."""

_END_S = 10.0
"""How long [s] to wait for what a killed program has started itself: what is stuck in a disk does not end at once."""
_KEPT_LINES = 12
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class Running:
    """A program that runs.

    Attributes
    ----------
    code : int or None
        Exit status once it has ended; Darknet's says nothing about success.
    """

    def __init__(self, process: subprocess.Popen[bytes], name: str, patience_s: float) -> None:
        self._process = process
        self._name = name
        self._patience_s = patience_s
        self._last: deque[str] = deque(maxlen=_KEPT_LINES)
        self.code: int | None = None

    def lines(self) -> Iterator[str]:
        """What it prints on stdout and stderr, line by line, to its end.

        Raises
        ------
        DarknetError
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
                if left > 0:
                    continue
                raise DarknetError(
                    f"{self._name}: said nothing for {self._patience_s:.0f} s, so it hangs, and was ended. "
                    "Run the same command again to go on; if it hangs again, take --engine embedded."
                )
            heard = time.monotonic()
            block = os.read(stream, 1 << 16)
            *whole, rest = (rest + block).split(b"\n")
            if not block and rest:
                whole, rest = [rest], b""
            for line in whole:
                text = line.decode("latin-1").strip()
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
def running(
    argv: Sequence[str],
    folder: Path,
    *,
    stdin: Path | None = None,
    patience_s: float = PATIENCE_S,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Running]:
    """Run a program in a folder; it ends with the block, and when this process dies, however it dies.

    After the block nothing of it writes any more.

    Parameters
    ----------
    argv : sequence of str
    folder : Path
        Its working directory.
    stdin : Path, optional
        File that it reads.
    patience_s : float
        It is ended when it says nothing for so long [s].
    environment : mapping
        Variables that it gets besides this process's own.

    Raises
    ------
    DarknetError
        If it cannot be started.
    """
    parent = os.getpid()

    def die_with_parent() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died in between
            os._exit(1)

    try:
        with Path(stdin or os.devnull).open("rb") as source:
            process = subprocess.Popen(
                list(argv), cwd=folder, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env={**os.environ, **environment}, start_new_session=True, preexec_fn=die_with_parent,  # noqa: PLW1509 (no lock is taken in it)
            )  # fmt: skip
    except OSError as error:
        raise DarknetError(f"{argv[0]}: does not start ({error.strerror}). Choose another binary.") from error
    try:
        yield Running(process, argv[0], patience_s)
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        _await_end(process.stdout.fileno())
        process.stdout.close()


def _await_end(stream: int) -> None:
    """Wait until nobody holds the other end of a pipe: what the program itself has started has ended, too."""
    late = time.monotonic() + _END_S
    while (left := late - time.monotonic()) > 0 and select.select([stream], [], [], left)[0]:
        if not os.read(stream, 1 << 16):
            break
