"""Snakemake as a process: what it is told, what it says, and that it does not outlive who started it."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cmb_toolkit.errors import CmbError, MissingError, UsageError
from cmb_toolkit.workflow import snakemake as engine
from cmb_toolkit.workflow.experiment import place_for
from cmb_toolkit.workflow.snakemake import Event, Place, arguments, end_leftovers, events, need_snakemake, parse_event


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (
            '{"event": "started", "id": 3, "rule": "stage1_train", "cell": "HR_swi_fold-1", "reason": "Missing"}',
            Event("started", 3, "stage1-train", "HR_swi_fold-1", "Missing"),
        ),
        ('{"event": "finished", "id": 3}', Event("finished", 3)),
        ('{"event": "error", "text": "no such rule"}', Event("error", text="no such rule")),
        ("Building DAG of jobs...", None),
        ("{}", None),
        ("3", None),
        ("", None),
    ],
)
def test_events_are_lines_of_json_and_all_else_is_passed_over(line, event):
    assert parse_event(line) == event


def test_arguments_here_and_on_a_cluster(tmp_path):
    config = tmp_path / "experiment.json"
    here, added = arguments(tmp_path, config, Place("local", 3, 1, 2), ["a.json", "b.json"])
    assert here[here.index("--cores") + 1] == "6"
    assert here[here.index("--resources") + 1 :][:2] == ["slices=1", "gpu=1"]
    assert here[-3:] == ["--", "a.json", "b.json"]
    assert {"--nolock", "--rerun-incomplete", "--keep-incomplete", "--keep-going"} <= set(here)
    assert added["CMBTK_PYTHON"] == sys.executable
    cluster, _ = arguments(tmp_path, config, Place("slurm", 20, 0, 0), ["a.json"])
    assert cluster[cluster.index("--executor") + 1] == "slurm"
    assert cluster[cluster.index("--jobs") + 1] == "20"
    assert "--slurm-pass-command-as-script" in cluster, "else the study's path stands between double quotes"
    assert not any(word.startswith("gpu=") for word in cluster)
    name = cluster[cluster.index("--slurm-jobname-prefix") + 1]
    assert name == engine.queue_name(tmp_path)
    assert name != engine.queue_name(tmp_path / "other")


@pytest.mark.parametrize(
    ("lacking", "executor", "package"),
    [
        ("snakemake", "local", "snakemake"),
        ("snakemake_executor_plugin_slurm", "slurm", "snakemake-executor-plugin-slurm"),
    ],
)
def test_what_is_not_installed_is_named_with_how_to_get_it(monkeypatch, lacking, executor, package):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == lacking else found(name))
    with pytest.raises(MissingError, match=rf"pip install .*'{package}") as error:
        need_snakemake(executor)
    assert error.value.exit_code == 3


SCRIPT = """
import json, subprocess, sys, time
print("not an event", flush=True)
child = subprocess.Popen(["sleep", "60"])
print(json.dumps({"event": "started", "id": child.pid, "rule": "a_b"}), flush=True)
time.sleep(60)
"""


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for_end(pid):
    deadline = time.monotonic() + 20
    while is_alive(pid):
        assert time.monotonic() < deadline, f"process {pid} goes on"
        time.sleep(0.05)


def test_all_of_it_ends_when_nobody_listens_any_more(tmp_path):
    told = events([sys.executable, "-c", SCRIPT], {}, tmp_path / "said")
    event = next(told)
    assert (event.kind, event.step) == ("started", "a-b")
    assert is_alive(event.id)
    told.close()
    wait_for_end(event.id)


def test_all_of_it_ends_when_the_supervisor_is_killed(tmp_path):
    """SIGKILL leaves the supervisor no time to do anything about it."""
    supervisor = f"""
import sys
from pathlib import Path
from cmb_toolkit.workflow.snakemake import events
for event in events([sys.executable, "-c", {SCRIPT!r}], {{}}, Path({str(tmp_path / "said")!r})):
    print(event.id, flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", supervisor], stdout=subprocess.PIPE, text=True)
    grandchild = int(process.stdout.readline())
    assert is_alive(grandchild)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    wait_for_end(grandchild)


def test_an_end_without_a_word_is_an_error_with_its_last_lines(tmp_path):
    script = "import sys; print('one\\ntwo', file=sys.stderr); sys.exit(7)"
    with pytest.raises(CmbError, match=r"exit code 7\.\none\ntwo"):
        list(events([sys.executable, "-c", script], {}, tmp_path / "said"))


def test_leftovers_are_known_by_the_study_they_belong_to(tmp_path):
    processes = [
        subprocess.Popen(["sleep", "60"], env=os.environ | {"CMBTK_EXPERIMENT": str(tmp_path / name)})
        for name in ("mine", "mine-too")
    ]
    try:
        assert end_leftovers(tmp_path / "mine") == 1
        assert processes[0].wait(20) == -signal.SIGKILL
        assert processes[1].poll() is None
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_jobs_on_one_machine_take_a_gpu_each(tmp_path):
    """The second gets the second; a third, for which there is none, goes without a choice."""
    (tmp_path / "scratch" / "experiment").mkdir(parents=True)
    commands = Path(engine.__file__).with_name("commands.sh")
    script = f". {commands}; on_a_gpu bash -c 'echo ${{CUDA_VISIBLE_DEVICES:-any}}; read'"
    jobs, given = [], []
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    try:
        for _ in range(3):
            jobs.append(
                subprocess.Popen(
                    ["bash", "-euc", script], cwd=tmp_path, env=environment | {"CMBTK_GPUS": "4 7"},
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                )
            )  # fmt: skip
            given.append(jobs[-1].stdout.readline().strip())
        assert given == ["4", "7", "any"]
    finally:
        for job in jobs:
            job.communicate("\n")


def test_gpus_that_may_be_used(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-1b2c")
    assert engine.gpus() == ("2", "GPU-1b2c")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert engine.gpus() == ()
    with pytest.raises(UsageError, match="--gpus 2: this machine has 0"):
        place_for("local", None, 2)
    assert place_for("local", 1, None).gpus == 0
    assert place_for("slurm", 7, None) == Place("slurm", 7, 7, 0)
