"""`cmbtk doctor`: what is installed, what this machine has, and which engine would be used."""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

from .. import __version__
from ..darknet.cfg import parse_cfg
from ..darknet.engine import Engine, engine_to_detect, engine_to_train
from ..darknet.find import find_darknet
from ..errors import CmbError, MissingError
from ..io.fsl import find_bet

__all__ = ["Finding", "examine"]

_INSTEAD = {
    "tensorflow": ("tensorflow-cpu",),
    "opencv-python-headless": ("opencv-python", "opencv-contrib-python-headless", "opencv-contrib-python"),
}
"""Distributions that are the same library under another name."""

_MEMORY_GB = 4.0
_DISK_GB = 5.0


@dataclass(frozen=True)
class Finding:
    """One line of the examination.

    Attributes
    ----------
    section : {"packages", "machine", "engine"}
    topic : str
    found : str
    state : {"ok", "note", "problem"}
        A problem stops the toolkit from working.
    advice : str
        What to do, or what it means; may be empty.
    """

    section: Literal["packages", "machine", "engine"]
    topic: str
    found: str
    state: Literal["ok", "note", "problem"] = "ok"
    advice: str = ""


def examine(darknet: Path | None = None, *, folder: Path = Path()) -> tuple[Finding, ...]:
    """Look at the installation and the machine; nothing heavy is imported and no GPU is touched.

    Parameters
    ----------
    darknet : Path, optional
        A Darknet binary to look at instead of the one that would be found.
    folder : Path
        Where studies will be kept: its disk is looked at.
    """
    return (*_packages(), *_machine(folder), *_engines(darknet))


def _packages() -> Iterator[Finding]:
    yield Finding("packages", "cmb_toolkit", __version__)
    python = platform.python_version()
    if tuple(map(int, python.split(".")[:2])) < (3, 11):
        yield Finding("packages", "Python", python, "problem", "3.11 or newer is needed.")
    else:
        yield Finding("packages", "Python", python)
    for name, wanted in _requirements():
        installed = _installed(name)
        if installed is None:
            yield Finding("packages", name, "not installed", "problem", f"Run pip install '{name}{wanted}'.")
            continue
        found = installed[1] if installed[0] == name else f"{installed[1]} ({installed[0]})"
        if _fits(installed[1], wanted):
            yield Finding("packages", name, found)
        else:
            yield Finding("packages", name, found, "problem", f"Run pip install '{name}{wanted}'.")


def _requirements() -> list[tuple[str, str]]:
    """Names and version ranges of the packages that the toolkit needs, as its installation says."""
    try:
        lines = requires("cmb_toolkit") or []
    except PackageNotFoundError:
        return []
    matches = [re.match(r"([A-Za-z0-9._-]+)\s*(.*)", line) for line in lines if "extra ==" not in line]
    return [(match[1], match[2].split(";")[0].strip()) for match in matches if match]


def _installed(name: str) -> tuple[str, str] | None:
    for distribution in (name, *_INSTEAD.get(name, ())):
        try:
            return distribution, version(distribution)
        except PackageNotFoundError:
            continue
    return None


def _fits(installed: str, wanted: str) -> bool:
    """Whether a version lies in a range such as ``<5,>=4.10``."""
    have = _numbers(installed)
    for bound in filter(None, wanted.replace(" ", "").split(",")):
        if bound.startswith(">=") and have < _numbers(bound):
            return False
        if bound.startswith("<") and not bound.startswith("<=") and have >= _numbers(bound):
            return False
    return True


def _numbers(text: str) -> tuple[int, ...]:
    match = re.search(r"\d+(\.\d+)*", text)
    numbers = [int(part) for part in match[0].split(".")] if match else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _machine(folder: Path) -> Iterator[Finding]:
    yield Finding("machine", "system", f"{platform.system()} {platform.machine()}")
    yield Finding("machine", "processors", str(len(os.sched_getaffinity(0))))
    memory = _memory_gb()
    if memory is not None:
        few = memory < _MEMORY_GB
        advice = (
            "Simulating or training at full resolution needs about 4 GB: try `cmbtk simulate --jobs 1`, small networks."
        )
        yield Finding("machine", "memory", f"{memory:.1f} GB", "note" if few else "ok", advice if few else "")
    free = shutil.disk_usage(folder).free / 1e9
    few = free < _DISK_GB
    advice = "A study of the demo's size takes 1 to 2 GB." if few else ""
    yield Finding("machine", "free disk here", f"{free:.1f} GB", "note" if few else "ok", advice)
    gpu = shutil.which("nvidia-smi") is not None
    libraries = any(_installed(f"nvidia-cudnn-cu{major}") for major in (12, 13))
    if gpu and not libraries:
        advice = (
            "TensorFlow cannot use it as it is installed: run pip install 'tensorflow[and-cuda]', or pip install "
            "'jax[cuda13]' and set KERAS_BACKEND=jax (docs/darknet.md)."
        )
        yield Finding("machine", "GPU", "NVIDIA driver found", "note", advice)
    elif gpu:
        yield Finding("machine", "GPU", "NVIDIA driver and CUDA libraries found")
    else:
        advice = "Not needed for the small networks; the paper's YOLOv2 trains for days without one."
        yield Finding("machine", "GPU", "none (no NVIDIA driver)", "note", advice)
    try:
        bet = find_bet()
    except MissingError:
        advice = "Not needed: the toolkit has its own BET; `cmbtk preprocess --brain-mask fsl` would use FSL's."
        yield Finding("machine", "FSL bet", "none", "ok", advice)
    else:
        yield Finding("machine", "FSL bet", f"{bet.program} ({bet.describe()})")


def _memory_gb() -> float | None:
    """Memory that this process may use: the machine's, or its container's where that is less."""
    try:
        memory = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, OSError):
        return None
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            memory = min(memory, float(Path(limit).read_text()))
        except (OSError, ValueError):  # no such limit, or the word "max"
            continue
    return memory / 1e9


def _engines(darknet: Path | None) -> Iterator[Finding]:
    try:
        binary = find_darknet(darknet)
    except MissingError as error:
        if darknet is not None or os.environ.get("CMBTK_DARKNET"):
            yield Finding("engine", "Darknet", "not found", "note", str(error))
        else:
            advice = "Not needed: the embedded engine does all its work. `make darknet` builds one."
            yield Finding("engine", "Darknet", "none", "ok", advice)
    except CmbError as error:
        yield Finding("engine", "Darknet", "cannot be used", "note", str(error))
    else:
        flavour = "the original" if binary.flavour == "original" else "AlexeyAB's"
        device = "on a GPU" if binary.cuda else "on CPUs"
        can = "trains and detects" if not binary.cannot_train(_ANY) else "detects only"
        advice = binary.describe()
        yield Finding("engine", "Darknet", f"{binary.path} ({flavour}, {device}; {can})", "ok", advice)
    choices: dict[str, Callable[[], Engine]] = {
        "to train": lambda: engine_to_train("auto", darknet, _ANY),
        "to detect": lambda: engine_to_detect("auto", darknet, 0.01, 0.45),
    }
    for job, choose in choices.items():
        try:
            chosen = choose()
        except (CmbError, PackageNotFoundError) as error:
            yield Finding("engine", job, "none", "note", str(error))
        else:
            yield Finding("engine", job, chosen.describe(), "ok", chosen.note)


_ANY = parse_cfg(
    """
    [net]
    width=32
    height=32
    channels=3
    [convolutional]
    filters=6
    activation=linear
    [region]
    anchors=1,1
    classes=1
    softmax=1
    """
)
"""A network that every Darknet that trains at all can train."""
