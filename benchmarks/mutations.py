"""Thousands of damaged inputs given to the readers of the toolkit, and what came of each.

    python benchmarks/mutations.py --inputs 10000 --seed 1
    python benchmarks/mutations.py --only nifti:123 --seed 1

Nothing may be read wrongly, end in an error that is not told in one message with a documented exit code, take more than
a minute or 4 GB. Exits with 1 where something did; the first of each kind are shown with what makes them again.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mutants import FAULTS, KINDS, OUTCOMES, Kind, Outcome, run

_SHOWN = 3
"""Examples of each fault and kind."""


def main() -> int:
    """Parse, run, print; 1 where a mutant had a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=10_000, help="in all (10000)")
    parser.add_argument("--seed", type=int, default=1, help="another seed makes other inputs (1)")
    parser.add_argument("--kinds", nargs="+", choices=[kind.name for kind in KINDS], help="only these")
    parser.add_argument("--only", metavar="KIND:NUMBER", help="this one again")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once (all processors)")
    parser.add_argument("--seconds", type=float, default=60.0, help="for one; longer is a hang (60)")
    parser.add_argument("--examples", type=int, default=_SHOWN, help=f"of each kind and fault to show ({_SHOWN})")
    given = parser.parse_args()
    kinds = [kind for kind in KINDS if given.kinds is None or kind.name in given.kinds]
    with originals(kinds if given.only is None else [_named(given.only.partition(":")[0])]) as folders:
        if given.only is not None:
            name, _, number = given.only.partition(":")
            (outcome,) = run(_named(name), [int(number)], folders[name], seed=given.seed, seconds=given.seconds)
            print(f"{outcome.outcome}: {outcome.what}\n{outcome.said}")
            return int(outcome.outcome in FAULTS)
        started = time.monotonic()
        outcomes = _all(plan(kinds, given.inputs), folders, given)
    print(table(outcomes))
    print(f"{len(outcomes)} inputs, seed {given.seed}, {time.monotonic() - started:.0f} s with {given.jobs} processes")
    print(examples(outcomes, given.seed, given.examples))
    return int(any(outcome.outcome in FAULTS for outcome in outcomes))


def _named(name: str) -> Kind:
    return next(kind for kind in KINDS if kind.name == name)


@contextmanager
def originals(kinds: Sequence[Kind]) -> Iterator[dict[str, Path]]:
    """What is whole, of each kind, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="originals-") as root:
        Path(root).chmod(0o755)
        made: dict[object, Path] = {}
        for kind in kinds:  # several kinds may begin with the same
            if kind.make not in made:
                made[kind.make] = Path(root) / kind.name
                made[kind.make].mkdir()
                kind.make(made[kind.make])
        yield {kind.name: made[kind.make] for kind in kinds}


def plan(kinds: Sequence[Kind], inputs: int) -> list[tuple[Kind, list[int]]]:
    """Which mutants of which kind, in parts for one process each; those that take longest first."""
    whole = sum(kind.share for kind in kinds)
    parts = []
    for kind in kinds:
        numbers = range(max(1, round(inputs * kind.share / whole)))
        size = max(kind.together, 10)
        parts += [(kind, list(numbers[start : start + size])) for start in range(0, len(numbers), size)]
    return sorted(parts, key=lambda part: part[0].together)


def _all(parts: Sequence[Any], folders: dict[str, Path], given: argparse.Namespace) -> list[Outcome]:
    """Every part, several at once; progress goes to standard error."""
    found: list[Outcome] = []
    whole = sum(len(numbers) for _, numbers in parts)
    context = multiprocessing.get_context("fork")
    queue: Any = context.SimpleQueue()
    taken = context.Value("i", 0)

    def serve() -> None:
        while True:
            with taken.get_lock():
                n, taken.value = taken.value, taken.value + 1
            if n >= len(parts):
                return
            kind, numbers = parts[n]
            for outcome in run(kind, numbers, folders[kind.name], seed=given.seed, seconds=given.seconds):
                queue.put(outcome)

    workers = [context.Process(target=serve) for _ in range(given.jobs)]
    for worker in workers:
        worker.start()
    while len(found) < whole:
        found.append(queue.get())
        if sys.stderr.isatty() or len(found) % 500 == 0:
            print(f"\r{len(found)}/{whole}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    for worker in workers:
        worker.join()
    return found


def table(outcomes: Sequence[Outcome]) -> str:
    """Outcomes by kind."""
    counts = {kind.name: Counter[str]() for kind in KINDS}
    for outcome in outcomes:
        counts[outcome.kind][outcome.outcome] += 1
    lines = [f"{'kind':<16}{'inputs':>8}" + "".join(f"{name:>{len(name) + 2}}" for name in OUTCOMES)]
    for name, count in [*counts.items(), ("all", sum(counts.values(), Counter()))]:
        if count:
            cells = "".join(f"{count[outcome]:>{len(outcome) + 2}}" for outcome in OUTCOMES)
            lines.append(f"{name:<16}{sum(count.values()):>8}{cells}")
    return "\n".join(lines)


def examples(outcomes: Sequence[Outcome], seed: int, most: int) -> str:
    """The first of each kind and fault, with what makes them again."""
    shown: Counter[tuple[str, str]] = Counter()
    lines = []
    for outcome in sorted(outcomes, key=lambda each: (each.kind, each.outcome, each.number)):
        shown[outcome.kind, outcome.outcome] += outcome.outcome in FAULTS
        if outcome.outcome in FAULTS and shown[outcome.kind, outcome.outcome] <= most:
            lines += [
                f"{outcome.outcome}: --only {outcome.kind}:{outcome.number} --seed {seed}",
                f"    {outcome.what}",
                f"    {outcome.said}",
            ]
    slow = max(outcomes, key=lambda each: each.seconds)
    return "\n".join([*lines, f"Slowest: {slow.kind}:{slow.number}, {slow.seconds:.1f} s ({slow.what})"])


if __name__ == "__main__":
    sys.exit(main())
