"""Programs that talk, hang, and outlive or do not outlive us."""

import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from cmb_toolkit.errors import DarknetError
from cmb_toolkit.io.process import running

run = partial(running, cure="Try again.", error=DarknetError)


def test_lines_of_both_streams_and_the_status(tmp_path):
    code = """
import sys
print("first", flush=True)
print("two", file=sys.stderr)
print("no end", end="")
sys.exit(7)
"""
    with run([sys.executable, "-c", code], tmp_path) as program:
        lines = list(program.lines())
        assert lines == ["first", "two", "no end"]
        assert program.code == 7
        assert program.last_words().endswith("  two\n  no end")


def test_stdin_and_folder(tmp_path):
    (tmp_path / "in.txt").write_text("hello\n")
    with run(["cat"], tmp_path, stdin=tmp_path / "in.txt") as program:
        assert list(program.lines()) == ["hello"]
    with run(["pwd"], tmp_path) as program:
        assert list(program.lines()) == [str(tmp_path)]


def test_what_a_program_leaves_behind_is_not_waited_for(tmp_path):
    with run(["sh", "-c", "sleep 300 & echo $!"], tmp_path) as program:
        child = int("".join(program.lines()))
        assert program.code == 0
    gone_by(child, 5)


def test_where_the_block_ends_first_it_may_tidy_up(tmp_path):
    tidy = "trap 'echo tidied > done; exit' TERM; echo x; while :; do sleep 0.05; done"
    with run(["sh", "-c", tidy], tmp_path, grace_s=5.0) as program:
        next(program.lines())
    assert (tmp_path / "done").is_file()


def test_silence_ends_it(tmp_path):
    with (
        pytest.raises(DarknetError, match=r"said nothing for 0 s, so it hangs, and was ended\. Try again"),
        run(
            [sys.executable, "-c", "import time; print('x', flush=True); time.sleep(60)"], tmp_path, patience_s=0.4
        ) as p,
    ):
        list(p.lines())
    assert p._process.poll() is not None


def test_what_was_said_while_somebody_was_busy_is_no_silence(tmp_path):
    code = "import time; print('x', flush=True); time.sleep(0.1); print('y', flush=True); time.sleep(0.5)"
    with run([sys.executable, "-c", code], tmp_path, patience_s=0.6) as program:
        for line in program.lines():
            if line == "x":
                time.sleep(0.8)
            assert line in "xy"


def test_its_children_end_with_the_block(tmp_path):
    with run(["sh", "-c", "sleep 300 & echo $!; wait"], tmp_path) as program:
        child = int(next(program.lines()))
    gone_by(child, 5)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_dies_with_us_however_we_die(tmp_path, how):
    code = f"""
import sys
from pathlib import Path
from cmb_toolkit.io.process import running
with running(["sh", "-c", "echo $$; sleep 300; echo"], Path({str(tmp_path)!r}), cure="") as program:
    for line in program.lines():
        print(line, flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        # what runs in the background of a script is deaf to it, and so would be its children
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as us:
        program = int(us.stdout.readline())
        assert Path(f"/proc/{program}").exists()
        us.send_signal(how)
        us.wait()
    gone_by(program, 5)


def gone_by(process: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return
        if state == "Z":  # dead, and waiting for its new parent to notice
            return
        time.sleep(0.05)
    pytest.fail(f"process {process} is still there")


def test_what_cannot_be_started(tmp_path):
    (tmp_path / "x").write_text("not a program")
    (tmp_path / "x").chmod(0o755)
    for name in ("x", "y"):
        with (
            pytest.raises(DarknetError, match=r"does not start \(.*\). Try again."),
            run([str(tmp_path / name)], tmp_path),
        ):
            pass
