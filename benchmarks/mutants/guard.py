"""Mutants run in processes of their own, whose time and memory are bounded, so that each outcome has its cause."""

from __future__ import annotations

import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from cmb_toolkit.errors import CmbError

from .kind import Kind, Mutant, generator

__all__ = ["FAULTS", "OUTCOMES", "Outcome", "run"]

OUTCOMES = ("accepted", "refused", "unexpected", "hang", "memory", "damaged")
"""accepted: read, and rightly; refused: an error that names the file, with a documented exit code; unexpected: any
other exception, or no such name or code; hang: longer than allowed; memory: more than allowed; damaged: accepted
wrongly."""

FAULTS = OUTCOMES[2:]

_CODES = {2, 3, 4, 5}
_LONGEST = 4000


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: one of OUTCOMES, what was done to it, and what was said."""

    kind: str
    number: int
    outcome: str
    what: str
    said: str = ""
    seconds: float = 0.0


def run(
    kind: Kind, numbers: Sequence[int], originals: Path, *, seed: int, seconds: float = 60.0, memory: int = 4 << 30
) -> Iterator[Outcome]:
    """Make mutants and give them to their reader, each within bounds.

    Parameters
    ----------
    kind : Kind
    numbers : sequence of int
        Which mutants.
    originals : Path
        Where ``kind.make`` has written.
    seed : int
    seconds : float
        For one mutant; longer is a hang.
    memory : int
        What a process may take beyond what it has at its start [byte].

    Yields
    ------
    Outcome
    """
    left = list(numbers)
    while left:
        now = left[: kind.together]
        done = 0
        for outcome in _in_a_process(kind, now, originals, seed, seconds, memory):
            yield outcome
            done += 1
        left = left[done:]


def _in_a_process(
    kind: Kind, numbers: list[int], originals: Path, seed: int, seconds: float, memory: int
) -> Iterator[Outcome]:
    """Outcomes until the process ends; if it does not end by itself, the mutant it was at has the fault."""
    work = Path(tempfile.mkdtemp(prefix="mutants-"))
    work.chmod(0o755)
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if not child:
        try:
            os.close(reader)
            os.setpgid(0, 0)
            _serve(kind, numbers, originals, work, writer, seed, memory)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writer)
    try:
        current, what, text = numbers[0], "", b""
        while select.select([reader], [], [], seconds + (60.0 if not what else 0.0))[0]:
            part = os.read(reader, 1 << 16)
            if not part:
                if what != "done":
                    status = os.waitpid(child, 0)[1]
                    signalled = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
                    fault = "memory" if signalled == signal.SIGKILL else "unexpected"
                    yield Outcome(kind.name, current, fault, what, f"the process died (signal {signalled})")
                return
            *lines, text = (text + part).split(b"\n")
            for line in lines:
                note = json.loads(line)
                if "outcome" in note:
                    yield Outcome(**note)
                else:
                    current, what = note["number"], note["what"]
        yield Outcome(kind.name, current, "hang", what, f"not done after {seconds:g} s", seconds)
    finally:
        os.close(reader)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(child, 0)
        shutil.rmtree(work, ignore_errors=True)


def _serve(
    kind: Kind, numbers: Sequence[int], originals: Path, work: Path, writer: int, seed: int, memory: int
) -> None:
    """In the process: say which mutant comes next, and what became of it."""

    def say(note: dict[str, object]) -> None:
        os.write(writer, json.dumps(note).encode() + b"\n")

    kind.warm()
    for number in numbers:
        folder = work / str(number)
        folder.mkdir()
        say({"number": number, "what": "being made"})
        mutant = kind.mutate(generator(seed, kind.name, number), originals, folder)
        say({"number": number, "what": mutant.what})
        _bound(memory)
        outcome, said, spent = _read(mutant)
        _bound(None)
        say(asdict(Outcome(kind.name, number, outcome, mutant.what, said, round(spent, 3))))
        shutil.rmtree(folder, ignore_errors=True)
    say({"number": -1, "what": "done"})


def _bound(memory: int | None) -> None:
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    soft = hard
    if memory is not None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        soft = pages * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _read(mutant: Mutant) -> tuple[str, str, float]:
    started = time.monotonic()
    try:
        content = mutant.read()
    except CmbError as error:
        outcome, said = _refusal(mutant, error)
    except MemoryError:
        outcome, said = "memory", _place()
    except BaseException as error:
        outcome, said = "unexpected", f"{type(error).__name__}: {str(error)[:300]} {_place()}"
    else:
        said = mutant.wrong(content)
        outcome = "damaged" if said else "accepted"
    return outcome, said, time.monotonic() - started


def _refusal(mutant: Mutant, error: CmbError) -> tuple[str, str]:
    said = str(error)
    if error.exit_code not in _CODES:
        return "unexpected", f"exit code {error.exit_code}: {said[:300]}"
    if mutant.file is not None and not any(name in said for name in (mutant.file.name, *mutant.or_else)):
        return "unexpected", f"the message does not name {mutant.file.name}: {said[:300]}"
    if len(said) > _LONGEST:
        return "unexpected", f"a message of {len(said)} characters: {said[:200]}"
    return "refused", said[:300]


def _place() -> str:
    """Where in the package an exception came from."""
    frames = traceback.extract_tb(sys.exc_info()[2])
    ours = [frame for frame in frames if "/cmb_toolkit/" in frame.filename] or list(frames)
    return f"({Path(ours[-1].filename).name}:{ours[-1].lineno} {ours[-1].name})" if ours else ""
