"""An experiment killed again and again at random moments, and what it comes to in the end.

    python benchmarks/kill_experiment.py --kills 20 --seed 1

A small simulated study is copied; one copy runs its experiment without disturbance. The other is killed with SIGKILL
at random moments, each time one of: the supervisor, Snakemake, one of the commands, everything; or it is interrupted
as by Ctrl-C. After each, nothing may go on running, and the same command is started again. At the end both copies must
hold the same tables, byte for byte.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SETTINGS = """
base = "demo"
[resolutions]
HR = "tiny"
[experiment]
tables = [4, 5, 9]
rivals = ["frst"]
[split]
folds = 2
[prepare-yolo]
size = 128
mode = "resize"
no-augment = true
max-batches = 12
[stage1-train]
watch = 1
[stage1-detect]
threshold = 0.98
merge = "auto"
[frst]
size = 128
mode = "resize"
threshold = 0.6
[stage2-train]
epochs = 1
augment = "none"
copies = [1, 1]
[stage2-classify]
threshold = 0.5
[evaluate]
false-pictures = 1
"""
VICTIMS = ("supervisor", "snakemake", "command", "everything", "ctrl-c")
RESULTS = ("candidates.tsv", "findings.tsv", "evaluation/metrics.json", "evaluation/candidates.tsv")
_PATIENCE_S = 30.0


@dataclass(frozen=True)
class Kill:
    """One disturbance and what was seen.

    Attributes
    ----------
    victim : str
        One of :data:`VICTIMS`.
    after_s : float
        Since the start of the run [s].
    exit_code : int
        Of the supervisor.
    records : int
        Finished jobs that the study has afterwards.
    """

    victim: str
    after_s: float
    exit_code: int
    records: int


def make_study(folder: Path, seed: int, *options: str) -> Path:
    """A study of tiny subjects and, beside it, its settings."""
    study = folder / "study"
    words = ("--resolution", "tiny", "--subjects", "7", "--healthy", "1", "--difficulty", "easy", "--seed", str(seed))
    subprocess.run(
        [sys.executable, "-m", "cmb_toolkit", "simulate", str(study), *words, *options], check=True, capture_output=True
    )
    return study


def command(study: Path, settings: Path) -> list[str]:
    """The command that is started again and again."""
    words = ("experiment", "run", str(study), "--settings", str(settings), "--jobs", "2")
    return [sys.executable, "-m", "cmb_toolkit", *words]


def running(study: Path) -> dict[int, str]:
    """Command lines of the processes that an experiment has started and that are alive."""
    mark = f"CMBTK_EXPERIMENT={study.resolve()}".encode()
    found = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if words:  # a zombie has none
                    found[int(entry.name)] = words
    return found


def listen_to_ctrl_c() -> None:
    """In a process to be: what is started in the background is born deaf to it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def pids(study: Path, victim: str, supervisor: int, rng: random.Random) -> list[int]:
    """Processes to kill; none if there is no such victim yet."""
    alive = running(study)
    if victim == "snakemake":
        return [pid for pid, words in alive.items() if "-m snakemake" in words][:1]
    if victim == "command":
        commands = [pid for pid, words in alive.items() if "-m cmb_toolkit" in words]
        return rng.sample(commands, min(1, len(commands)))
    return [supervisor, *(alive if victim == "everything" else ())]


def disturb(study: Path, settings: Path, victim: str, after_s: float, rng: random.Random) -> Kill:
    """Start the experiment, kill a part of it after a while, and wait until nothing of it is left.

    Raises
    ------
    AssertionError
        If something is left running.
    """
    process = subprocess.Popen(
        command(study, settings), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        preexec_fn=listen_to_ctrl_c,  # noqa: PLW1509 (no lock is taken in it)
    )  # fmt: skip
    with suppress(subprocess.TimeoutExpired):
        process.wait(after_s)
    chosen: list[int] = []
    while process.poll() is None and not chosen:
        chosen = pids(study, victim, process.pid, rng)
        time.sleep(0.05)
    for pid in chosen:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT if victim == "ctrl-c" else signal.SIGKILL)
    if victim == "command":  # the others would go on
        time.sleep(1)
        process.send_signal(signal.SIGINT)
    code = process.wait()
    deadline = time.monotonic() + _PATIENCE_S
    while left := running(study):
        assert time.monotonic() < deadline, f"after a kill of {victim} these are left: {left}"
        time.sleep(0.1)
    return Kill(victim, after_s, code, len(records(study)))


def records(study: Path) -> list[Path]:
    """Provenance of what is finished in the cells."""
    return sorted(study.glob("cells/*/*.json"))


def differences(one: Path, other: Path) -> list[str]:
    """Results that are not the same in two studies, or missing in one."""
    names = {path.name for study in (one, other) for path in (study / "cells").iterdir()}
    found = []
    for name in sorted(names):
        for result in RESULTS:
            both = [study / "cells" / name / result for study in (one, other)]
            if not all(path.is_file() for path in both) or both[0].read_bytes() != both[1].read_bytes():
                found.append(f"{name}/{result}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Disturb an experiment and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="how often (default: 20)")
    parser.add_argument("--longest", type=float, default=20.0, help="longest time before a kill [s] (default: 20)")
    parser.add_argument("--seed", type=int, default=1, help="decides moments and victims (default: 1)")
    asked = parser.parse_args(arguments)
    rng = random.Random(asked.seed)
    with tempfile.TemporaryDirectory(prefix="cmbtk-kill-") as folder:
        study = make_study(Path(folder), asked.seed)
        settings = Path(folder) / "settings.toml"
        settings.write_text(SETTINGS, "utf-8")
        undisturbed = Path(shutil.copytree(study, Path(folder) / "undisturbed"))
        begun = time.monotonic()
        subprocess.run(command(undisturbed, settings), check=True, capture_output=True)
        print(f"Undisturbed: {time.monotonic() - begun:.0f} s, {len(records(undisturbed))} records.", flush=True)
        untouched = Path(shutil.copytree(study, Path(folder) / "untouched"))
        different: list[str] = []
        for n in range(asked.kills):
            kill = disturb(study, settings, rng.choice(VICTIMS), rng.uniform(1, asked.longest), rng)
            print(
                f"{n + 1:3} {kill.victim:<10} after {kill.after_s:4.1f} s: exit code {kill.exit_code}, "
                f"{kill.records} records",
                flush=True,
            )
            if kill.exit_code == 0:  # it came to its end before: once more from the beginning
                different += differences(undisturbed, study)
                shutil.rmtree(study)
                shutil.copytree(untouched, study)
        begun = time.monotonic()
        last = subprocess.run(command(study, settings), check=False, capture_output=True, text=True)
        print(f"The rest: {time.monotonic() - begun:.0f} s, exit code {last.returncode}.")
        different += differences(undisturbed, study)
        half = [str(path) for path in study.rglob(".*.tmp.*")]
        print(f"Different from the undisturbed study: {', '.join(different) or 'nothing'}.")
        print(f"Unfinished files left: {len(half)}.")
        return int(bool(different) or last.returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
