"""Snakemake as a supervised process: how it is called, what it says, and that nothing of it outlives us."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import CmbError, MissingError
from ..extras import how_to_install
from ..io.process import running

__all__ = [
    "Event",
    "Place",
    "arguments",
    "cancel_queued",
    "end_leftovers",
    "events",
    "gpus",
    "need_snakemake",
    "parse_event",
]

_HERE = Path(__file__).parent
_MARK = "CMBTK_EXPERIMENT"
_GRACE_S = 10.0
"""So long a run that is interrupted may tidy up [s]."""


@dataclass(frozen=True)
class Event:
    """Something that Snakemake says.

    Attributes
    ----------
    kind : {"started", "finished", "failed", "error"}
        Of a job; ``error`` is of the workflow itself.
    id : int
        Snakemake's number of the job.
    step, cell : str
        Of a job that is started (in a dry run: would be); the cell is empty for a job of the whole study.
    text : str
        Why the job is started, or what went wrong.
    """

    kind: Literal["started", "finished", "failed", "error"]
    id: int = 0
    step: str = ""
    cell: str = ""
    text: str = ""


@dataclass(frozen=True)
class Place:
    """Where jobs run.

    Attributes
    ----------
    executor : {"local", "slurm"}
    jobs : int
        At once.
    gpus : int
        Jobs at once that use one; 0: training runs on processors.
    devices : tuple of str
        Numbers of this machine's GPUs.
    threads : int
        Of each job here; 0: as the settings' [cluster] says.
    """

    executor: Literal["local", "slurm"] = "local"
    jobs: int = 1
    gpus: int = 0
    threads: int = 1
    devices: tuple[str, ...] = ()


def need_snakemake(executor: str = "local") -> None:
    """Refuse to go on without the packages.

    Raises
    ------
    MissingError
        With the name of the extra to install.
    """
    for module, extra, what in (
        ("snakemake", "workflow", "Snakemake, which runs experiments,"),
        ("snakemake_executor_plugin_slurm", "slurm", "Snakemake's plugin for SLURM"),
    ):
        if (extra == "workflow" or executor == "slurm") and importlib.util.find_spec(module) is None:
            raise MissingError(f"{what} is not installed. Install it with: {how_to_install(extra)}")


def arguments(
    study: Path, config: Path, place: Place, targets: Sequence[str], *, only: Literal["say", "touch", ""] = ""
) -> tuple[list[str], dict[str, str]]:
    """Command line of Snakemake and what is added to its environment.

    Parameters
    ----------
    study : Path
        Its folder, in which Snakemake runs; all paths but the configuration's are relative to it.
    config : Path
        The table of :func:`cmb_toolkit.workflow.jobs.job_table`.
    place : Place
    targets : sequence of str
        Files to make.
    only : {"say", "touch", ""}
        Run nothing: say what would be run, or remember that it was.
    """
    argv = [
        sys.executable, "-m", "snakemake",
        "--snakefile", str(_HERE / "Snakefile"), "--directory", str(study.absolute()),
        "--configfile", str(config.absolute()),
        "--config", f"threads={place.threads}", f"gpus={place.gpus}",
        "--logger", "cmbtk", "--workflow-profile", "none", "--nocolor",
        # the supervisor's lock is the only one, and finished files are never removed: see the Snakefile
        "--nolock", "--rerun-incomplete", "--keep-incomplete", "--keep-going",
        "--rerun-triggers", "mtime", "params", "input",
        "--scheduler", "greedy",
        "--resources", "slices=1", *([f"gpu={place.gpus}"] if place.gpus else []),
    ]  # fmt: skip
    if only:
        argv += [{"say": "--dry-run", "touch": "--touch"}[only], "--cores", "1"]
    elif place.executor == "local":
        argv += ["--cores", str(place.jobs * max(1, place.threads))]
    else:
        argv += ["--executor", place.executor, "--jobs", str(place.jobs), "--latency-wait", "60"]
        argv += ["--slurm-jobname-prefix", queue_name(study), "--slurm-init-seconds-before-status-checks", "15"]
        # as a script: the plugin would put a line with the study's path between double quotes, for a shell to expand
        argv += ["--slurm-pass-command-as-script"]
        argv += ["--slurm-status-command", "sacct" if _keeps_accounts() else "squeue", "--default-resources"]
    argv += ["--", *targets]
    added = {
        "CMBTK_PYTHON": sys.executable,
        **({} if only else {_MARK: str(study.resolve())}),
        **({"CMBTK_GPUS": " ".join(place.devices[: place.gpus])} if place.gpus > 1 and place.devices else {}),
        # the same toolkit as ours, whatever the working directory, and the plugin that tells its events
        "PYTHONPATH": os.pathsep.join(
            [str(_HERE.parents[1]), str(_HERE / "plugin"), *filter(None, [os.environ.get("PYTHONPATH")])]
        ),
        "PYTHONSAFEPATH": "1",
    }
    return argv, added


def queue_name(study: Path) -> str:
    """How the names of a study's jobs begin in a cluster's queue."""
    return f"cmbtk-{hashlib.sha256(str(study.resolve()).encode()).hexdigest()[:12]}"


def parse_event(line: str) -> Event | None:
    """An event of a line of JSON; None for anything else that was printed."""
    try:
        said = json.loads(line)
        kind = said["event"]
    except (ValueError, KeyError, TypeError):
        return None
    text = said.get("reason", said.get("text", ""))
    return Event(kind, said.get("id", 0), said.get("rule", "").replace("_", "-"), said.get("cell", ""), text)


def events(argv: Sequence[str], added: Mapping[str, str], said: Path, hold: int | None = None) -> Generator[Event]:
    """Run Snakemake and yield what it tells; when the iterator is closed, or this process dies, all of it ends.

    Parameters
    ----------
    argv, added
        Of :func:`arguments`.
    said : Path
        File for what it prints besides.
    hold : int, optional
        File descriptor of a lock that it is to hold as well.

    Raises
    ------
    CmbError
        If it ends without success and without having told of a failed job.
    """
    told = False
    with (
        said.open("wb") as rest,
        # it begins no other command while those that run tidy up
        running(
            argv, Path(), cure=f"Install it again: {how_to_install('workflow')}", stderr=rest.fileno(),
            environment=added, hold=hold, grace_s=_GRACE_S,
        ) as process,
    ):  # fmt: skip
        for line in process.lines():
            event = parse_event(line)
            if event is not None:
                told |= event.kind in ("failed", "error")
                yield event
    if process.code and not told:
        words = said.read_text("utf-8", "replace").strip().splitlines()[-5:]
        raise CmbError("\n".join([f"Snakemake ended with exit code {process.code}.", *words]))


def end_leftovers(study: Path) -> int:
    """End what a run that was killed left running on this machine; how many processes.

    They are known by a variable of their environment that holds the study's folder.
    """
    mark = f"{_MARK}={study.resolve()}".encode()
    ended = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                os.kill(int(entry.name), signal.SIGKILL)
                ended += 1
        except OSError:  # another user's, or gone
            continue
    return ended


def cancel_queued(study: Path) -> None:
    """Cancel a study's jobs that a run which was killed left in SLURM's queue, and wait until they are gone.

    Raises
    ------
    MissingError
        If there is no SLURM here.
    CmbError
        If they do not go.
    """
    deadline = time.monotonic() + 120
    while left := _queued(queue_name(study)):
        if time.monotonic() > deadline:
            raise CmbError(f"jobs of an earlier run stay in the queue: {' '.join(left)}. Cancel them with scancel.")
        subprocess.run(["scancel", *left], check=False, capture_output=True, stdin=subprocess.DEVNULL)
        time.sleep(2)


def _keeps_accounts() -> bool:
    """Whether SLURM remembers what became of jobs; where it does not, its queue is asked."""
    try:
        done = subprocess.run(
            ["sacct", "--noheader", "--allocations"],
            check=False, capture_output=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except OSError:
        return False
    return done.returncode == 0


def gpus() -> tuple[str, ...]:
    """Numbers of the GPUs here that may be used."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return tuple(filter(None, chosen.split(",")))
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(listed.stdout.split())


def _queued(name: str) -> list[str]:
    try:
        listed = subprocess.run(
            ["squeue", "--me", "--noheader", "--format=%A %j"],
            check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except OSError as error:
        raise MissingError("squeue: not found. `--executor slurm` runs on a login node of a SLURM cluster.") from error
    except subprocess.CalledProcessError as error:
        raise CmbError(f"SLURM does not answer: {error.stderr.strip()}") from error
    return [line.split()[0] for line in listed.stdout.splitlines() if line.partition(" ")[2].startswith(name)]
