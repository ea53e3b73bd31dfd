"""The terminal's three streams, whatever they are: closed, a full disk, a pipe that nobody reads any more.

Nothing that cannot be said stops the work that it would be said of, nor ends in Python's own words.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

__all__ = [
    "BROKEN_PIPE",
    "be_quiet",
    "broken_stream",
    "close_streams",
    "drawing",
    "is_quiet",
    "listen",
    "open_streams",
    "say",
    "speak",
]

BROKEN_PIPE = 141
"""Exit code where whoever read our output went away (`| head -1`), as shells have it: 128 and the signal's number."""

ADVICE = "Next:"
"""How lines begin that say what to do next."""

_NOT_WRITTEN = 1
_STREAMS = (("stdout", "output"), ("stderr", "messages"))


class _Stream(io.TextIOWrapper):
    """A stream that remembers why it could not be written: asked again, it would say that all is well."""

    trouble: OSError | None = None
    hold: list[str] | None = None
    """Where text goes in place of the terminal."""
    heard: Callable[[str], None] | None = None
    """Told of all text."""

    def write(self, text: str | bytes) -> int:
        if isinstance(text, bytes):  # click tries whether it could
            raise TypeError("a stream of text takes no bytes")
        if self.heard is not None:
            self.heard(text)
        if self.hold is not None:
            self.hold.append(text)
            return len(text)
        try:
            return super().write(text)
        except OSError as error:
            self.trouble = error
            raise

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self.trouble = error
            raise


def open_streams() -> None:
    """Watch the streams, and open what was closed (`>&-`) on nothing: else the next file to be opened would become the
    terminal's stream, and libraries would write their words into it."""
    for handle in (0, 1, 2):
        try:
            os.fstat(handle)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, which is this
    for handle, (name, _) in enumerate(_STREAMS, 1):
        stream = getattr(sys, name)
        if stream is None:
            stream = open(handle, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 (a number; open for good)
        elif stream is not getattr(sys, f"__{name}__") or not isinstance(stream, io.TextIOWrapper):
            continue  # somebody else's
        settings = {key: getattr(stream, key) for key in ("encoding", "errors", "line_buffering", "write_through")}
        watched = _Stream(stream.detach(), **settings)
        setattr(sys, name, watched)
        setattr(sys, f"__{name}__", watched)


def listen(heard: Callable[[str], None]) -> None:
    """Let somebody hear what is printed."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, _Stream):
            stream.heard = heard


@contextmanager
def drawing() -> Iterator[Callable[[str], object]]:
    """Let nobody hear what is drawn on stderr over and over; gives what lets a line be heard all the same."""
    stream = sys.stderr
    if not isinstance(stream, _Stream) or stream.heard is None:
        yield lambda line: None
        return
    heard, stream.heard = stream.heard, None
    try:
        yield lambda line: heard(f"{line}\n")
    finally:
        stream.heard = heard


def is_quiet() -> bool:
    """Whether nothing is printed now."""
    return getattr(sys.stderr, "hold", None) is not None


def be_quiet() -> None:
    """Print nothing until :func:`speak`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, _Stream):
            stream.hold = []


def speak() -> None:
    """Print again; of what was held back on stdout the last line, but for advice on what to do next."""
    if isinstance(sys.stderr, _Stream):
        sys.stderr.hold = None
    stream = sys.stdout
    if not isinstance(stream, _Stream) or stream.hold is None:
        return
    lines = [line for line in "".join(stream.hold).splitlines() if line.strip() and not line.startswith(ADVICE)]
    stream.hold, heard, stream.heard = None, stream.heard, None  # it was heard before
    with suppress(OSError, ValueError):
        stream.write("".join(f"{line}\n" for line in lines[-1:]))
    stream.heard = heard


def say(text: str) -> None:
    """Print to stderr, if it can be."""
    with suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


def broken_stream() -> tuple[int, str] | None:
    """Exit code and what to say if one of the streams could not be written; None if both could."""
    for name, what in _STREAMS:
        error = getattr(getattr(sys, f"__{name}__"), "trouble", None)
        if isinstance(error, BrokenPipeError):
            return BROKEN_PIPE, ""
        if error is not None:
            reason = os.strerror(error.errno or 0).lower()
            return _NOT_WRITTEN, f"Error: the {what} of this command could not be written ({reason})."
    return None


def close_streams(code: int) -> int:
    """Write what is left to be written, and leave nothing that Python would stumble over at its end.

    Parameters
    ----------
    code : int
        Exit code so far.

    Returns
    -------
    int
        Exit code; another one if all was well, but for its output.
    """
    for name, _ in _STREAMS:
        with suppress(OSError, ValueError):
            getattr(sys, name).flush()
    broken = broken_stream()
    if broken is not None and broken[1]:
        say(broken[1])
    for handle, (name, _) in enumerate(_STREAMS, 1):
        if getattr(getattr(sys, f"__{name}__"), "trouble", None) is not None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, handle)
            os.close(nowhere)
    return code if broken is None or code else broken[0]
