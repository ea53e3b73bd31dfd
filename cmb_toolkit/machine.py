"""What a step's own work took, and on what kind of machine: for the times per subject of a report."""

from __future__ import annotations

import os
import platform
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .wording import counted

__all__ = ["cores", "in_words", "machine_in_words", "stopwatch"]

_CPU = Path("/proc/cpuinfo")
_GPUS = Path("/proc/driver/nvidia/gpus")


def stopwatch() -> Callable[[int], dict[str, Any]]:
    """Start timing; the function returned gives the note for a sidecar.

    The note has ``seconds`` since the start, ``subjects`` as given, and ``machine`` in words.
    """
    started = time.monotonic()

    def note(subjects: int) -> dict[str, Any]:
        return {
            "seconds": round(time.monotonic() - started, 3),
            "subjects": subjects,
            "machine": machine_in_words(),
        }

    return note


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_words(seconds: float | None) -> str:
    """A duration for people.

    >>> in_words(42), in_words(600), in_words(9000), in_words(300000), in_words(None)
    ('42 s', '10 min', '2.5 h', '3.5 days', 'an unknown time')
    """
    if seconds is None:
        return "an unknown time"
    for unit, length, most in (("s", 1, 120), ("min", 60, 120), ("h", 3600, 48), ("days", 86400, float("inf"))):
        if seconds < most * length:
            value = seconds / length
            return f"{value:.1f} {unit}" if unit in ("h", "days") and value < 10 else f"{value:.0f} {unit}"
    raise AssertionError(seconds)


def machine_in_words(cpu: Path = _CPU, gpus: Path = _GPUS) -> str:
    """Processor, cores at hand and GPUs by their models: nothing that would tell one machine from its like."""
    model = _field(cpu, "model name") or platform.machine() or "unknown processor"
    models = [_field(path, "Model") or "NVIDIA GPU" for path in sorted(gpus.glob("*/information"))]
    gpus_found = [f"{n} x {name}" if n > 1 else name for name, n in sorted(Counter(models).items())]
    return f"{model}, {counted(cores(), 'core')}, {' and '.join(gpus_found) or 'no GPU'}"


def _field(path: Path, name: str) -> str:
    """Value of the first ``name : value`` line of a file."""
    try:
        lines = path.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        key, colon, value = line.partition(":")
        if colon and key.strip() == name:
            return " ".join(value.split())
    return ""
