"""What people see while they wait."""

import os
import pty
import subprocess
import sys

import pytest

from cmb_toolkit.cli import progress as module
from cmb_toolkit.cli.progress import progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_a_log_has_a_line_a_minute_with_the_time_left(clock, capsys):
    with progress("Training") as report:
        report.note("Darknet: it is this one.")
        for done in range(1, 101):
            clock[0] += 10
            report(done, 100, f"loss {done}")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Darknet: it is this one."
    assert lines[1] == "Training: 6/100 in 60 s, 940 s left loss 6"
    assert len(lines) == 1 + 16 + 1
    assert lines[-1] == "Training: 100/100 in 1000 s loss 100"


def test_work_of_an_earlier_run_is_no_measure_of_speed(clock, capsys):
    with progress("Training") as report:
        report(5000, 10000, "going on from the checkpoint")
        clock[0] += 60
        report(5060, 10000, "")
    (line,) = capsys.readouterr().err.splitlines()
    left = int(line.split(",")[1].split()[0])
    assert 4000 < left < 6000


def test_a_first_step_is_no_measure_of_a_thousand(clock, capsys):
    with progress("Training") as report:
        clock[0] += 70  # it compiles
        for done in range(1, 121):
            report(done, 1000, "")
            clock[0] += 1
    first, second = capsys.readouterr().err.splitlines()
    assert first == "Training: 1/1000 in 70 s"
    assert second == "Training: 61/1000 in 130 s, 2001 s left"


@pytest.mark.parametrize("total", [10, 1000], ids=["of other things", "from the start again"])
def test_another_part_of_the_work_has_a_speed_of_its_own(clock, capsys, total):
    with progress("Training") as report:
        for done in range(1001):
            report(done, 1000, "")
            clock[0] += 1
        report(0, total, "")
        clock[0] += 70
        report(1, total, "sub-001")
    *_, whole, line = capsys.readouterr().err.splitlines()
    assert whole == "Training: 1000/1000 in 1000 s"
    assert line == f"Training: 1/{total} in 70 s{', 630 s left' * (total == 10)} sub-001"


def test_a_terminal_gets_a_bar(tmp_path):
    """On a pseudo-terminal: the note stays above the bar."""
    code = """
import time
from cmb_toolkit.cli.progress import progress
with progress("Training") as report:
    report.note("Darknet [CPU]: it is this one.")
    for done in range(500, 511):
        report(done, 510, f"loss {done}")
        time.sleep(0.02)
"""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", code], stderr=theirs, stdout=subprocess.DEVNULL, env={**os.environ, "COLUMNS": "150"}
    ) as process:
        os.close(theirs)
        text = b""
        while True:
            try:
                block = os.read(ours, 4096)
            except OSError:  # Linux says so at the end
                break
            if not block:
                break
            text += block
        assert process.wait() == 0
    os.close(ours)
    shown = text.decode(errors="replace")
    assert "Darknet [CPU]: it is this one." in shown
    assert "510/510" in shown
    assert "loss 510" in shown
