"""Whatever the terminal's streams are, a command ends with a documented code, and says at most what is its own."""

import os
import signal
import subprocess
import sys
import time

import pytest

FULL = "Error: the output of this command could not be written (no space left on device).\n"
CMBTK = f"{sys.executable} -m cmb_toolkit"
RAISE_IN_WORKERS = """
import time
from cmb_toolkit.cli import main as module
from cmb_toolkit.parallel import for_each
import click

@click.command()
def _work():
    for_each(time.sleep, [60, 60, 60], jobs=2, on_progress=lambda *_: print("on", flush=True))

module.LazyGroup.get_command = lambda self, ctx, name: _work
if __name__ == "__main__":
    module.main()
"""

OPEN = """
import os
from cmb_toolkit.cli.streams import open_streams
open_streams()
with open("x", "w") as file:
    os.write(1, b"noise")
    os.write(2, b"noise")
    print(file.fileno() > 2, file=file)
"""


def shell(line):
    """Exit code of the command itself, and what it says on what is left of its streams."""
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, timeout=120)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("{} --version > /dev/full", 1, FULL),
        ("{} split /nowhere 2> /dev/full", 3, ""),
        ("{} --version >&-", 0, ""),
        ("{} split /nowhere 2>&-", 3, ""),
        ("{} nonsense <&- >&- 2>&-", 2, ""),
        ("{} --help | true; exit ${{PIPESTATUS[0]}}", 141, ""),
        ("{} doctor | head -1 > /dev/null; exit ${{PIPESTATUS[0]}}", 141, ""),
        ("{} split /nowhere 2>&1 | true; exit ${{PIPESTATUS[0]}}", 3, ""),
    ],
)  # fmt: skip
def test_streams_that_cannot_be_written(line, code, says):
    # a reader that has gone before the first word: else a pipe would still take it
    found, _, said = shell(line.format(CMBTK).replace("| true", "| sleep 0"))
    if code == 141:
        assert found in (0, 141)
    else:
        assert found == code
    assert said == says


def test_a_closed_stream_is_not_the_next_file_that_is_opened(tmp_path):
    script = tmp_path / "open.py"
    script.write_text(OPEN)
    done = subprocess.run(["bash", "-c", f"{sys.executable} {script} <&- >&- 2>&-"], cwd=tmp_path, check=False)
    assert done.returncode == 0
    assert (tmp_path / "x").read_text() == "True\n"


def test_a_second_ctrl_c_leaves_no_noise(tmp_path):
    script = tmp_path / "work.py"
    script.write_text(RAISE_IN_WORKERS)
    process = subprocess.Popen(
        [sys.executable, script, "work"], text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert process.stdout.readline() == "on\n"
    time.sleep(0.5)  # the workers are on their way, at work or not yet
    for _ in range(3):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.1)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == "\nInterrupted. Run the same command again to go on.\n"


def test_a_stream_that_is_held_or_heard_takes_no_bytes():
    """click tries to write some, to see whether it may."""
    script = """
import sys
from cmb_toolkit.cli.streams import be_quiet, listen, open_streams, speak
open_streams()
listen("".join)
be_quiet()
for text in (b"", b"x"):
    try:
        sys.stdout.write(text)
    except TypeError:
        print("refused")
speak()
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == ("refused\n", "")
