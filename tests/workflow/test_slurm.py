"""The experiment through a real SLURM: on a cluster's login node, or on one machine by tests/slurm/single_node.sh."""

import os
import shutil
import signal
import subprocess
import time

import pytest

from cmb_toolkit.workflow.snakemake import queue_name


def answers():
    """Whether there is a SLURM that takes jobs."""
    if shutil.which("sbatch") is None:
        return False
    return subprocess.run(["sinfo", "--noheader"], capture_output=True, check=False).returncode == 0


pytestmark = [
    pytest.mark.slow,
    pytest.mark.slurm,
    pytest.mark.skipif(not answers(), reason="no SLURM here: see tests/slurm/single_node.sh"),
]


def queued(study):
    """Jobs of a study that wait or run."""
    listed = subprocess.run(["squeue", "--me", "--noheader", "--format=%j"], capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split() if name.startswith(queue_name(study))]


def test_killed_and_started_again_a_queue_does_all_of_it(kills, tmp_path):
    study = kills.make_study(tmp_path, 3)
    settings = tmp_path / "settings.toml"
    settings.write_text(kills.SETTINGS.replace("tables = [4, 5, 9]", "tables = [9]"), "utf-8")
    command = [*kills.command(study, settings), "--executor", "slurm", "--gpus", "0"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while not queued(study) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert queued(study), "no job was handed to the queue"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(study.glob("cells/*/evaluation/metrics.json"))) == 2
    assert queued(study) == []
